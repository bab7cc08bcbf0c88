"""`stembridge train`: a network from folders of songs, and from songs made for it."""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from pathlib import Path
from typing import Any

from stembridge.bridge.cli import UsageError
from stembridge.bridge.cli.progress import ProgressPrinter

_FIELDS = ("steps", "batch", "crop_s", "learning_rate", "warm_up", "cool_down", "weight_decay", "clip", "ema",
           "loss", "precision", "seed", "workers", "threads", "validate_every", "validation_s",
           "save_every", "licence", "sources")  # fmt: skip
"""Flags named like the fields of TrainingSpec they fill."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    arg = parser.add_argument
    arg("-n", "--model", required=True, metavar="NETWORK",
        help="band-mixer (what default is), live, unet, cnn-blstm or parallel-encoder")  # fmt: skip
    arg("--data", action="append", default=[], type=Path, metavar="DIR",
        help="songs: folders of stems, MUSDB18-HQ, DSD100, .stem.mp4; may repeat")  # fmt: skip
    arg("--weight", action="append", default=[], type=float, metavar="W",
        help="how often songs of each --data are drawn, in their order (default: all alike)")  # fmt: skip
    arg("--synth", type=Path, metavar="DIR", help="songs made by `stembridge synth`, as one more --data")
    arg("--validation", action="append", default=[], type=Path, metavar="DIR", help="songs to be judged on")
    arg("-o", "--out", type=Path, metavar="DIR", help="the run's folder (default: runs/NETWORK); "
        "a run that is there goes on")  # fmt: skip
    arg("--config", metavar="JSON", help="sizes of the network, such as '{\"width\": 64}'")
    arg("--start-from", type=Path, metavar="FILE", help="a checkpoint whose weights begin the run")
    arg("--steps", type=int, metavar="N", help="steps in all, 20000 by default; more of them extend a run")
    arg("--batch", type=int, metavar="N", help="examples in a step (4)")
    arg("--crop-s", type=float, metavar="S", help="seconds of an example (3)")
    arg("--learning-rate", type=float, metavar="X", help="of AdamW (0.0015)")
    arg("--warm-up", type=int, metavar="N", help="steps in which it rises (200)")
    arg("--cool-down", type=float, metavar="PART", help="of all steps in which it falls to nothing (0.3)")
    arg("--weight-decay", type=float, metavar="X")
    arg("--clip", type=float, metavar="X", help="norm that gradients are cut to (5)")
    arg("--ema", type=float, metavar="X", help="decay of the weights' running mean (0.999)")
    arg("--loss", metavar="NAME", help="sdr, l1 or mse (default: what the network's paper used)")
    arg("--precision", choices=("auto", "float32", "bfloat16", "float16"))
    arg("-d", "--device", choices=("cpu", "cuda", "mps", "auto"))
    arg("--no-augmentation", action="store_true", help="songs as they are, cut at random places")
    arg("--compile", action="store_true", help="torch.compile: pays on a GPU")
    arg("--seed", type=int, metavar="N")
    arg("--workers", type=int, metavar="N", help="processes that read songs (1)")
    arg("--threads", type=int, metavar="N", help="threads of torch (default: its own choice)")
    arg("--validate-every", type=int, metavar="N", help="steps (1000)")
    arg("--validation-s", type=float, metavar="S", help="how much of each song, where most stems sound (24)")
    arg("--save-every", type=int, metavar="N", help="steps (200)")
    arg("--licence", help="of the songs' weights, for the checkpoint")
    arg("--sources", help="where the songs come from, for the checkpoint")
    arg("--json", action="store_true", help="one JSON object per report on standard output")


def run(arguments: argparse.Namespace) -> int:
    """Train, reporting; return 0 when the run is complete."""
    try:
        config = json.loads(arguments.config) if arguments.config else {}
    except json.JSONDecodeError as error:
        raise UsageError(f'--config must be a JSON object such as {{"width": 64}}: {error}') from error
    if not isinstance(config, dict):
        raise UsageError(f"--config must be a JSON object; got {arguments.config}")
    data = [*arguments.data, *([arguments.synth] if arguments.synth else [])]
    weights = arguments.weight
    if weights and arguments.synth and len(weights) == len(arguments.data):
        weights = [*weights, 1.0]
    given: dict[str, Any] = {name: getattr(arguments, name) for name in _FIELDS}
    from stembridge.model.errors import ArgumentTypeError, ArgumentValueError, ModelMissingError
    from stembridge.model.training.spec import TrainingSpec

    try:
        spec = TrainingSpec(
            network="band-mixer" if arguments.model == "default" else arguments.model,
            out=arguments.out or Path("runs") / arguments.model,
            data=tuple(data),
            data_weights=tuple(weights),
            validation=tuple(arguments.validation),
            config=config,
            augmentation=not arguments.no_augmentation,
            device=arguments.device or "auto",
            compile=arguments.compile,
            start_from=arguments.start_from,
            **{name: value for name, value in given.items() if value is not None},
        )
        from stembridge.model.training.trainer import train  # brings torch: after all that can be wrong

        with closing(train(spec)) as reports, ProgressPrinter(quiet=arguments.json) as printer:
            for report in reports:
                _show(report, printer, arguments.json)
    except (ArgumentTypeError, ArgumentValueError, ModelMissingError) as error:
        raise UsageError(str(error)) from error
    weights = spec.out / ("best.safetensors" if spec.validation else "last.safetensors")
    print(json.dumps({"weights": str(weights)}) if arguments.json else weights)
    return 0


def _show(report: Any, printer: ProgressPrinter, as_json: bool) -> None:
    if as_json:
        facts = {key: value for key, value in vars(report).items() if value is not None}
        print(json.dumps(facts), flush=True)
        return
    left = round(report.eta_s)
    state = (
        f"loss {report.loss:.3f}, {report.audio_s_per_s:.0f}x real time, "
        f"{left // 3600}:{left // 60 % 60:02d}:{left % 60:02d} left"
    )
    printer.show(state, f"step {report.step}", report.step / report.steps)
    if report.validation is not None:
        scores = ", ".join(f"{name} {value:.2f}" for name, value in report.validation.items())
        printer.note(f"step {report.step}: SDR in dB: {scores}{' (best so far)' if report.best else ''}")
