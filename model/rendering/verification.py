"""Read back what was written: right length, right peak, and how deep the stems null against the song."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import numpy as np

from ..errors import AudioFileError, VerificationError
from ..files.decoder import AudioReader, open_audio
from .output_file import OutputFile
from .plan import Plan

BLOCK_FRAMES = 1 << 16
PEAK_TOLERANCE = 1e-3
"""What dither and rounding to 16 bits may change of a peak."""


def null_members(plan: Plan) -> list[int] | None:
    """Which outputs, summed, must give the song back; None when no such set is written.

    They must be stems as they were separated: no chains, no faders, lossless, at the song's rate.
    """
    spec = plan.spec
    if spec.format.lossy or spec.post_fader or plan.sample_rate != plan.info.sample_rate or spec.tail:
        return None
    if spec.residual == "none" or (plan.stem_chains and not spec.dry):
        return None
    parts = [(i, output) for i, output in enumerate(plan.outputs) if output.kind in {"stem", "complement"}]
    stems = [i for i, output in parts if output.kind == "stem"]
    if len(stems) == len(plan.stems):
        return stems
    for i, output in parts:
        if output.kind == "complement":
            left_out = [name for name in plan.stems if name not in output.members]
            partners = [j for j, other in parts if other.kind == "stem" and other.name in left_out]
            if len(partners) == len(left_out):
                return [i, *partners]
    return None


class Verification:
    """Checks every temporary file; `null_db` holds once `steps` has run to its end.

    The null depth is 10 log10(sum err^2 / sum mix^2), err = song - sum of the files with the common gain
    undone, as read back; None where the stems are not meant to null.
    """

    def __init__(self, plan: Plan, files: Sequence[OutputFile]) -> None:
        self._plan = plan
        self._files = files
        self._members = null_members(plan) or []
        self.null_db: float | None = None

    def steps(self) -> Iterator[float]:
        """Work through the files, yielding the fraction done. Raises VerificationError."""
        alone = [file for index, file in enumerate(self._files) if index not in self._members]
        share = len(alone) / len(self._files)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for done, _ in enumerate(pool.map(_check, alone), 1):
                yield share * done / len(alone)
            if self._members:
                for fraction in self._null([self._files[index] for index in self._members], pool):
                    yield share + (1 - share) * fraction

    def _null(self, files: Sequence[OutputFile], pool: ThreadPoolExecutor) -> Iterator[float]:
        plan = self._plan
        error = signal = 0.0
        with ExitStack() as stack:
            source = stack.enter_context(open_audio(plan.info.path))
            source.seek(plan.start)
            readers = [stack.enter_context(opened(file)) for file in files]
            peaks = [0.0] * len(files)
            left = total = plan.end - plan.start
            while left:
                frames = min(BLOCK_FRAMES, left)
                blocks = pool.map(read_block, readers, files, [frames] * len(files))
                mix = source.read(frames).astype(np.float64)
                signal += float(np.square(mix).sum())
                for number, (block, file) in enumerate(zip(blocks, files, strict=True)):
                    peaks[number] = max(peaks[number], float(np.abs(block).max()))
                    mix -= block.astype(np.float64) / file.gain
                error += float(np.square(mix).sum())
                left -= mix.shape[1]
                yield 1 - left / total
            for file, peak in zip(files, peaks, strict=True):
                check_peak(file, peak)
        self.null_db = _depth(error, signal)


def _depth(error: float, signal: float) -> float | None:
    if signal == 0.0:
        return None
    # Below this nothing but the float's own rounding is left; a finite number keeps JSON and tables sane.
    return max(-300.0, 10 * math.log10(error / signal)) if error else -300.0


def _check(file: OutputFile) -> None:
    peak = 0.0
    with opened(file) as reader:
        left = reader.info.frames
        while left:
            block = read_block(reader, file, min(BLOCK_FRAMES, left))
            peak = max(peak, float(np.abs(block).max()))
            left -= block.shape[1]
    if not file.format.lossy:
        check_peak(file, peak)


def opened(file: OutputFile) -> AudioReader:
    try:
        reader = open_audio(file.part)
    except AudioFileError as error:
        raise VerificationError(f"{file.path.name} does not read back: {error}") from error
    info = reader.info
    if (info.frames, info.channels, info.sample_rate) != (file.frames, file.channels, file.sample_rate):
        reader.close()
        raise VerificationError(
            f"{file.path.name} reads back as {info.frames} frames, {info.channels} channels at "
            f"{info.sample_rate} Hz; {file.frames}, {file.channels} and {file.sample_rate} were written"
        )
    return reader


def read_block(
    reader: AudioReader, file: OutputFile, frames: int
) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    try:
        block = reader.read(frames)
    except AudioFileError as error:
        raise VerificationError(f"{file.path.name} does not read back: {error}") from error
    if block.shape[1] != frames:
        raise VerificationError(f"{file.path.name} ends early when read back")
    return block


def check_peak(file: OutputFile, peak: float) -> None:
    expected = min(file.peak * file.gain, 1.0) if file.format.integer else file.peak * file.gain
    if abs(peak - expected) > PEAK_TOLERANCE * max(1.0, expected):
        raise VerificationError(
            f"{file.path.name} reads back with a peak of {peak:.6f}; {expected:.6f} was written"
        )
