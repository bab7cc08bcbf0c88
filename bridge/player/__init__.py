"""Playing: a streamer separates ahead, a player mixes and sounds, a service tells them what to do."""
