"""A separator in one chain with pedalboard's effects: karaoke, compressed, and the stems by themselves."""

import numpy as np
from demo_song import make_song, mixed
from pedalboard import Compressor, Reverb
from stembridge.model import Board, StemSeparator

SAMPLE_RATE = 44100
song = mixed(make_song(8.0, SAMPLE_RATE))

# An effect like any other: called with audio and a sample rate, parameters are attributes.
karaoke = StemSeparator(gains_db={"vocals": float("-inf")})
board = Board([karaoke, Compressor(threshold_db=-18), Reverb(room_size=0.2)])
quiet = board(song, SAMPLE_RATE)
print(f"in {song.shape}, out {quiet.shape}")

karaoke.vocals_gain_db = -12.0
print(f"now the vocals are {karaoke.vocals_gain_db} dB, at unity the input comes back as its own bits:")
karaoke.vocals_gain_db = 0.0
print(np.array_equal(karaoke(song, SAMPLE_RATE), song))

stems = karaoke.stems(song, SAMPLE_RATE)
error = song - sum(stems.values())
depth = 10 * np.log10(np.sum(error**2) / np.sum(song**2))
print(f"{', '.join(stems)} null against the mix at {depth:.0f} dB")
