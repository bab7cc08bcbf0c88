"""Batches: `task` (what is done), `feed` (planned as wanted), `workers` (processes), `batch` (all of it)."""
