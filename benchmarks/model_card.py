"""Turn a training run into what ships: float16 weights with their figures, and a model card beside them.

    python benchmarks/model_card.py runs/mine band-mixer --real real.json --composed composed.json --bank BANK

The figures come from `stembridge evaluate --json` of the very weights that are written, on real songs and on
composed ones; run it once without figures, measure, and run it again with them. `--bank` is the phrase bank
the songs were sung from, whose SOURCES.json names every voice.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from stembridge.model.checkpoint import SUFFIX, load_network, read_header, save_checkpoint
from stembridge.model.networks.cost import macs_per_second, parameters
from stembridge.model.registry import WEIGHTS
from stembridge.model.synth.drum_kits import sources as drum_sources
from stembridge.model.synth.soundfont import FONTS

DESCRIPTIONS = {
    "band-mixer": "our network: bands mixed along time and across frequency",
    "live": "our network, smaller and looking backwards only: for real time",
    "unet": "U-Net on magnitude patches (Jansson et al. 2017), 44.1 kHz stereo, narrow",
    "cnn-blstm": "convolutions estimate four spectrograms, a bidirectional LSTM refines them",
    "parallel-encoder": "tall and wide filters side by side, soft masks (Pepino 2019)",
}

WEAK = """\
It has only ever heard instruments from soundfonts and synthesisers, drums from sample kits, and singing
that was made from speech and a few minutes of dry voices. A live drum kit that is quiet in its mix loses
most, and so does whatever plays below 120 Hz but is neither bass nor drums. It bleeds more than networks
trained on hundreds of real songs, vocals most of all. A bass line on a synthesiser may be taken for bass
though its producer filed it under other. Screams, growls and crowds, which speech does not have, and solo
instruments that sing (saxophone, violin, slide guitar) are easily confused.
"""


def main() -> None:
    """Write both files and say how big the weights are."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="the folder that `stembridge train` left")
    parser.add_argument("name", choices=DESCRIPTIONS)
    parser.add_argument("--real", type=Path, help="figures on real songs")
    parser.add_argument("--composed", type=Path, help="figures on composed songs that were held back")
    parser.add_argument("--songs", default="four CC0 songs", help="what the real songs are, in a few words")
    parser.add_argument("--bank", type=Path, required=True)
    parser.add_argument("--speed", type=float, help="seconds of audio per second of one core")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    arguments = parser.parse_args()

    best = arguments.run / f"best{SUFFIX}"
    trained = read_header(best)
    facts: dict[str, Any] = {
        "description": DESCRIPTIONS[arguments.name],
        "licence": "GPL-3.0-or-later",
        "step": trained.facts["step"],
        "training_data": "procedural songs of `stembridge synth`; sources and credits in the model card",
        "training": {
            key: value
            for key, value in trained.facts["training"].items()
            if key not in ("data", "validation", "out", "start_from")
        },
        "validation_sdr_db": trained.facts.get("validation_sdr_db", {}),
    }
    real = figures(arguments.real, arguments.name)
    composed = figures(arguments.composed, arguments.name)
    if real:
        facts |= {
            "sdr_db": {name: round(value, 2) for name, value in sdr(real).items()},
            "sdr_songs": arguments.songs,
        }
    if arguments.speed:
        facts["speed"] = arguments.speed
    network = load_network(best)
    arguments.out.mkdir(exist_ok=True)
    header = save_checkpoint(arguments.out / f"{arguments.name}{SUFFIX}", network, facts, half=True)
    card = "\n".join(
        [
            f"# {arguments.name}",
            "",
            f"{DESCRIPTIONS[arguments.name][0].upper()}{DESCRIPTIONS[arguments.name][1:]}.",
            "",
            f"- Architecture: `{trained.network}`, {parameters(network) / 1e6:.2f} million parameters, "
            f"{macs_per_second(network) / 1e9:.2f} GMAC per second of audio; {header.bytes / 1e6:.1f} MB.",
            f"- Trained for {trained.facts['step']} steps of {batch(trained.facts)}, loss "
            f"`{trained.facts['training'].get('loss') or network.loss}`.",
            "- Licence of the weights: GPL-3.0-or-later.",
            f"- SHA-256 of the tensors: `{header.sha256}`",
            "",
            "## Figures",
            "",
            *table("real songs: " + arguments.songs, real),
            *table("composed songs, voices, kits and instruments unheard in training", composed),
            "## What it is bad at",
            "",
            WEAK,
            "",
            "## What it was trained on",
            "",
            "Songs composed, played, sung and mixed by `stembridge synth`; no recording of a song. Voices:",
            "",
            *voices(arguments.bank),
            "",
            "Drums:",
            "",
            "- kits computed from nothing, and of Hydrogen's sampled ones those that are not held out:",
            *(f"- {name}: {licence} ({origin})" for name, licence, origin in drum_sources()),
            "",
            "Soundfonts:",
            "",
            *(
                f"- {font.file}: {font.licence} (Debian {font.debian})"
                for font in FONTS
                if font.split == "train"
            ),
            "",
        ]
    )
    (arguments.out / f"{arguments.name}.md").write_text(card, encoding="utf-8")
    print(f"{arguments.name}: {header.bytes / 1e6:.2f} MB")


def figures(path: Path | None, name: str) -> dict[str, Any]:
    """One model's summary out of `stembridge evaluate --json`; nothing without a file."""
    if path is None:
        return {}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["summary"][name]
    return found


def sdr(summary: dict[str, Any]) -> dict[str, float]:
    """Mean SDR by stem, and their average."""
    scores = {stem: summary["mean"][stem]["sdr_db"] for stem in summary["stems"]}
    known = {stem: score for stem, score in scores.items() if score is not None}
    return {**known, "average": summary["average_sdr_db"]["mean"]}


def table(what: str, summary: dict[str, Any]) -> list[str]:
    """Mean figures by stem."""
    if not summary:
        return []
    rows = [
        f"SDR in dB on {what} ({summary['songs']} songs, means):",
        "",
        "| stem | SDR | SI-SDR | BSSEval v4 SDR (median) |",
        "|---|---:|---:|---:|",
    ]
    for stem in summary["stems"]:
        mean, median = summary["mean"][stem], summary["median"][stem]
        cells = [mean["sdr_db"], mean["si_sdr_db"], median["bss_sdr_db"]]
        rows.append(f"| {stem} | {' | '.join('–' if c is None else f'{c:.2f}' for c in cells)} |")
    rows += [f"| average | {summary['average_sdr_db']['mean']:.2f} | | |", ""]
    return rows


def batch(facts: Any) -> str:
    """How much a step was."""
    training = facts["training"]
    return f"{training['batch']} examples of {training['crop_s']:g} s"


def voices(bank: Path) -> list[str]:
    """Every voice by engine and licence."""
    groups: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for voice in json.loads((bank / "SOURCES.json").read_text(encoding="utf-8"))["voices"]:
        groups[voice["engine"], voice["licence"]].append(str(voice["voice"]))
    return [
        f"- {engine}, {licence}: {', '.join(sorted(names))}"
        for (engine, licence), names in sorted(groups.items())
    ]


if __name__ == "__main__":
    main()
