"""Plug-ins and effects in a row, as one stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import pedalboard

from ..audio import Audio
from .effect import BUFFER_SIZE, Effect
from .items import Item, check_duplicates
from .native_group import NativeGroup
from .native_leaf import Leaf, check_native, children

Stage = NativeGroup | Effect


class Line:
    """Runs items one after the other, neighbouring native plug-ins in one go.

    The items may change between any two calls. Those that stay keep their sound; new ones start clean;
    what was inside those that go is gone with them.
    """

    def __init__(self, parallel: Callable[[tuple[Item, ...]], Effect]) -> None:
        """`parallel` makes the effect that runs the branches of a native `Mix`."""
        self._make_parallel = parallel
        self._stages: tuple[Stage, ...] = ()
        self._leaves: dict[int, Leaf] = {}
        self._mixes: dict[int, tuple[pedalboard.Mix, tuple[Item, ...], Effect]] = {}
        self._spec: tuple[float, int] | None = None
        """Rate and channels while a stream is open."""

    def arrange(self, items: Sequence[Item], *, streaming: bool) -> None:
        """Be these items from now on, within a stream or without one.

        Raises StateError for an item that is there twice.
        """
        if not streaming:
            self._spec = None
        check_duplicates(items)
        rows = list(self._flat(items))
        self._mixes = {key: kept for key, kept in self._mixes.items() if kept[2] in rows}
        leaves = {
            id(row): self._leaves.get(id(row)) or Leaf(row) for row in rows if not isinstance(row, Effect)
        }
        new_leaves = [leaf for key, leaf in leaves.items() if key not in self._leaves]
        old_effects = [stage for stage in self._stages if isinstance(stage, Effect)]
        groups = {
            tuple(map(id, stage.leaves)): stage for stage in self._stages if isinstance(stage, NativeGroup)
        }
        if self._spec is not None:
            for leaf in new_leaves:
                leaf.begin(*self._spec)
            for row in rows:
                if isinstance(row, Effect) and row not in old_effects:
                    row.prepare(*self._spec)
        self._leaves = leaves
        stages: list[Stage] = []
        for run in self._runs(rows):
            if isinstance(run, Effect):
                stages.append(run)
            else:
                stages.append(groups.get(tuple(map(id, run))) or NativeGroup(run))
        self._stages = tuple(stages)

    def latency(self, sample_rate: float, channels: int) -> int:
        """Frames held back. Without a stream, plug-ins that do not tell are asked with silence."""
        return sum(
            stage.latency(sample_rate, channels)
            if isinstance(stage, NativeGroup)
            else stage.reported_latency_samples
            for stage in self._stages
        )

    def reset(self) -> None:
        """Clear every plug-in now, and be without a stream."""
        self._spec = None
        for leaf in self._leaves.values():
            leaf.reset()
        for stage in self._stages:
            if isinstance(stage, Effect):
                stage.reset()

    def start(self, sample_rate: float, channels: int) -> None:
        """Begin a stream."""
        self._spec = (sample_rate, channels)
        for stage in self._stages:
            if isinstance(stage, NativeGroup):
                stage.start(sample_rate, channels)
            else:
                stage.prepare(sample_rate, channels)

    def push(self, block: Audio, buffer_size: int) -> Audio:
        """The next chunk of the stream; returns what comes out at the end of the row."""
        return self._through(self._stages, block, buffer_size)

    # A piece ends at each effect, as if all were called one after the other. Between native groups it
    # does not, as in pedalboard: a group with latency looks ahead into what rings on in the one before.
    # So the first of neighbouring groups is given that much silence more.

    def finish(self) -> Audio:
        """End the stream: what was inside each item, through those after it."""
        sample_rate, channels = self._open
        tail = np.empty((channels, 0), np.float32)
        for stage, overhang, extra in self._overhangs(NativeGroup.latency):
            tail = self._through([stage], _lengthened(tail, extra), BUFFER_SIZE)
            if isinstance(stage, NativeGroup):
                rest = stage.finish(sample_rate, channels)
            else:
                rest = stage.flush() if stage.streaming else tail[:, :0]
            tail = np.concatenate([tail, rest], axis=1)
            tail = tail[:, : max(0, tail.shape[1] - overhang)]
        self._spec = None
        return tail

    def whole(self, audio: Audio, sample_rate: float, buffer_size: int) -> Audio:
        """One whole piece through everything; as long as it was."""
        self._spec = (sample_rate, audio.shape[0])
        for stage, overhang, extra in self._overhangs(NativeGroup.latency_at):
            if isinstance(stage, NativeGroup):
                audio = stage.whole(_lengthened(audio, extra), sample_rate, buffer_size)
            else:
                audio = stage.process_planar(audio, sample_rate, buffer_size, reset=True)
            audio = np.ascontiguousarray(audio[:, : audio.shape[1] - overhang])
        if not all(
            stage.resumable if isinstance(stage, NativeGroup) else stage.streaming for stage in self._stages
        ):
            self._spec = None
        return audio

    @property
    def streaming(self) -> bool:
        """Whether a stream is open."""
        return self._spec is not None

    @property
    def _open(self) -> tuple[float, int]:
        assert self._spec is not None
        return self._spec

    def _overhangs(
        self, latency: Callable[[NativeGroup, float, int], int]
    ) -> Iterator[tuple[Stage, int, int]]:
        """Each stage, how much too long the sound is after it, and how much to lengthen it before."""
        native = [isinstance(stage, NativeGroup) for stage in self._stages]
        late, extra = [0] * len(native), [0] * len(native)
        for index in range(len(native) - 1, 0, -1):
            stage = self._stages[index]
            if isinstance(stage, NativeGroup) and native[index - 1]:
                late[index] = latency(stage, *self._open)
                # The silence comes in at the first group of the run.
                extra[index - 1], extra[index] = extra[index] + late[index], 0
        return zip(self._stages, late, extra, strict=True)

    def _through(self, stages: Sequence[Stage], audio: Audio, buffer_size: int) -> Audio:
        sample_rate, _ = self._open
        for stage in stages:
            if audio.shape[1] == 0:
                break
            if isinstance(stage, NativeGroup):
                audio = stage.push(audio, sample_rate, buffer_size)
            else:
                audio = stage.process_planar(audio, sample_rate, buffer_size, reset=False)
        return audio

    def _runs(self, rows: Iterable[pedalboard.Plugin | Effect]) -> Iterator[list[Leaf] | Effect]:
        """Neighbouring leaves together; those that need blocks of their own alone."""
        run: list[Leaf] = []
        for row in rows:
            leaf = None if isinstance(row, Effect) else self._leaves[id(row)]
            if run and (leaf is None or leaf.uneven or run[-1].uneven):
                yield run
                run = []
            if leaf is not None:
                run.append(leaf)
            elif isinstance(row, Effect):
                yield row
        if run:
            yield run

    def _flat(self, items: Iterable[Item]) -> Iterator[pedalboard.Plugin | Effect]:
        """Native plug-ins and effects in order: chains are opened, a `Mix` becomes a `Parallel`."""
        for item in items:
            if item is None:
                continue
            if isinstance(item, pedalboard.Mix):
                yield self._parallel(item)
            elif isinstance(item, pedalboard.Plugin):
                check_native(item)
                if isinstance(item, pedalboard.PluginContainer):
                    yield from self._flat(children(item))
                else:
                    yield item
            else:
                yield item

    def _parallel(self, mix: pedalboard.Mix) -> Effect:
        """What runs the branches of a native `Mix`, which by itself misaligns them in a stream."""
        branches = tuple(children(mix))
        kept = self._mixes.get(id(mix))
        if kept is None or [id(branch) for branch in kept[1]] != [id(branch) for branch in branches]:
            self._mixes[id(mix)] = kept = (mix, branches, self._make_parallel(branches))
        return kept[2]


def _lengthened(audio: Audio, frames: int) -> Audio:
    if frames == 0:
        return audio
    return np.concatenate([audio, np.zeros((audio.shape[0], frames), np.float32)], axis=1)
