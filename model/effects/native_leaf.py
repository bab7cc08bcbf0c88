"""One of pedalboard's own plug-ins within a stream: what it is known to do, and its latency."""

from __future__ import annotations

import math
import types
from collections.abc import Iterator, Sequence

import numpy as np
import pedalboard

from ..audio import Audio
from ..errors import ArgumentTypeError, ArgumentValueError, PluginError

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

EVEN_BLOCK = 512
"""The block size of a plug-in that goes by the blocks it gets, and of probes."""
PROBE_LIMIT = 1 << 23
"""How many frames of silence are waited for an answer."""


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
        """Clear its sound. Raises PluginError for a VST3 that can do that on the main thread only."""
        try:
            self.plugin.reset()
        except RuntimeError as error:
            if "main thread" not in str(error):
                raise
            raise PluginError(
                f"{self.plugin!r} can only be reset on the main thread: call reset() of the board there, "
                "then stream (reset=False) from another"
            ) from error
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
            run_chain(
                chain, np.zeros((channels, EVEN_BLOCK), np.float32), sample_rate, EVEN_BLOCK, reset=True
            )
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
        frames = 16 * EVEN_BLOCK
        while given == 0 and fed < PROBE_LIMIT:
            silence = np.zeros((channels, frames), np.float32)
            given = chain.process(silence, sample_rate, EVEN_BLOCK, reset=False).shape[1]
            fed += frames
            frames = min(2 * frames, 1 << 18)
        if given == 0:
            raise PluginError(f"{self.plugin!r} returns no sound within {fed} frames: it cannot be streamed")
        self._probed = fed - given
        if self.uneven:  # what waits for a whole block, and what a resampler may leave for the next one
            inner_rate = getattr(self.plugin, "target_sample_rate", sample_rate)
            self._probed += EVEN_BLOCK + 16 + 4 * math.ceil(sample_rate / inner_rate)
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


def primed_chain(plugins: Sequence[pedalboard.Plugin], sample_rate: float, channels: int) -> pedalboard.Chain:
    """A native chain that takes every array for `(channels, frames)`, however short."""
    chain = pedalboard.Chain([])
    # While it is empty, so that no plug-in is prepared by this; VST3s need not survive 0-frame blocks.
    chain.process(np.zeros((channels, channels + 1), np.float32), sample_rate)
    for plugin in plugins:
        chain.append(plugin)
    return chain


def run_chain(
    chain: pedalboard.Chain, audio: Audio, sample_rate: float, buffer_size: int, reset: bool
) -> Audio:
    """pedalboard's `process`, with an error about channels that says how many there were."""
    try:
        out = chain.process(audio, sample_rate, min(buffer_size, audio.shape[1]), reset)
    except ValueError as error:
        if "channel" not in str(error) or isinstance(error, ArgumentValueError):
            raise
        raise ArgumentValueError(
            f"{error} The audio has {audio.shape[0]}: take a plug-in made for that, or convert the audio."
        ) from error
    return np.asarray(out, dtype=np.float32)
