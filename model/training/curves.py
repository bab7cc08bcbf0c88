"""Training curves as a picture."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path


def draw_curves(rows: Sequence[Mapping[str, float]], path: Path, title: str) -> None:
    """Write a PNG of loss, validation SDR and learning rate over steps. Needs matplotlib."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 8), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    panels = figure.subplots(3, 1, sharex=True, height_ratios=(3, 3, 1))
    scored = sorted({key for row in rows for key in row if key.startswith("sdr ")})
    for panel, keys, label in zip(
        panels,
        (["loss"], scored, ["learning_rate"]),
        ("training loss", "validation SDR / dB", "learning rate"),
        strict=True,
    ):
        for key in keys:
            points = [(row["step"], row[key]) for row in rows if key in row]
            if points:
                steps, values = zip(*points, strict=True)
                panel.plot(steps, values, label=key.removeprefix("sdr "), linewidth=1.2)
        panel.set_ylabel(label)
        panel.grid(alpha=0.3)
    if scored:
        panels[1].legend(loc="lower right", ncols=3, fontsize="small")
    panels[-1].set_xlabel("step")
    part = path.with_name(path.name + ".part")
    figure.savefig(part, format="png", dpi=110)
    os.replace(part, path)
