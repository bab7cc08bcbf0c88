"""From separated stems to files: every version's chains, mixer and mix chain, and who gets which sound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..audio import Audio, StemArray
from ..automation import Ride
from ..dsp.fifo import Fifo
from ..dsp.resampler import Resampler
from ..effects.effect import Effect
from ..effects.stem_lines import StemLines
from ..errors import PluginError
from ..files.quantise import Dither
from ..files.tags import stem_tags
from ..mixer import Mixer
from ..plugins.chain_spec import ChainSpec
from ..plugins.isolate import IsolatedChain, open_chain
from ..plugins.trial import validate
from ..remix import Faders
from ..separation import Separated
from .output_file import SILENCE, Extent, OutputFile, resampler_start, scaled_frames
from .plan import Output, Plan
from .spec import UNTIL_SILENT

BLOCK_FRAMES = 8192
"""What plug-ins are fed, counted from where they start: the sound of some depends on it."""

LONGEST_TAIL_S = 60.0
_QUIET_S = 5.0


class Sink(Protocol):
    """What takes the sound of one output."""

    def write(self, audio: Audio) -> None:
        """Take the next block, at the source's rate."""


class Bus:
    """Takes separated blocks, treats and sums them once per version, and feeds every output file."""

    def __init__(self, plan: Plan, stack: ExitStack) -> None:
        self._plan = plan
        rate, channels = plan.info.sample_rate, plan.info.channels
        self._lanes = [
            _Lane(plan, number, [o for o in plan.outputs if o.version == number], stack)
            for number in range(len(plan.spec.versions))
        ]
        self._resampler = None
        if plan.sample_rate != rate:
            self._resampler = Resampler(rate, plan.sample_rate, channels, anchored=True)
        self._chained = any(lane.chained for lane in self._lanes)
        self._latency = max(lane.latency for lane in self._lanes)
        self._waiting = Fifo((2 + len(plan.stems)) * channels)
        self.warnings = tuple(dict.fromkeys(text for lane in self._lanes for text in lane.warnings))
        self._silence = np.zeros((channels, rate), np.float32)
        self._stems_silence = np.zeros((len(plan.stems), channels, rate), np.float32)

    @property
    def first(self) -> int:
        """The source frame that the sound handed to `push` begins with."""
        plan = self._plan
        first = plan.start
        if self._chained:
            preroll = plan.spec.preroll_s
            first = 0 if preroll is None else max(0, first - round(preroll * plan.info.sample_rate))
        return first if self._resampler is None else min(first, resampler_start(self._resampler, plan.start))

    @property
    def last(self) -> int:
        """Where the sound handed to `push` ends."""
        plan = self._plan
        if plan.spec.tail:
            return plan.end
        last = plan.end + (self._resampler.context_frames if self._resampler is not None else 0)
        if self._chained:
            # What plug-ins hold back, in whole blocks: the last one is fed as in a render of the whole song.
            blocks = -(-(last + self._latency - self.first) // BLOCK_FRAMES)
            last = self.first + blocks * BLOCK_FRAMES
        return min(plan.info.frames, last)

    def open_files(self) -> list[OutputFile]:
        """Make the output files, in the plan's order."""
        plan, spec = self._plan, self._plan.spec
        rate = plan.info.sample_rate
        frames: int | None = plan.end - plan.start
        if spec.tail == UNTIL_SILENT:
            frames = None
        elif frames is not None:
            frames += round(float(spec.tail) * rate)
        extent = Extent(self.first, plan.start, frames)
        reference = scaled_frames(plan.info.time_reference + plan.start, rate, plan.sample_rate)
        start = scaled_frames(plan.start, rate, plan.sample_rate)
        files = {}
        for output in plan.outputs:
            files[output.path] = OutputFile(
                output.path,
                spec.format,
                source_rate=rate,
                sample_rate=plan.sample_rate,
                channels=plan.info.channels,
                extent=extent,
                tags=stem_tags(plan.info.tags, output.name),
                time_reference=reference,
                dither=Dither(spec.seed, output.name, start),
                clip=spec.overs == "clip",
                replaceable=spec.overwrite or (output.path.exists() and plan.own(output.path)),
            )
        self.lead_to(files)
        return list(files.values())

    def lead_to(self, sinks: Mapping[Path, Sink]) -> None:
        """Say where the sound of each output goes, by its path."""
        for lane in self._lanes:
            lane.begin(self.first)
            lane.files = [sinks[output.path] for output in lane.outputs]

    def push(self, block: Separated) -> None:
        """Take the next aligned block."""
        if not self._chained:
            self._feed(block)
            return
        self._waiting.push(np.concatenate([block.mix, block.residual, *block.stems]))
        while len(self._waiting) >= BLOCK_FRAMES:
            self._feed(self._popped(BLOCK_FRAMES))

    def finish(self) -> None:
        """Let the chains ring out as asked, then hand over what they still hold."""
        tail, rate = self._plan.spec.tail, self._plan.info.sample_rate
        left = round((LONGEST_TAIL_S if tail == UNTIL_SILENT else float(tail)) * rate)
        while left:
            frames = min(left, rate)
            silence = self._silence[:, :frames]
            self.push(Separated(silence, self._stems_silence[:, :, :frames], silence))
            left -= frames
            if tail == UNTIL_SILENT and all(lane.quiet_frames >= _QUIET_S * rate for lane in self._lanes):
                break
        if len(self._waiting):
            self._feed(self._popped(len(self._waiting)))
        for lane in self._lanes:
            lane.finish()

    def _feed(self, block: Separated) -> None:
        for lane in self._lanes:
            lane.push(block)

    def _popped(self, frames: int) -> Separated:
        channels = self._plan.info.channels
        mix, residual, *stems = self._waiting.pop(frames).reshape(-1, channels, frames)
        return Separated(mix, np.stack(stems), residual)


class _Lane:
    """One version: stem chains, mixer, mix chain, and the outputs that hang on it."""

    def __init__(self, plan: Plan, number: int, outputs: list[Output], stack: ExitStack) -> None:
        version = plan.spec.versions[number]
        self._number = number
        rate, channels = plan.info.sample_rate, plan.info.channels
        self._plan = plan
        self.outputs = outputs
        self.files: list[Sink] = []
        self.quiet_frames = 0
        """Frames since anything above silence came out."""
        self._mixer = Mixer(
            plan.stems, channels, rate, residual_policy=plan.spec.residual, state=version.mixer
        )

        self._ride: Ride | None = None
        self._has_mix = any(output.kind == "mix" for output in outputs)
        self.warnings: list[str] = []

        def opened(spec: ChainSpec) -> Effect:
            spec = spec.located(plan.spec.plugin_folders)
            self.warnings += try_out(spec, rate, channels)
            chain = open_chain(spec, rate, channels, block_frames=BLOCK_FRAMES)
            if isinstance(chain, IsolatedChain):
                stack.enter_context(closing(chain))
            return chain

        treats = self._has_mix or not plan.spec.dry
        chains = {stem: opened(chain) for stem, chain in version.chains.items() if treats}
        self._lines = StemLines(chains, plan.stems)
        self._lines.start(rate, channels)
        mix_chain = version.mix_chain if self._has_mix else None
        self._mix_chain = None if mix_chain is None else opened(mix_chain)
        if self._mix_chain is not None:
            self._mix_chain.prepare(rate, channels)
        self.chained = bool(chains) or self._mix_chain is not None

    @property
    def latency(self) -> int:
        """Frames that plug-ins hold back."""
        mix_latency = self._mix_chain.reported_latency_samples if self._mix_chain is not None else 0
        return self._lines.latency + mix_latency

    def begin(self, frame: int) -> None:
        """Say which frame of the song the first one pushed is."""
        automation = self._plan.spec.versions[self._number].automation
        if automation is not None:
            states = automation.states(self._mixer.state, self._plan.info.sample_rate)
            self._ride = Ride(self._mixer, states, frame)

    def push(self, block: Separated) -> None:
        self._lines.push(block, BLOCK_FRAMES)
        self._hand_out()

    def finish(self) -> None:
        self._lines.finish()
        self._hand_out()
        if self._mix_chain is not None:
            self._hand_mix(self._mixer.master(self._mix_chain.flush()))

    def _hand_out(self) -> None:
        mix, stems, residual, treated = self._lines.pop()
        start = 0
        for frames in self._ride.parts(mix.shape[1]) if self._ride is not None else [mix.shape[1]]:
            here = slice(start, start + frames)
            start += frames
            part = [None if one is None else one[:, here] for one in treated]
            if frames:
                self._hand_part(mix[:, here], stems[:, :, here], residual[:, here], part)

    def _hand_part(
        self, mix: Audio, stems: StemArray, residual: Audio, treated: Sequence[Audio | None]
    ) -> None:
        """Hand out a stretch over which the controls are not moved."""
        frames = mix.shape[1]
        faders = self._mixer.faders(frames)
        loud = 0.0
        for output, file in zip(self.outputs, self.files, strict=True):
            if output.kind != "mix":
                audio = self._sound(output, mix, stems, residual, treated, faders)
                loud = max(loud, _peak(audio))
                file.write(audio)
        if self._has_mix:
            summed = faders.mix(mix, stems, residual, treated)
            if self._mix_chain is not None:
                rate = self._plan.info.sample_rate
                summed = self._mix_chain.process_planar(summed, rate, BLOCK_FRAMES, reset=False)
            summed = self._mixer.master(summed)
            loud = max(loud, _peak(summed))
            self._hand_mix(summed)
        self.quiet_frames = self.quiet_frames + frames if loud <= SILENCE else 0

    def _hand_mix(self, mix: Audio) -> None:
        for output, file in zip(self.outputs, self.files, strict=True):
            if output.kind == "mix":
                file.write(mix)

    def _sound(
        self,
        output: Output,
        mix: Audio,
        stems: StemArray,
        residual: Audio,
        treated: Sequence[Audio | None],
        faders: Faders,
    ) -> Audio:
        """What one stem, complement or submix is made of in this block."""
        spec, names = self._plan.spec, self._plan.stems

        def chained(name: str) -> Audio | None:
            return None if spec.dry else treated[names.index(name)]

        def member(name: str) -> Audio:
            wet = chained(name)
            sound: Audio = stems[names.index(name)] if wet is None else wet
            return faders.post_fader(name, sound) if spec.post_fader else sound

        if output.kind == "stem":
            return member(output.members[0])
        if output.kind == "complement" and not spec.post_fader:
            # The mix less what is left out, so that they null against it; less the residual too, where
            # the policy keeps that out of the stems or in a file of its own.
            total: NDArray[np.float64] = mix.astype(np.float64)
            for name in names:
                if name not in output.members:
                    total -= stems[names.index(name)]
            if spec.residual == "none":
                total -= residual
            for name in output.members:
                if (wet := chained(name)) is not None:
                    total += wet.astype(np.float64) - stems[names.index(name)]
            return total.astype(np.float32)
        total = np.zeros(mix.shape)
        for name in output.members:
            total += member(name)
        return total.astype(np.float32)


_TRIED: dict[tuple[str, int, int], tuple[str, ...] | PluginError] = {}


def try_out(chain: ChainSpec, sample_rate: int, channels: int) -> tuple[str, ...]:
    """Try a chain out before the work and return what the user should know; once per batch.

    A failure is remembered too, so that a plug-in that hangs costs its time-out once and not per song.
    """
    key = repr(chain.facts()), sample_rate, channels
    if key not in _TRIED:
        try:
            report = validate(chain, sample_rate, channels)
            _TRIED[key] = tuple(f"{chain.origin}: {text}" for text in report.warnings)
        except PluginError as error:
            _TRIED[key] = error
    found = _TRIED[key]
    if isinstance(found, PluginError):
        raise found
    return found


def _peak(audio: Audio) -> float:
    return float(np.abs(audio).max()) if audio.size else 0.0
