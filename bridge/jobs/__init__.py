"""Render jobs: asked for over any edge, kept in a queue that survives, done in a process of their own."""
