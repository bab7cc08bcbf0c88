"""What a separator is: audio in, stems out, streaming first.

One-shot separation is the same code fed with one block and flushed.
"""

from __future__ import annotations

from typing import Protocol

from ..audio import Audio, StemArray


class Separator(Protocol):
    """A streaming source of stems for one stream of audio at a time.

    A separator is made for one `sample_rate` (Hz) and one number of `channels`; every grid inside it
    (STFT hops, segments) is anchored at the frame number given to `reset`, so a region that starts
    with its context gives exactly the slice of the whole.

    The frames that come out follow each other without gaps: the first frame out is the first frame
    pushed after `reset`, and `push` to the end plus `flush` give back as many frames as were pushed.
    How the input is cut into blocks never changes a bit of the output.
    """

    name: str
    """The name it is registered under (`repet`), never `default`."""
    stems: tuple[str, ...]
    """Names in order; `estimates` come out stacked like this."""
    residual_stem: str
    """Which stem the rest of the mix joins under the policy `other`."""
    sample_rate: int
    channels: int
    latency: int
    """Frames held back at most: after n pushed frames, at least n - latency have come out."""
    context_frames: int
    """How many frames before and after a frame can influence its estimate (0 = memoryless)."""
    grid: int
    """Frames between the anchors of the coarsest grid inside (1 = none)."""

    def reset(self, start_frame: int = 0) -> None:
        """Forget everything; the next frame pushed is number `start_frame` of its song.

        `start_frame` must be a multiple of `grid`; a start other than 0 means the frames before it
        are unknown, so the caller throws the first `context_frames` frames of output away.
        """

    def push(self, block: Audio) -> StemArray:
        """Take one more block of the mix; return the frames that are finished.

        Shape: block `(channels, n)`, n >= 0; returns `(stems, channels, ready)`, ready >= 0.
        """

    def flush(self) -> StemArray:
        """End the stream: return the frames still held back, then be as after `reset`."""
