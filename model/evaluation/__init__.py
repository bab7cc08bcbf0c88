"""How well separators do on songs whose stems are known: figures, yardsticks, tables."""
