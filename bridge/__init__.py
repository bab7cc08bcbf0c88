"""The process a DAW talks to: commands, jobs, presets and the command line."""
