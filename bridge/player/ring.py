"""Blocks of separated sound on their way from one process to another, through a file both have mapped.

One writes, one reads, nobody waits: each side owns one counter and only looks at the other's. A counter is an
aligned 64-bit word that is written after what it speaks of, which is all that this needs on machines whose
stores are seen in order (x86) and whose interpreter puts barriers between them (CPython on others).

A slot is a header and `rows` x `BLOCK` float32. Rows: the mix (channels), then each stem (channels), then the
residual (channels), then each stem that has a chain as its chain left it (channels).
"""

from __future__ import annotations

import contextlib
import mmap
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from stembridge.model.errors import ArgumentValueError, StateError

BLOCK = 512
"""Frames of a slot at most."""

_MAGIC = 0x53_54_42_52_49_4E_47_31
_HEAD_WORDS = 64
_SLOT_WORDS = 8
_WRITTEN, _READ, _EPOCH = 8, 16, 24
"""Where the counters are: each on a cache line of its own."""

END = 1
"""Flag of the last block of a song."""
DRY = 2
"""Flag of a block that holds nothing but the mix."""


@dataclass(frozen=True)
class Layout:
    """What a ring holds."""

    channels: int
    stems: int
    treated: int = 0
    """How many stems come a second time, after their chains."""
    slots: int = 96
    plain: bool = False
    """Whether there are no stems and no residual: sound on its way to be taken apart."""

    @property
    def rows(self) -> int:
        """Rows of a block."""
        if self.plain:
            return self.channels
        return self.channels * (2 + self.stems + self.treated)

    @property
    def bytes(self) -> int:
        """The size of the file."""
        return 8 * (_HEAD_WORDS + self.slots * _SLOT_WORDS) + 4 * self.slots * self.rows * BLOCK


@dataclass(frozen=True)
class Block:
    """One block as it is read; the audio is the ring's own and good until `Ring.done`."""

    epoch: int
    frame: int
    """Where it lies in its song."""
    flags: int
    audio: NDArray[np.float32]
    """`(rows, frames)`."""


class Ring:
    """One side's view of a ring."""

    def __init__(self, path: Path, layout: Layout, *, create: bool = False) -> None:
        """Make the file, or map one that is there.

        Raises StateError for a file of another layout, OSError where it cannot be mapped.
        """
        self.path = path
        self.layout = layout
        if create:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            os.ftruncate(handle, layout.bytes)
        else:
            handle = os.open(path, os.O_RDWR)
        try:
            if os.fstat(handle).st_size != layout.bytes:
                raise StateError(f"{path} is no ring of this layout")
            self._map = mmap.mmap(handle, layout.bytes)
        finally:
            os.close(handle)
        words = np.frombuffer(self._map, np.int64, _HEAD_WORDS + layout.slots * _SLOT_WORDS)
        self._head = words[:_HEAD_WORDS]
        self._slots = words[_HEAD_WORDS:].reshape(layout.slots, _SLOT_WORDS)
        shape = (layout.slots, layout.rows, BLOCK)
        self._audio = np.frombuffer(self._map, np.float32, -1, words.nbytes).reshape(shape)
        if create:
            self._head[0] = _MAGIC
        elif int(self._head[0]) != _MAGIC:
            raise StateError(f"{path} is no ring")

    # Both sides.

    @property
    def waiting(self) -> int:
        """Blocks that are written and not read."""
        return int(self._head[_WRITTEN] - self._head[_READ])

    @property
    def epoch(self) -> int:
        """The number of the last seek, set by the reader: blocks of earlier ones are not wanted any more."""
        return int(self._head[_EPOCH])

    def close(self) -> None:
        """Let go of the map. Twice is fine."""
        # Arrays that look at the map keep it open: they go first.
        self._head, self._slots = np.zeros(_HEAD_WORDS, np.int64), np.zeros((0, _SLOT_WORDS), np.int64)
        self._audio = np.zeros((0, 0, 0), np.float32)
        with contextlib.suppress(BufferError, ValueError):
            self._map.close()

    # The writer's side.

    @property
    def room(self) -> int:
        """How many blocks may be written now."""
        return self.layout.slots - self.waiting

    def write(self, audio: NDArray[np.float32], *, epoch: int, frame: int, flags: int = 0) -> bool:
        """Write one block `(rows, frames)`, frames at most `BLOCK`; False when there is no room.

        Raises ArgumentValueError for another shape.
        """
        rows, frames = audio.shape
        if rows != self.layout.rows or frames > BLOCK:
            raise ArgumentValueError(
                f"a block is ({self.layout.rows}, 0..{BLOCK}) in this ring; got {audio.shape}"
            )
        if self.room == 0:
            return False
        written = int(self._head[_WRITTEN])
        place = written % self.layout.slots
        self._audio[place, :, :frames] = audio
        self._slots[place, :4] = (epoch, frame, frames, flags)
        self._head[_WRITTEN] = written + 1
        return True

    def written_until(self, epoch: int) -> int | None:
        """The song's frame after the last block that was written, if that is of this epoch."""
        written = int(self._head[_WRITTEN])
        if written == 0:
            return None
        last, frame, frames, _ = (int(word) for word in self._slots[(written - 1) % self.layout.slots, :4])
        return frame + frames if last == epoch else None

    # The reader's side.

    def ask(self, epoch: int) -> None:
        """Want blocks of this epoch from now on."""
        self._head[_EPOCH] = epoch

    def peek(self) -> Block | None:
        """The next block of the wanted epoch, without taking it; older ones are thrown away.

        None where there is none yet, also while blocks of a later epoch wait to be wanted.
        """
        while self.waiting:
            place = int(self._head[_READ]) % self.layout.slots
            epoch, frame, frames, flags = (int(word) for word in self._slots[place, :4])
            if epoch > self.epoch:
                return None
            if epoch == self.epoch:
                return Block(epoch, frame, flags, self._audio[place, :, :frames])
            self.done()
        return None

    def done(self) -> None:
        """Give the block that `peek` showed back to the writer."""
        self._head[_READ] += 1
