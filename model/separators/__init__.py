"""Separators: audio in, stems out, streaming. `protocol` says what one is."""
