"""Reports: what was measured and done, song by song and for a batch, as JSON and as one page of HTML."""
