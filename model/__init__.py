"""The library: separators, the effect and the board, mixer, chains, rendering."""
