"""The training loop.

Nothing depends on what happened before but through the checkpoint: sample i is a function of (seed, i), the
dropout of step k of (seed, k), the learning rate of k. So a run that is killed goes on from its last
checkpoint with the very steps it would have taken, and two runs of one spec give one curve (on a CPU).
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from ..checkpoint import read_header, save_checkpoint
from ..errors import ArgumentValueError, StateError
from ..evaluation.validation import Excerpt, read_excerpts, validate
from ..networks.catalogue import make_network
from .augmentation import Augment
from .curves import draw_curves
from .dataset import SegmentDataset, make_loader
from .losses import loss_by_name
from .run_folder import Row, RunFolder
from .spec import TrainingSpec
from .tracks import Track, find_tracks

REPORT_EVERY = 50
"""Steps between two reports, and between two points of the loss curve."""


@dataclass(frozen=True)
class TrainingProgress:
    """How far a run is."""

    step: int
    steps: int
    loss: float
    """Mean over the steps since the last report."""
    learning_rate: float
    audio_s_per_s: float
    """Seconds of song heard per second."""
    eta_s: float
    validation: Mapping[str, float] | None = None
    """Mean SDR in dB by stem, with `average`, when the weights have just been judged."""
    best: bool = False
    """Whether this validation is the best so far."""


def train(spec: TrainingSpec) -> Generator[TrainingProgress, None, None]:
    """Train a network; go on where `spec.out` was left.

    Yields a report every 50 steps and after each validation. Closing the iterator saves what there is.

    Raises ArgumentValueError when the folder holds a run of another network, and what `find_tracks` raises.
    """
    run = _Run(spec)
    with closing(run.go()) as progress:
        yield from progress


class _Run:
    """One run: the network, its running mean, the optimiser, and where they are kept."""

    def __init__(self, spec: TrainingSpec) -> None:
        self.spec = spec
        self.folder = RunFolder(spec.out)
        self.device = _device(spec.device)
        self.precision = _precision(spec.precision, self.device)
        if spec.threads is not None:
            torch.set_num_threads(spec.threads)
        torch.manual_seed(spec.seed)
        self.network = make_network(spec.network, **spec.config).to(self.device)
        self.mean = make_network(spec.network, **spec.config).to(self.device)
        self.mean.load_state_dict(self.network.state_dict())
        self.loss = loss_by_name(spec.loss or self.network.loss)
        self.optimiser = torch.optim.AdamW(
            [
                {
                    "params": [p for p in self.network.parameters() if p.ndim > 1],
                    "weight_decay": spec.weight_decay,
                },
                {"params": [p for p in self.network.parameters() if p.ndim <= 1], "weight_decay": 0.0},
            ],
            lr=spec.learning_rate,
            foreach=True,
        )
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.precision == torch.float16)
        self.step = 0
        self.best: float | None = None
        self.rows: list[Row] = []
        self.pending: list[float] = []
        """Losses since the last report."""
        if self.folder.last.exists():
            self._resume()
        elif spec.start_from is not None:
            self._start_from()
        config = self.network.config
        self.frames = max(1, round(spec.crop_s * config.sample_rate / config.hop_frames)) * config.hop_frames
        self.window = torch.hann_window(config.window_frames, device=self.device)
        self.tracks = _tracks(spec)

    def go(self) -> Generator[TrainingProgress, None, None]:
        """Train to the end, saving, validating and reporting on the way."""
        spec, config = self.spec, self.network.config
        step_of = torch.compile(self._loss_of) if spec.compile else self._loss_of
        judged = [track for folder in spec.validation for track in find_tracks(folder)]
        excerpts: list[Excerpt] | None = None
        losses = [torch.tensor(loss) for loss in self.pending]
        since, heard = time.monotonic(), 0
        saved = self.step
        try:
            for stems, present in self._batches():
                torch.manual_seed(spec.seed + self.step)
                rate = spec.learning_rate_at(self.step)
                losses.append(self._update(step_of, stems, present, rate).cpu())
                self.step += 1
                heard += 1
                done = self.step == spec.steps
                if self.step % REPORT_EVERY == 0 or done:
                    loss = self._finite(losses)
                    speed = heard * spec.batch * self.frames / config.sample_rate / (time.monotonic() - since)
                    left = (spec.steps - self.step) * spec.batch * self.frames / config.sample_rate / speed
                    report = TrainingProgress(self.step, spec.steps, loss, rate, speed, left)
                    self.rows.append({"step": self.step, "loss": loss, "learning_rate": rate})
                    losses.clear()
                    if judged and (self.step % spec.validate_every == 0 or done):
                        if excerpts is None:
                            excerpts = list(read_excerpts(self.network, judged, seconds=spec.validation_s))
                        report = self._validated(report, excerpts)
                    yield report
                    since, heard = time.monotonic(), 0
                if self.step % spec.save_every == 0 or done:
                    self._save(losses)
                    saved = self.step
        except GeneratorExit:
            if saved != self.step:
                self._save(losses)
            raise

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        spec, config = self.spec, self.network.config
        dataset = SegmentDataset(
            self.tracks,
            stems=config.stems,
            sample_rate=config.sample_rate,
            channels=config.channels,
            frames=self.frames,
            seed=spec.seed,
            augment=Augment() if spec.augmentation else Augment.none(),
        )
        loader = make_loader(
            dataset, batch=spec.batch, start_index=self.step * spec.batch, workers=spec.workers
        )
        for _, batch in zip(range(self.step, spec.steps), loader, strict=False):
            yield batch

    def _loss_of(self, stems: Tensor, present: Tensor) -> Tensor:
        """Loss of waveforms `(b, s, c, n)`."""
        config = self.network.config
        flat = stems.flatten(0, 2)
        spectra = torch.stft(
            flat,
            config.window_frames,
            config.hop_frames,
            window=self.window,
            pad_mode="constant",
            return_complex=True,
        )
        # (b * s * c, f, t) -> (b, s, c, t, f)
        _, bins, times = spectra.shape
        spectra = spectra.transpose(1, 2).reshape(*stems.shape[:3], times, bins)
        with self._autocast():
            return self.loss(self.network, spectra.sum(dim=1), spectra, present)

    def _update(self, loss_of: object, stems: Tensor, present: Tensor, rate: float) -> Tensor:
        """One step of the optimiser and of the running mean; returns the loss."""
        self.network.train()
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        loss: Tensor = loss_of(stems.to(self.device), present.to(self.device))  # type: ignore[operator]
        self.optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self.scaler.unscale_(self.optimiser)
        clip_grad_norm_(self.network.parameters(), self.spec.clip)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        # Early weights are soon forgotten: the mean's memory grows with the run.
        keep = min(self.spec.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.mean.parameters()), list(self.network.parameters()), 1.0 - keep)
            for mean, now in zip(self.mean.buffers(), self.network.buffers(), strict=True):
                mean.copy_(now)
        return loss.detach()

    def _autocast(self) -> AbstractContextManager[object]:
        if self.precision == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, self.precision)

    def _validated(self, report: TrainingProgress, excerpts: Sequence[Excerpt]) -> TrainingProgress:
        result = validate(self.mean, excerpts)
        figures = {**result.mean, "average": result.average}
        self.rows[-1].update({f"sdr {name}": value for name, value in figures.items()})
        best = self.best is None or result.average > self.best
        if best:
            self.best = result.average
            save_checkpoint(self.folder.best, self.mean, self._facts(figures))
        self._draw()
        return replace(report, validation=figures, best=best)

    def _facts(self, figures: Mapping[str, float] | None = None) -> dict[str, object]:
        facts: dict[str, object] = {
            "step": self.step,
            "licence": self.spec.licence,
            "training_data": self.spec.sources or f"{len(self.tracks)} songs",
            "training": self.spec.describe(),
        }
        if figures:
            facts["validation_sdr_db"] = {name: round(value, 3) for name, value in figures.items()}
        return facts

    def _finite(self, losses: Sequence[Tensor]) -> float:
        """The mean of some losses, which had better be a number."""
        loss = float(torch.stack(list(losses)).mean())
        if not np.isfinite(loss):
            raise StateError(
                f"the loss is no longer a number at step {self.step}; {self.folder.last} is from before: "
                "go on from it with a lower learning rate"
            )
        return loss

    def _save(self, losses: Sequence[Tensor]) -> None:
        if losses:
            self._finite(losses)
        self.pending = [float(loss) for loss in losses]
        names = {id(parameter): name for name, parameter in self.network.named_parameters()}
        tensors: dict[str, Tensor] = {f"mean.{name}": value for name, value in self.mean.state_dict().items()}
        for parameter, state in self.optimiser.state.items():
            for key, value in state.items():
                tensors[f"optimiser.{key}.{names[id(parameter)]}"] = torch.as_tensor(value)
        facts = {
            **self._facts(),
            "best": self.best,
            "pending": self.pending,
            "scaler": self.scaler.state_dict(),
        }
        save_checkpoint(self.folder.last, self.network, facts, tensors)
        self.folder.write_rows(self.rows)
        self._draw()

    def _draw(self) -> None:
        try:
            draw_curves(self.rows, self.folder.picture, f"{self.spec.network}: {self.spec.out.name}")
        except ImportError:
            return  # the extra `plot`; the CSV is there without it

    def _resume(self) -> None:
        header = read_header(self.folder.last)
        if header.network != self.network.name:
            raise ArgumentValueError(
                f"{self.folder.last} is a run of {header.network}, not of {self.network.name}: "
                "choose another folder"
            )
        tensors = _tensors(self.folder.last)
        try:
            self.network.load_state_dict(_under("network.", tensors))
            self.mean.load_state_dict(_under("mean.", tensors))
        except RuntimeError as error:
            raise ArgumentValueError(
                f"{self.folder.last} is a run with other sizes: choose another folder, or the same sizes "
                f"({error})"
            ) from error
        self.step = int(header.facts["step"])
        best = header.facts["best"]
        self.best = None if best is None else float(best)
        pending = header.facts.get("pending")
        self.pending = [float(loss) for loss in pending] if isinstance(pending, list) else []
        scaler = header.facts.get("scaler")
        if isinstance(scaler, dict) and scaler and self.scaler.is_enabled():
            self.scaler.load_state_dict(scaler)
        for name, parameter in self.network.named_parameters():
            keys = ("step", "exp_avg", "exp_avg_sq")
            found = {key: tensors.get(f"optimiser.{key}.{name}") for key in keys}
            if all(value is not None for value in found.values()):
                self.optimiser.state[parameter] = {
                    key: value if key == "step" else value.to(self.device)
                    for key, value in found.items()
                    if value is not None
                }
        self.rows = [row for row in self.folder.rows() if row["step"] <= self.step]

    def _start_from(self) -> None:
        assert self.spec.start_from is not None
        read_header(self.spec.start_from)
        given = _under("network.", _tensors(self.spec.start_from))
        own = self.network.state_dict()
        same = {
            name: value for name, value in given.items() if name in own and own[name].shape == value.shape
        }
        if not same:
            raise ArgumentValueError(f"{self.spec.start_from} has no weights that fit {self.spec.network}")
        self.network.load_state_dict(same, strict=False)
        self.mean.load_state_dict(self.network.state_dict())


def _tracks(spec: TrainingSpec) -> list[Track]:
    weights = spec.data_weights or (1.0,) * len(spec.data)
    found = [
        [replace(track, weight=track.weight * weight) for track in find_tracks(folder)]
        for folder, weight in zip(spec.data, weights, strict=True)
    ]
    return list(chain.from_iterable(found))


def _tensors(path: object) -> dict[str, Tensor]:
    with safe_open(str(path), framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value.float() for name, value in tensors.items() if name.startswith(prefix)
    }


def _device(name: str) -> torch.device:
    if name != "auto":
        return torch.device(name)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _precision(name: str, device: torch.device) -> torch.dtype:
    if name != "auto":
        dtype: torch.dtype = getattr(torch, name)
        return dtype
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if (
        device.type == "cpu"
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
        and torch.cpu._is_avx512_bf16_supported()
    ):
        return torch.bfloat16
    return torch.float32
