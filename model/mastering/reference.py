"""A song made to sound like another: level and spectrum matched by the package matchering.

matchering works on whole songs in memory, at 44.1 kHz. Here it gets the song at that rate, and what comes
back is brought to the song's own; what lies above matchering's range stays in, turned by as much as
matchering turned the top of its own. Its limiter and its normalisation are left out: a master has its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from ..audio import Audio, OutputFormat
from ..dsp.fifo import Fifo
from ..dsp.resampler import Resampler
from ..dsp.third_octaves import BAND_CENTRES_HZ, ThirdOctaves
from ..errors import ArgumentValueError
from ..files.decoder import AudioReader, open_audio
from ..files.encoder import create_audio
from ..rendering.output_file import scaled_frames
from ..units import db_to_gain
from .spool import Spool

RATE = 44100
"""What matchering is tested at, in Hz."""

_LONGEST_S = 24 * 3600.0
"""Its own limit is 15 minutes; memory is the only one that matters."""
_BLOCK = 1 << 16


def match_reference(
    treated: Spool, sample_rate: int, reference: Path, matched: Spool, temporary: Callable[[str], Path]
) -> Iterator[float]:
    """Fill `matched` with the treated song as matchering makes it sound like the reference.

    Yields the fraction done. `temporary` names three files for a while. Raises ArgumentValueError for what
    matchering refuses, in its words.
    """
    target, model, result = map(temporary, ("target", "reference", "result"))
    with ExitStack() as stack:
        for path in (target, model, result):
            stack.callback(path.unlink, missing_ok=True)
        frames = scaled_frames(treated.frames, sample_rate, RATE)
        before = _copy(_resampled(treated.blocks(), sample_rate, RATE, treated.channels), target, frames)
        yield 0.1
        with open_audio(reference) as reader:
            info = reader.info
            # By way of the song's rate: else the one's steep end of the band would be matched to the other's.
            sound = _resampled(_blocks(reader), info.sample_rate, sample_rate, info.channels)
            frames = scaled_frames(info.frames, info.sample_rate, RATE)
            _copy(_exactly(_resampled(sound, sample_rate, RATE, info.channels), frames), model, frames)
        yield 0.2
        _run(target, model, result)
        yield 0.7
        with open_audio(result) as reader:
            made = ThirdOctaves(RATE, 2)
            for block in _blocks(reader):
                made.push(block)
        gain = _gain_at_the_top(before, made)
        with open_audio(result) as reader:
            for block in _joined(treated, sample_rate, _blocks(reader), gain):
                matched.write(block)
                yield 0.7 + 0.3 * matched.frames / max(1, treated.frames)


def _run(target: Path, reference: Path, result: Path) -> None:
    import matchering
    from matchering.log import ModuleError

    plain = matchering.Result(str(result), "FLOAT", use_limiter=False, normalize=False)
    config = matchering.Config(max_length=_LONGEST_S, temp_folder=str(result.parent))
    try:
        matchering.process(str(target), str(reference), [plain], config=config)
    except ModuleError as error:
        said = re.sub(r"^\d+: ", "", str(error))  # without its own numbers, which are not ours
        raise ArgumentValueError(f"matchering does not match these songs: {said}") from error


def _joined(treated: Spool, rate: int, matched: Iterator[Audio], gain: float) -> Iterator[Audio]:
    """What matchering made, at the song's rate, with what lies above matchering's range."""
    channels = treated.channels
    if rate <= RATE:
        yield from _exactly(_resampled(matched, RATE, rate, channels), treated.frames)
        return
    low = _exactly(_resampled(_resampled(treated.blocks(), rate, RATE, channels), RATE, rate, channels),
                   treated.frames)  # fmt: skip
    new = _exactly(_resampled(matched, RATE, rate, channels), treated.frames)
    whole, without, made = Fifo(channels), Fifo(channels), Fifo(channels)
    for block in treated.blocks():
        whole.push(block)
        for source, queue in ((low, without), (new, made)):
            while len(queue) < len(whole):
                queue.push(next(source))
        frames = len(whole)
        high = whole.pop(frames) - without.pop(frames)
        yield made.pop(frames) + np.float32(gain) * high


def _copy(blocks: Iterator[Audio], path: Path, frames: int) -> ThirdOctaves:
    """Write a temporary WAV file at matchering's rate; returns its spectrum."""
    spectrum = ThirdOctaves(RATE, 2)
    with create_audio(path, OutputFormat("wav", "32f"), RATE, 2, frames) as writer:
        for block in blocks:
            writer.write(block)
            spectrum.push(block)
    return spectrum


def _gain_at_the_top(before: ThirdOctaves, after: ThirdOctaves) -> float:
    """What matchering did to the highest of its bands: 10 to 16 kHz."""
    changes = [
        b - a
        for a, b, centre in zip(before.finish(), after.finish(), BAND_CENTRES_HZ, strict=True)
        if a is not None and b is not None and 9_000 < centre < 17_000
    ]
    return db_to_gain(sum(changes) / len(changes)) if changes else 1.0


def _resampled(blocks: Iterator[Audio], from_rate: int, to_rate: int, channels: int) -> Iterator[Audio]:
    resampler = Resampler(from_rate, to_rate, channels)
    for block in blocks:
        yield resampler.push(block)
    yield resampler.flush()


def _exactly(blocks: Iterator[Audio], frames: int) -> Iterator[Audio]:
    """So many frames: there and back, a song's length may be rounded by one."""
    given = 0
    last = np.zeros((2, 0), np.float32)
    for block in blocks:
        last = block[:, : frames - given]
        given += last.shape[1]
        yield last
    if given < frames:
        yield np.zeros((last.shape[0], frames - given), np.float32)


def _blocks(reader: AudioReader) -> Iterator[Audio]:
    while (block := reader.read(_BLOCK)).shape[1]:
        yield block
