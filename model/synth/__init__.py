"""Procedural multitrack songs: training material that nobody has to download or license."""
