"""OSC at the edge: bytes in, commands out; events in, bytes out. Nothing else here knows what OSC is."""
