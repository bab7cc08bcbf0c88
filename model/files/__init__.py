"""Audio files: decoded and encoded block by block, to the sample and to the bit."""
