"""What a training run leaves: two checkpoints and its curves, each complete at any moment.

`last.safetensors` holds the weights and all that training goes on from; `best.safetensors` the running
mean of the weights where it scored best, which is what separates. `curves.csv` has a row per validation
or report; after a crash, rows newer than the checkpoint are dropped, so that the curve continues.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import ArgumentValueError

Row = dict[str, float]


class RunFolder:
    """The folder of one run; made when it is not there."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.last = folder / "last.safetensors"
        self.best = folder / "best.safetensors"
        self.curves = folder / "curves.csv"
        self.picture = folder / "curves.png"

    def rows(self) -> list[Row]:
        """The curves so far. Raises ArgumentValueError when the file is not one of ours."""
        if not self.curves.exists():
            return []
        with self.curves.open(newline="", encoding="utf-8") as file:
            try:
                return [
                    {key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)
                ]
            except (TypeError, ValueError, AttributeError) as error:
                raise ArgumentValueError(
                    f"{self.curves}: not the curves of a training run ({error})"
                ) from error

    def write_rows(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Replace the curves, at once or not at all."""
        columns = list(dict.fromkeys(key for row in rows for key in row))
        text = io.StringIO(newline="")
        table = csv.DictWriter(text, columns, lineterminator="\n")
        table.writeheader()
        table.writerows({key: f"{value:.6g}" for key, value in row.items()} for row in rows)
        part = self.curves.with_suffix(".csv.part")
        part.write_text(text.getvalue(), encoding="utf-8")
        os.replace(part, self.curves)
