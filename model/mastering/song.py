"""One song on its way through mastering: treated onto a spool, brought to its level, written, published."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..audio import Audio
from ..dsp.resampler import Resampler
from ..manifest import FileEntry
from ..rendering.output_file import OutputFile, make_folder, sweep, temporary_prefix
from ..rendering.pipeline import publish
from ..reports.messages import Message
from ..reports.survey import Survey, Surveyor
from ..stem_cache import StemCache
from . import record
from .levels import GainSearch, Material
from .master_file import MasterFile
from .plan import MasterPlan
from .preview import Previews
from .reference import match_reference
from .spool import Spool
from .treatment import Treatment, blended

_DEEP_DB = 6.0
_STEP_DB = {"16": 0.0012, "24": 0.00001}
"""What dither may add to a peak of a tenth of full scale and more."""


@dataclass(frozen=True)
class MasterResult:
    """What became of one song."""

    plan: MasterPlan
    files: tuple[FileEntry, ...]
    """The master, then the previews."""
    skipped: bool = False
    """Whether everything was there already, made from the same source with the same settings."""
    before: Survey | None = None
    """The song as it came; None where nothing had to be done."""
    after: Survey | None = None
    """The master as it was read back."""
    figures: Mapping[str, Any] = field(default_factory=dict)
    """`gain_db`, `reduction_db`, `passes`, `tries`, ...: what the manifest keeps."""
    messages: tuple[Message, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)
    """Seconds per stage."""
    seconds: float = 0.0

    @property
    def warnings(self) -> tuple[str, ...]:
        """The messages that should be shown unasked."""
        return tuple(str(message) for message in self.messages if message.worth_a_line)

    @property
    def realtime_factor(self) -> float:
        """Seconds of the song per second of work."""
        return self.plan.info.seconds / self.seconds if self.seconds else 0.0


class MasterSong:
    """The work on one song; `stack` holds everything temporary and takes it away."""

    def __init__(self, plan: MasterPlan, source_hash: str, cache: StemCache | None, stack: ExitStack) -> None:
        self.plan = plan
        self.source_hash = source_hash
        self.messages: list[Message] = []
        self.timings: dict[str, float] = {}
        self._cache, self._stack = cache, stack
        self._previews: Previews | None = None
        self._album = False

    def treat(self) -> Iterator[float]:
        """Put the treated song on a spool and measure it, yielding the fraction done."""
        spec, info = self.plan.spec, self.plan.info
        self._open_folder()
        with self._timed("treat"):
            before = Surveyor(info.sample_rate, info.channels, drawn=spec.drawn)
            spool = self._spool("treated")
            source = Treatment(self.plan, self.source_hash, self._cache, self._stack)
            with closing(source.blocks()) as blocks:
                for audio, fraction in self._resampled(self._blended(blocks, before)):
                    spool.write(audio)
                    yield 0.95 * fraction
            self.before = before.finish()
            self.material = Material(
                spool,
                self.plan.sample_rate,
                lookahead_ms=spec.lookahead_ms,
                release_ms=spec.release_ms,
                envelope_path=self._path("envelope"),
            )
            self._stack.callback(self.material.close)
            if spec.true_peak is not None:
                step = _STEP_DB[spec.format.bit_depth] if spec.format.integer else 0.0
                self.material.allow(spec.true_peak, step)
        self._say_what_came(source)

    def level(self) -> Iterator[float]:
        """Find the gain by itself, yielding the fraction done."""
        search = GainSearch([self.material], self.plan.spec.lufs)
        with self._timed("level"):
            yield from search.steps()
        self.search = search

    def write(self, *, album: bool = False) -> Iterator[float]:
        """Write the files at the gain that `search` found, yielding the fraction done."""
        self._album = album
        settled = album or self.plan.spec.lufs is None or self.search.silent
        lufs = None if settled else self.search.lufs
        with self._timed("write"):
            self._file = MasterFile(self.plan, self.material, self.search.gain_db, lufs)
            for fraction in self._file.steps(self._stack):
                yield 0.8 * fraction
        if len(self.plan.files.outputs) > 1:
            with self._timed("preview"):
                self._previews = Previews(self.plan, self._file.file)
                for fraction in self._previews.steps(self._stack):
                    yield 0.8 + 0.2 * fraction
        self._say_what_was_done()

    def publish(self, prints: Mapping[Path, str], began: float) -> MasterResult:
        """Give the files their names, and say what was made."""
        figures = self._figures()
        entry = record.master_entry(self.plan, self.source_hash, self.messages, figures)
        files: list[OutputFile] = [self._file.file]
        start = 0
        if self._previews is not None:
            files += self._previews.files
            start = self._previews.start
        entries = record.output_entries(self.plan, files, entry, prints, self._file.survey, start)
        publish(self.plan.files, files, entry, entries)
        seconds = time.monotonic() - began
        return MasterResult(
            self.plan,
            entries,
            False,
            self.before,
            self._file.survey,
            figures,
            tuple(self.messages),
            {stage: round(taken, 3) for stage, taken in self.timings.items()},
            seconds,
        )

    def say(self, number: int, text: str) -> None:
        """Keep a message."""
        self.messages.append(Message(number, text))

    def _blended(
        self, blocks: Generator[tuple[Audio, Audio, float], None, None], before: Surveyor
    ) -> Iterator[tuple[Audio, float]]:
        """Dry and wet as one; with a reference, the wet one is matched on its way."""
        spec, info = self.plan.spec, self.plan.info
        if spec.reference is None or not spec.mix_amount:
            for dry, wet, fraction in blocks:
                before.push(dry)
                yield blended(dry, wet, spec.mix_amount), fraction
            return
        dries, wets, matched = (self._spool(name) for name in ("dry", "wet", "matched"))
        for dry, wet, fraction in blocks:
            before.push(dry)
            dries.write(dry)
            wets.write(wet)
            yield dry[:, :0], 0.4 * fraction
        nothing = dry[:, :0]
        with self._timed("match"):
            for fraction in match_reference(
                wets, info.sample_rate, spec.reference, matched, lambda name: self._path(name, ".wav")
            ):
                yield nothing, 0.4 + 0.4 * fraction
        wets.close()
        done = 0
        for dry, wet in zip(dries.blocks(), matched.blocks(), strict=True):
            done += dry.shape[1]
            yield blended(dry, wet, spec.mix_amount), 0.8 + 0.2 * done / dries.frames
        dries.close()
        matched.close()
        self.say(2004, f"matched to {spec.reference.name}, in memory and at 44.1 kHz, by matchering")

    def _resampled(self, blocks: Iterator[tuple[Audio, float]]) -> Iterator[tuple[Audio, float]]:
        info = self.plan.info
        resampler = Resampler(info.sample_rate, self.plan.sample_rate, info.channels)
        for block, fraction in blocks:
            yield resampler.push(block), fraction
        yield resampler.flush(), 1.0

    def _open_folder(self) -> None:
        for folder in make_folder(self.plan.path.parent)[::-1]:
            self._stack.callback(_remove_if_empty, folder)
        sweep(self._pseudonym)

    @property
    def _pseudonym(self) -> Path:
        """What spools are named after: not the master itself, whose files sweep away what is named so."""
        return self.plan.path.with_name(f"{self.plan.path.name}.spool")

    def _path(self, name: str, suffix: str = ".spool") -> Path:
        token = f"{temporary_prefix(self._pseudonym)}{os.getpid()}-{secrets.token_hex(3)}"
        return self.plan.path.with_name(f"{token}.{name}{suffix}")

    def _spool(self, name: str) -> Spool:
        spool = Spool(self._path(name), self.plan.info.channels)
        self._stack.callback(spool.close)
        return spool

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.timings[stage] = self.timings.get(stage, 0.0) + time.monotonic() - began

    def _figures(self) -> dict[str, Any]:
        made = self._file
        survey = made.survey
        return {
            "gain_db": made.gain_db,
            "turned_down_db": round(made.turned_down_db, 4),
            "reduction_db": round(self.material.reduction_db, 2),
            "passes": self.search.passes + made.passes,
            "tries": made.tries,
            "measured_lufs": survey.lufs,
            "measured_true_peak": survey.true_peak_dbtp,
            "reached": self._reached(),
            "holds": made.holds,
        }

    def _reached(self) -> bool:
        if self._album:
            return self.search.reached
        wanted, found = self.plan.spec.lufs, self._file.survey.lufs
        return wanted is None or found is None or abs(found - wanted) <= 0.1

    def _say_what_came(self, source: Treatment) -> None:
        info = self.plan.info
        for text in info.warnings:
            self.say(3101, text)
        for text in dict.fromkeys(source.warnings):
            self.say(3102, text)
        if source.cached:
            self.say(1003, "stems came from the cache")
        if info.bit_depth == "lossy":
            self.say(2102, f"the song comes from a lossy file ({info.codec})")
        if self.before.clipped:
            self.say(2101, f"{self.before.clipped} samples of the song are at full scale: it may be clipped")
        if info.sample_rate != self.plan.sample_rate:
            self.say(2003, f"{info.sample_rate} Hz became {self.plan.sample_rate} Hz")

    def _say_what_was_done(self) -> None:
        made, spec = self._file, self.plan.spec
        found = made.survey.lufs
        if self.search.silent and spec.lufs is not None:
            self.say(3004, "the song is silent: no gain brings it to a loudness")
        elif spec.lufs is not None:
            whose = "the album's gain" if self._album else "gain"
            self.say(2005 if self._album else 2001, f"{whose} {made.gain_db:+.2f} dB")
            if not self._album and not self._reached() and found is not None:
                why = "the codec" if made.turned_down_db else "more gain would only distort"
                self.say(3001, f"{found:.1f} LUFS instead of {spec.lufs:g}: {why}")
        if reduction := self.material.reduction_db:
            number = 3002 if reduction > _DEEP_DB else 2002
            self.say(number, f"the limiter took away up to {reduction:.1f} dB")
        if made.turned_down_db and made.holds:
            self.say(
                2002, f"turned down by {made.turned_down_db:.2f} dB, so that the decoded file stays below"
            )
        if not made.holds:
            self.say(
                3003,
                f"the decoded file peaks at {made.survey.true_peak_dbtp:+.2f} dBTP, above {spec.true_peak:g}",
            )
        if clipped := made.file.clipped:
            self.say(3005, f"{clipped} samples were clipped at full scale: set a --true-peak ceiling")


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):  # what was made is in it by now
        folder.rmdir()
