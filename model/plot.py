"""Spectrograms of a song and of its stems, one under another, in one PNG on one scale of decibels.

Needs matplotlib, which comes with `pip install 'stembridge[plot]'`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import math
import os
import secrets
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from .audio import Audio, AudioInfo
from .dsp.spectrogram import Scale, Spectrogram, window_frames
from .errors import ArgumentValueError, StembridgeError
from .files.decoder import AudioReader, open_audio
from .files.sink import write_error
from .separation import Separated, StemStream
from .separators.protocol import Separator
from .units import format_time

if TYPE_CHECKING:
    from matplotlib.axes import Axes

View = Literal["all", "fg-bg"]
"""Every stem, or the foreground (the voice) and the background (everything else)."""

_BLOCK = 1 << 16
_RANGE_DB = 90.0
_DPI = 150
_FALLBACK_FONTS = (
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Hiragino Sans",
    "PingFang SC",
    "Yu Gothic",
    "SimHei",
)
_INK, _FAINT = "#24262b", "#8a8d94"


class PlottingMissingError(StembridgeError, ImportError):
    """matplotlib is not installed."""


@dataclass(frozen=True)
class Panel:
    """One spectrogram with its title. Shape: `level_db` `(rows, columns)`, rows rising in frequency."""

    title: str
    level_db: NDArray[np.float32]


@dataclass(frozen=True)
class Picture:
    """Everything that is drawn; `start_s` and `end_s` are times in the song."""

    title: str
    panels: tuple[Panel, ...]
    row_hz: NDArray[np.float64]
    scale: Scale
    start_s: float
    end_s: float


def plot_song(
    song: Path,
    out: Path,
    make_separator: Callable[[AudioInfo], Separator],
    *,
    start: int = 0,
    stop: int | None = None,
    scale: Scale = "linear",
    view: View = "all",
    progress: Callable[[float], None] = lambda fraction: None,
) -> Picture:
    """Separate a song, or its frames from `start` to `stop`, and draw it to a PNG file.

    `make_separator` makes one for a song's rate and channels. Memory does not grow with the length.
    Raises PlottingMissingError, ArgumentValueError for an empty region or another ending than `.png`,
    what the decoder raises, and OutputError.
    """
    check_matplotlib()
    if out.suffix.lower() != ".png":
        raise ArgumentValueError(f"a spectrogram is drawn to a .png file; got {out.name}")
    with open_audio(song) as reader:
        info = reader.info
        stop = info.frames if stop is None else min(stop, info.frames)
        if not 0 <= start < stop:
            raise ArgumentValueError(
                f"the region from {format_time(start / info.sample_rate)} to "
                f"{format_time(stop / info.sample_rate)} is empty: {info.path.name} lasts "
                f"{format_time(info.seconds)}"
            )
        stream = StemStream(make_separator(info))
        names = _panels(stream, view)
        margin = window_frames(info.sample_rate, scale) // 2
        before, after = min(margin, start), min(margin, info.frames - stop)
        spectra = [
            Spectrogram(
                info.sample_rate, info.channels, stop - start, scale=scale, before=before, after=after
            )
            for _ in range(1 + len(names))
        ]
        for separated in separate_region(reader, stream, start - before, stop + after, progress):
            spectra[0].push(separated.mix)
            for spectrogram, (_, rows) in zip(spectra[1:], names, strict=True):
                spectrogram.push(_sum(separated, rows))
    titles = ["mix", *(title for title, _ in names)]
    panels = [Panel(title, one.finish()) for title, one in zip(titles, spectra, strict=True)]
    times = start / info.sample_rate, stop / info.sample_rate
    title = f"{song.stem}  \N{MIDDLE DOT}  {stream.separator.name}"
    picture = Picture(title, tuple(panels), spectra[0].row_hz, scale, *times)
    write_png(picture, out)
    return picture


def separate_region(
    reader: AudioReader, stream: StemStream, start: int, stop: int, progress: Callable[[float], None]
) -> Iterator[Separated]:
    """Yield the frames `start` to `stop` as they are in the whole song: the context is separated, too."""
    begin = max(0, start - stream.context_frames)
    begin -= begin % stream.grid
    end = min(reader.info.frames, stop + stream.context_frames)
    stream.reset(begin)
    reader.seek(begin)
    read = at = begin
    while read < end:
        block = reader.read(min(_BLOCK, end - read))
        read += block.shape[1]
        separated = stream.push(block)
        yield _cut(separated, start - at, stop - at)
        at += separated.frames
        progress((read - begin) / (end - begin))
    yield _cut(stream.flush(), start - at, stop - at)


def check_matplotlib() -> None:
    """Raise PlottingMissingError, saying how to get it, where matplotlib is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        raise PlottingMissingError("drawing needs matplotlib: pip install 'stembridge[plot]'")


def write_png(picture: Picture, out: Path) -> None:
    """Draw to a file that appears whole or not at all; the same picture gives the same bytes.

    Raises OutputError or DiskFullError.
    """
    part = out.with_name(f".{out.stem}.{secrets.token_hex(4)}.part.png")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with part.open("xb") as file:
            _draw(picture, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, out)
    except OSError as error:
        raise write_error(error, out, None, 0) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _panels(stream: StemStream, view: View) -> list[tuple[str, tuple[int, ...]]]:
    """Titles under the mix, and which stems each is the sum of."""
    stems = stream.stems
    two = len(stems) == 2
    if view == "all" and not (two and "vocals" in stems):
        return [(name, (row,)) for row, name in enumerate(stems)]
    voice = "vocals" if "vocals" in stems else None
    rest = stream.separator.residual_stem
    front = tuple(row for row, name in enumerate(stems) if (name == voice if voice else name != rest))
    back = tuple(row for row in range(len(stems)) if row not in front)
    return [
        (f"{word}: {' + '.join(stems[row] for row in rows)}", rows)
        for word, rows in (("foreground", front), ("background", back))
        if rows
    ]


def _sum(separated: Separated, rows: Sequence[int]) -> Audio:
    total: Audio = separated.stems[list(rows)].sum(axis=0)
    return total


def _cut(block: Separated, first: int, last: int) -> Separated:
    first = max(0, first)
    last = max(first, last)
    return Separated(block.mix[:, first:last], block.stems[:, :, first:last], block.residual[:, first:last])


def _draw(picture: Picture, file: Any) -> None:
    import matplotlib
    from matplotlib import font_manager
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # The loudest thousandth (mostly single bass notes) may saturate, or all else would be dark.
    loudest = max(float(np.percentile(panel.level_db, 99.9)) for panel in picture.panels)
    top_db = max(5.0 * math.ceil(loudest / 5.0), -100.0)
    count = len(picture.panels)
    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()  # whatever the user's own settings are
        known = set(font_manager.get_font_names())
        families = ["DejaVu Sans", *(font for font in _FALLBACK_FONTS if font in known)]
        matplotlib.rcParams.update({"font.family": families, "font.size": 9.0, "text.color": _INK})
        matplotlib.rcParams.update({"axes.edgecolor": _FAINT, "axes.linewidth": 0.6})
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=(12.0, 1.0 + 2.1 * count), dpi=_DPI, facecolor="white")
        figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.06)
        FigureCanvasAgg(figure)
        axes = figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0]
        images = []
        for axis, panel in zip(axes, picture.panels, strict=True):
            image = axis.imshow(
                panel.level_db,
                origin="lower",
                aspect="auto",
                interpolation="antialiased",
                cmap="magma",
                vmin=top_db - _RANGE_DB,
                vmax=top_db,
                extent=(picture.start_s, picture.end_s, *_frequency_extent(picture)),
            )
            images.append(image)
            axis.set_title(panel.title, loc="left", fontsize=10, fontweight="bold", pad=4)
            _frequency_axis(axis, picture)
        _time_axis(axes[-1], picture)
        figure.supylabel("frequency (Hz)", fontsize=9)
        figure.suptitle(picture.title, fontsize=12, x=0.008, ha="left")
        bar = figure.colorbar(
            images[0], extend="both", ax=list(axes), pad=0.012, aspect=14 * count, fraction=0.03
        )
        bar.set_label("level (dB, 0 = a sine at full scale)")
        bar.outline.set_linewidth(0.6)
        figure.savefig(file, format="png", metadata={"Software": None})


def _frequency_extent(picture: Picture) -> tuple[float, float]:
    """Bottom and top edge, in Hz or, on a logarithmic axis, in powers of ten of Hz."""
    hz = picture.row_hz
    if picture.scale == "linear":
        half = (hz[1] - hz[0]) / 2
        return float(hz[0] - half), float(hz[-1] + half)
    half = (math.log10(hz[1]) - math.log10(hz[0])) / 2
    return math.log10(hz[0]) - half, math.log10(hz[-1]) + half


def _frequency_axis(axis: Axes, picture: Picture) -> None:
    bottom, top = _frequency_extent(picture)
    if picture.scale == "linear":
        step = next(s for s in (500, 1000, 2000, 5000, 10_000, 20_000) if top / s <= 5.5)
        ticks = [float(tick) for tick in range(0, int(top) + 1, step)]
        places = ticks
    else:
        ticks = [
            hz for hz in (50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4) if bottom <= math.log10(hz) <= top
        ]
        places = [math.log10(tick) for tick in ticks]
    axis.set_yticks(places, [f"{tick / 1000:g}k" if tick >= 1000 else f"{tick:g}" for tick in ticks])
    axis.tick_params(length=3, width=0.6, color=_FAINT, labelbottom=False)


def _time_axis(axis: Axes, picture: Picture) -> None:
    """Ticks at round times, at most a dozen; minutes and seconds, and what is below when it is needed."""
    length = picture.end_s - picture.start_s
    steps = (
        0.001,
        0.002,
        0.005,
        0.01,
        0.02,
        0.05,
        0.1,
        0.2,
        0.5,
        1,
        2,
        5,
        10,
        15,
        30,
        60,
        120,
        300,
        600,
        1200,
        3600,
    )
    step = next((one for one in steps if length / one <= 12), 7200.0)
    first = math.ceil(picture.start_s / step - 1e-9)
    last = math.floor(picture.end_s / step + 1e-9)
    ticks = [number * step for number in range(first, last + 1)]
    digits = max(0, -math.floor(math.log10(step))) if step < 1 else 0
    axis.set_xticks(ticks, [_clock(tick, digits) for tick in ticks])
    axis.set_xlim(picture.start_s, picture.end_s)
    axis.tick_params(labelbottom=True)
    axis.set_xlabel("time (min:s)")


def _clock(seconds: float, digits: int) -> str:
    """Minutes and seconds, `1:05`, with as many digits behind as are asked for.

    >>> _clock(65.0, 0), _clock(3605.25, 2)
    ('1:05', '60:05.25')
    """
    whole, part = divmod(round(seconds * 10**digits), 10**digits)
    text = f"{whole // 60}:{whole % 60:02d}"
    return f"{text}.{part:0{digits}d}" if digits else text
