"""Plug-ins: found, described, chained, and run in processes of their own."""
