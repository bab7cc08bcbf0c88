"""Links to DAWs: one dialect, one file."""
