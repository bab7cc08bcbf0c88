"""Architectures, one file each; nothing but modules and their configs."""
