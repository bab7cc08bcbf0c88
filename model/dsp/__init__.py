"""Signal tools: streaming, with every grid anchored at frame 0."""
