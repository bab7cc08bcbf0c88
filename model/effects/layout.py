"""Which dimension of an array holds the channels: pedalboard's rules, and their memory.

Inside this package audio is `(channels, frames)` and nothing is guessed; this is for the arrays users
hand to effects, which may be mono `(frames,)`, `(channels, frames)` or `(frames, channels)`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..audio import Audio
from ..errors import StateError


@dataclass(frozen=True)
class Layout:
    """How one array holds its audio."""

    channels: int
    interleaved: bool = False
    """Whether the array is `(frames, channels)`."""
    flat: bool = False
    """Whether the array is mono, `(frames,)`."""

    def planar(self, array: NDArray[np.floating]) -> Audio:
        """A copy as `(channels, frames)` float32, C-contiguous."""
        if self.flat:
            array = array[np.newaxis]
        elif self.interleaved:
            array = array.T
        return np.array(array, dtype=np.float32, order="C")

    def restored(self, audio: Audio) -> NDArray[np.float32]:
        """`(channels, frames)` in this layout, float32 and C-contiguous."""
        if self.flat:
            audio = audio[0]
        elif self.interleaved:
            audio = audio.T
        return np.ascontiguousarray(audio, dtype=np.float32)


class LayoutMemory:
    """Tells the layout of each array, with the help of the ones before it.

    Without help the smaller dimension holds the channels. A dimension as large as the channel count of
    the last array wins over that, and a square array takes the orientation of the last one; a square
    one that comes first is refused. An empty array is enough to be remembered.

    >>> memory = LayoutMemory()
    >>> memory.read(np.empty((2, 1), np.float32))
    Layout(channels=1, interleaved=True, flat=False)
    >>> memory.note(memory.read(np.empty((2, 0), np.float32)))
    >>> memory.read(np.empty((2, 1), np.float32))
    Layout(channels=2, interleaved=False, flat=False)
    """

    def __init__(self) -> None:
        self.last: Layout | None = None
        self._hint = 0

    def forget(self) -> None:
        """Be as new."""
        self.last = None
        self._hint = 0

    def note(self, layout: Layout) -> None:
        """Remember the layout of an array."""
        self.last = layout
        self._hint = layout.channels or self._hint

    def read(self, array: NDArray[np.floating]) -> Layout:
        """The layout of `array`, judged by those noted. Raises StateError where it cannot be told."""
        if array.ndim == 1:
            return Layout(1, flat=True)
        if array.ndim != 2:
            raise StateError(
                f"Number of input dimensions must be 1 or 2 (got {array.ndim}). Pass (frames,), "
                "(channels, frames) or (frames, channels)."
            )
        rows, columns = array.shape
        if rows == columns and rows != 1:
            if self.last is None:
                raise StateError(
                    f"Unable to determine channel layout from shape: ({rows}, {columns}). Provide a "
                    f"non-square array first, such as np.zeros((channels, 0)), to tell which dimension "
                    "holds the channels."
                )
            return Layout(rows, interleaved=self.last.interleaved)
        if self._hint and rows == self._hint:
            return Layout(rows)
        if self._hint and columns == self._hint:
            return Layout(columns, interleaved=True)
        # No channels make no sense, no frames do.
        if rows == 0 or (0 < columns < rows):
            return Layout(columns, interleaved=True)
        return Layout(rows)
