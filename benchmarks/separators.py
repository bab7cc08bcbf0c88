"""What separators, and the plainest ways there are, do to real songs: Markdown tables.

python benchmarks/separators.py SONGS_DIR [--models classic,repet,hpss] [--baselines] [-o TABLE.md]

SONGS_DIR holds one folder per song with its stems as audio files (drums, bass, other, vocals). The mix is
their sum. Every song and model runs in a process of its own; time is that of separating alone, memory the
peak of the process.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from baselines import centre_split, repet_split, split
from processes import machine
from stembridge.model.errors import StembridgeError
from stembridge.model.evaluation.evaluation import SongScore, Task
from stembridge.model.evaluation.runs import run_all
from stembridge.model.evaluation.songs import worth_evaluating
from stembridge.model.evaluation.summary import Results
from stembridge.model.evaluation.tables import markdown
from stembridge.model.evaluation.yardsticks import BASELINES, ORACLES, MakeYardstick
from stembridge.model.registry import resolve
from stembridge.model.training.tracks import find_tracks

PLAIN: dict[str, MakeYardstick] = {
    "HPSS + 180 Hz split": split,
    "REPET-SIM + HPSS + split": repet_split,
    "HPSS + split + centre mask": centre_split,
}


def main() -> None:
    """Measure, print and write the tables."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("songs", type=Path, metavar="SONGS_DIR")
    parser.add_argument("--models", default="classic,repet,hpss", help="comma-separated")
    parser.add_argument("--baselines", action="store_true", help="measure the plain ways and the oracles too")
    parser.add_argument("-o", "--out", type=Path)
    arguments = parser.parse_args()
    songs = [track for track in find_tracks(arguments.songs) if worth_evaluating(track)]
    models = [resolve(name) for name in arguments.models.split(",")]
    if arguments.baselines:
        models = [*BASELINES, *PLAIN, *models, *ORACLES]
    tasks = [Task(song, model, bss=False, yardstick=PLAIN.get(model)) for model in models for song in songs]
    scores: list[SongScore] = []
    for event in run_all(tasks):
        task = tasks[event.task]
        if isinstance(event.news, StembridgeError):
            raise SystemExit(f"{task.model} on {task.track.name} failed: {event.news}")
        if isinstance(event.news, SongScore):
            scores.append(event.news)
            print(f"{task.model}: {task.track.name}", file=sys.stderr)
    text = f"Measured on {machine()}.\n\n{markdown(Results(tuple(scores)))}"
    print(text)
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
