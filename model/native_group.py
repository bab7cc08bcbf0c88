"""Runs of pedalboard's own plug-ins, kept exact where pedalboard by itself is not.

What pedalboard (0.9.26) does and what is done about it here:

- A plug-in is prepared anew, and loses its state, whenever a block is larger than all before it. So
  one stream uses one block size: that of its first chunk.
- A chunk with no more frames than channels is taken for transposed. So the container that holds the
  run has been shown the layout first.
- A VST3 that was just loaded counts the frames of its own warm-up as given. So a stream begins with a
  reset.
- Editing a container while it processes can crash the process, and a `Mix` edited after it was made
  does. So the plug-ins run in a container of ours that nobody else sees.
"""

from __future__ import annotations

import math
import types
from collections.abc import Iterator, Sequence

import numpy as np
import pedalboard

from .audio import Audio
from .errors import ArgumentTypeError, ArgumentValueError, PluginError, StateError
from .fifo import Fifo

_STEADY = frozenset(
    {
        *("Bitcrush", "Chorus", "Clipping", "Compressor", "Convolution", "Delay", "Distortion", "Gain"),
        *("HighShelfFilter", "HighpassFilter", "IIRFilter", "Invert", "LadderFilter", "Limiter"),
        *("LowShelfFilter", "LowpassFilter", "NoiseGate", "PeakFilter", "Phaser", "Reverb"),
    }
)
"""pedalboard's effects without latency, which stay prepared through a reset."""

_NEVER_STREAM = frozenset(
    {"PitchShift", "GSMFullRateCompressor", "PrimeWithSilenceTestPlugin", "FixedSizeBlockTestPlugin"}
)
"""Those whose chunks do not add up to what they make of the whole: measured, and true to their source."""

_UNEVEN = frozenset({"Resample", "ResampleWithLatency", "MP3Compressor"})
"""Those that go by the blocks they get: how much they hold back, and for MP3 also what they lose."""

_EVEN_BLOCK = 512
_PROBE_LIMIT = 1 << 23
_WARM_BLOCK = 1024


def native_name(plugin: pedalboard.Plugin) -> str:
    """The name of pedalboard's class, also for a subclass made in Python."""
    for kind in type(plugin).__mro__:
        if kind.__module__.startswith("pedalboard"):
            return kind.__name__
    return type(plugin).__name__


def check_native(plugin: pedalboard.Plugin) -> None:
    """Refuse what pedalboard could not run: instruments, and Python overrides it would skip.

    Raises ArgumentValueError and ArgumentTypeError.
    """
    if getattr(plugin, "is_instrument", False) and not getattr(plugin, "is_effect", False):
        raise ArgumentValueError(
            f"{plugin!r} is an instrument, which does not accept audio input; a board takes effects only"
        )
    for name in ("process", "__call__"):
        if isinstance(getattr(type(plugin), name, None), types.FunctionType):
            raise ArgumentTypeError(
                f"{type(plugin).__name__} overrides {name} of pedalboard's {native_name(plugin)}, and "
                "pedalboard would skip that; derive from stembridge's Effect instead"
            )


def children(container: pedalboard.Plugin) -> Iterator[pedalboard.Plugin | None]:
    """What a native container holds now; nothing for any other plug-in."""
    if isinstance(container, pedalboard.PluginContainer):
        for index in range(len(container)):
            try:
                yield container[index]
            except IndexError:  # it was shortened meanwhile
                return


class Leaf:
    """One native plug-in and what its stream has done so far."""

    def __init__(self, plugin: pedalboard.Plugin) -> None:
        self.plugin = plugin
        self.block = 0
        """The block size it was prepared for in this stream; 0 before the first block."""
        self.taken = 0
        self._clean = False
        self._probed: int | None = None
        self._rate = 0.0

    @property
    def steady(self) -> bool:
        """Whether it is known to have no latency and to stay prepared through a reset."""
        return native_name(self.plugin) in _STEADY

    @property
    def known_latency(self) -> int | None:
        """Frames it holds back; None where only a probe can tell."""
        if isinstance(self.plugin, pedalboard.ExternalPlugin):
            return int(getattr(self.plugin, "reported_latency_samples", 0))
        return 0 if self.steady or not self.streams else self._probed

    def latency(self, sample_rate: float, channels: int) -> int:
        """Frames it holds back; asked with silence where nothing else tells, and not in a stream."""
        if (known := self.known_latency) is None:
            return self._probe(sample_rate, channels)
        return known

    @property
    def uneven(self) -> bool:
        """Whether its sound or latency depends on how its input is cut; it then runs in a group alone."""
        return native_name(self.plugin) in _UNEVEN

    @property
    def streams(self) -> bool:
        """Whether chunks of a stream add up to the whole."""
        return native_name(self.plugin) not in _NEVER_STREAM

    def reset(self) -> None:
        """Clear its sound; some VST3s can do that on the main thread only (pedalboard then raises)."""
        self.plugin.reset()
        self.block = self.taken = 0
        self._clean = True

    def begin(self, sample_rate: float, channels: int) -> None:
        """Be at the start of a stream. Raises PluginError for effects that cannot be streamed."""
        if not self.streams:
            raise PluginError(
                f"pedalboard's {native_name(self.plugin)} cannot be streamed (reset=False): its chunks do "
                "not add up to what it makes of the whole. Process the whole audio at once, with reset=True."
            )
        if not self._clean:
            self.reset()
        self.latency_at(sample_rate, channels)

    def latency_at(self, sample_rate: float, channels: int) -> int:
        """Frames it will hold back in a stream of this rate; may reset it to find out."""
        if isinstance(self.plugin, pedalboard.ExternalPlugin):
            self._meet_rate(sample_rate, channels)
        self._probed = None
        return self.latency(sample_rate, channels)

    def _meet_rate(self, sample_rate: float, channels: int) -> None:
        """Let a VST3 see a new rate, which its latency may depend on; it is only told with a block."""
        if self._rate != sample_rate and self._resets_anywhere:
            chain = primed_chain([self.plugin], sample_rate, channels)
            _run(chain, np.zeros((channels, _EVEN_BLOCK), np.float32), sample_rate, _EVEN_BLOCK, reset=True)
            self.reset()
        self._rate = sample_rate

    @property
    def _resets_anywhere(self) -> bool:
        """Whether a VST3 can be reset off the main thread, since it need not be loaded again for it."""
        kind = getattr(self.plugin, "_reload_type", None)
        return getattr(kind, "name", "") == "ClearsAudioOnReset"

    def _probe(self, sample_rate: float, channels: int) -> int:
        """Find its latency by feeding it silence; leaves it reset."""
        chain = primed_chain([self.plugin], sample_rate, channels)
        self.plugin.reset()
        fed = given = 0
        frames = 16 * _EVEN_BLOCK
        while given == 0 and fed < _PROBE_LIMIT:
            silence = np.zeros((channels, frames), np.float32)
            given = chain.process(silence, sample_rate, _EVEN_BLOCK, reset=False).shape[1]
            fed += frames
            frames = min(2 * frames, 1 << 18)
        if given == 0:
            raise PluginError(f"{self.plugin!r} returns no sound within {fed} frames: it cannot be streamed")
        self._probed = fed - given
        if self.uneven:  # what waits for a whole block, and what a resampler may leave for the next one
            inner_rate = getattr(self.plugin, "target_sample_rate", sample_rate)
            self._probed += _EVEN_BLOCK + 16 + 4 * math.ceil(sample_rate / inner_rate)
        self.reset()
        return self._probed

    def used(self, frames: int) -> int:
        """Note that `frames` went in; return how many should have come out."""
        latency = self.known_latency or 0
        before = max(0, self.taken - latency)
        self.taken += frames
        self._clean = False
        return max(0, self.taken - latency) - before

    @property
    def inside(self) -> int:
        """Frames that should be in it now."""
        return min(self.taken, self.known_latency or 0)


class NativeGroup:
    """Neighbouring native plug-ins, run by pedalboard in one go."""

    def __init__(self, leaves: Sequence[Leaf]) -> None:
        self.leaves = tuple(leaves)
        self._chain: pedalboard.Chain | None = None
        self._spec: tuple[float, int] = (0.0, 0)
        # Plug-ins that were in another group of the same stream bring what they hold.
        self._inside = sum(leaf.inside for leaf in leaves)
        self._even: _Even | None = None

    @property
    def resumable(self) -> bool:
        """Whether a stream can go on where a whole piece ended."""
        return all(leaf.streams and leaf.known_latency == 0 for leaf in self.leaves)

    def latency(self, sample_rate: float, channels: int) -> int:
        """Frames it holds back; without a stream, plug-ins that do not tell are asked with silence."""
        return sum(leaf.latency(sample_rate, channels) for leaf in self.leaves)

    def latency_at(self, sample_rate: float, channels: int) -> int:
        """Frames it will hold back in a stream of this rate; may reset its plug-ins to find out."""
        return sum(leaf.latency_at(sample_rate, channels) for leaf in self.leaves)

    def start(self, sample_rate: float, channels: int) -> None:
        """Begin a stream."""
        for leaf in self.leaves:
            leaf.begin(sample_rate, channels)
        self._inside = 0
        self._even = None

    def push(self, block: Audio, sample_rate: float, buffer_size: int) -> Audio:
        """The next chunk of the stream, `(channels, n)`, n > 0."""
        due = block.shape[1]
        for leaf in self.leaves:
            due = leaf.used(due)
        if self.leaves[0].uneven:
            out = self._run_even(block, sample_rate, due)
        else:
            out = self._run_chunk(block, sample_rate, buffer_size)
        self._inside += block.shape[1] - out.shape[1]
        return out

    def finish(self, sample_rate: float, channels: int) -> Audio:
        """The frames that are still inside, pushed out by silence."""
        even = self._even or _Even(channels)
        limit = self._inside + _PROBE_LIMIT
        while (missing := self._inside - len(even.ready)) > 0:
            if limit <= 0:
                raise StateError(f"{[leaf.plugin for leaf in self.leaves]} do not return their last frames")
            # Whole blocks, made up of what waits for one and silence.
            frames = -(-max(missing, len(even.waiting)) // _EVEN_BLOCK) * _EVEN_BLOCK
            even.waiting.push(np.zeros((channels, frames - len(even.waiting)), np.float32))
            even.ready.push(self._run_chunk(even.waiting.pop(frames), sample_rate, _EVEN_BLOCK))
            limit -= frames
        return even.ready.pop(self._inside)

    def _run_even(self, block: Audio, sample_rate: float, due: int) -> Audio:
        """Blocks of one size through the plug-in; `due` frames back, so that its latency is constant."""
        self._even = even = self._even or _Even(block.shape[0])
        even.waiting.push(block)
        if frames := len(even.waiting) // _EVEN_BLOCK * _EVEN_BLOCK:
            even.ready.push(self._run_chunk(even.waiting.pop(frames), sample_rate, _EVEN_BLOCK))
        return even.ready.pop(min(due, len(even.ready)))

    def _run_chunk(self, block: Audio, sample_rate: float, buffer_size: int) -> Audio:
        channels, frames = block.shape
        chain = self._ready(sample_rate, channels)
        size = self._block_size(chain, sample_rate, channels, min(buffer_size, frames))
        for leaf in self.leaves:
            leaf.block = size
        return _run(chain, block, sample_rate, size, reset=False)

    def whole(self, audio: Audio, sample_rate: float, buffer_size: int) -> Audio:
        """One whole piece, exactly as pedalboard does it."""
        channels, frames = audio.shape
        chain = self._ready(sample_rate, channels)
        for leaf in self.leaves:
            leaf.taken = 0
            leaf.block = min(buffer_size, frames)
            leaf.used(frames)
        self._inside = 0
        return _run(chain, audio, sample_rate, buffer_size, reset=True)

    def _ready(self, sample_rate: float, channels: int) -> pedalboard.Chain:
        if self._chain is None or self._spec != (sample_rate, channels):
            self._chain = primed_chain([leaf.plugin for leaf in self.leaves], sample_rate, channels)
            self._spec = (sample_rate, channels)
        return self._chain

    def _block_size(self, chain: pedalboard.Chain, rate: float, channels: int, frames: int) -> int:
        """The block size of this stream, which never grows."""
        if prepared := [leaf.block for leaf in self.leaves if leaf.block]:
            return min(prepared)
        if frames < _WARM_BLOCK // 4 and all(leaf.steady for leaf in self.leaves):
            # A tiny first chunk would make Convolution slow for the rest of the stream. These effects
            # can be prepared for larger blocks with silence, and a reset leaves them prepared.
            chain.process(np.zeros((channels, _WARM_BLOCK), np.float32), rate, _WARM_BLOCK, reset=True)
            chain.process(np.zeros((channels, 0), np.float32), rate, _WARM_BLOCK, reset=True)
            return _WARM_BLOCK
        return frames


class _Even:
    """What waits on both sides of a plug-in that is fed blocks of one size."""

    def __init__(self, channels: int) -> None:
        self.waiting = Fifo(channels)
        self.ready = Fifo(channels)


def primed_chain(plugins: Sequence[pedalboard.Plugin], sample_rate: float, channels: int) -> pedalboard.Chain:
    """A native chain that takes every array for `(channels, frames)`, however short."""
    chain = pedalboard.Chain([])
    # While it is empty, so that no plug-in is prepared by this; VST3s need not survive 0-frame blocks.
    chain.process(np.zeros((channels, channels + 1), np.float32), sample_rate)
    for plugin in plugins:
        chain.append(plugin)
    return chain


def _run(chain: pedalboard.Chain, audio: Audio, sample_rate: float, buffer_size: int, reset: bool) -> Audio:
    try:
        out = chain.process(audio, sample_rate, min(buffer_size, audio.shape[1]), reset)
    except ValueError as error:
        if "channel" not in str(error) or isinstance(error, ArgumentValueError):
            raise
        raise ArgumentValueError(
            f"{error} The audio has {audio.shape[0]}: take a plug-in made for that, or convert the audio."
        ) from error
    return np.asarray(out, dtype=np.float32)
