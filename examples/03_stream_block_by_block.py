"""A loop of your own: blocks in, blocks out, a fader moved on the way, nothing lost at the end."""

import numpy as np
from demo_song import make_song, mixed
from stembridge.model import StemSeparator

SAMPLE_RATE = 44100
song = mixed(make_song(8.0, SAMPLE_RATE))
effect = StemSeparator(model="classic")

out = []
for start in range(0, song.shape[1], 4096):
    if start // 4096 == 40:
        effect.vocals_gain_db = -20.0  # ramps over 20 ms, without a click
    out.append(effect.process(song[:, start : start + 4096], SAMPLE_RATE, reset=False))
out.append(effect.flush())

whole = np.concatenate(out, axis=1)
print(
    f"{song.shape[1]} frames in, {whole.shape[1]} out, held back meanwhile: {effect.reported_latency_samples}"
)
