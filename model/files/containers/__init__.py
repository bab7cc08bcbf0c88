"""What audio containers say about themselves, read with our own eyes before a decoder is trusted.

A decoder fills with silence what a damaged file lacks, so lengths are counted here:
`wav`, `aiff`, `flac`, `mp3`, `ogg` walk their format; `splice` shows a decoder a mended file.
"""
