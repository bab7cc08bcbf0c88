"""A report as one page of HTML: nothing is fetched, nothing runs, light and dark and print are served."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from html import escape
from typing import Any
from urllib.parse import quote

from . import charts
from .sheet import Made, Sheet
from .style import COLOURS, STYLE


def document(title: str, body: Iterable[str]) -> Iterable[str]:
    """A whole page, in pieces."""
    yield (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>\n"
    )
    yield from body
    yield "</body></html>\n"


def song_article(sheet: Sheet) -> str:
    """Everything about one song."""
    head = f"<h1>{escape(sheet.title)}</h1><p class='soft'>{escape(sheet.source)}</p>"
    parts = [head, _summary(sheet)]
    if sheet.before is not None or sheet.made:
        parts.append(_levels(sheet))
        parts += _pictures(sheet)
    if sheet.chain:
        rows = ([one.line, one.plugin, _settings(one.parameters)] for one in sheet.chain)
        parts.append(_section("Chain", _table(["sound", "plug-in", "settings"], rows)))
    if sheet.figures:
        rows = (
            [key.replace("_", " "), _text(value)] for key, value in sheet.figures.items() if value is not None
        )
        parts.append(_section("Settings and figures", _table(["", ""], rows)))
    if sheet.messages:
        listed = ([f"M{message.number}", message.text] for message in sheet.messages)
        parts.append(_section("Messages", _table(["", ""], listed)))
    if sheet.timings:
        times = ([stage, f"{seconds:.2f} s"] for stage, seconds in sheet.timings.items())
        parts.append(_section("Time taken", _table(["stage", "time"], times, numbers={1})))
    return f"<article>{''.join(parts)}</article>\n"


BATCH_HEAD = ("song", "status", "LUFS before", "LUFS after", "true peak", "LRA", "null depth", "time")


def batch_row(sheet: Sheet) -> dict[str, Any]:
    """One song in a batch: plain data."""
    before, after = sheet.before, sheet.after
    return {
        "song": sheet.title,
        "source": sheet.source,
        "kind": sheet.kind,
        "status": sheet.status,
        "files": [made.file for made in sheet.made],
        "lufs_before": before.lufs if before is not None else None,
        "lufs_after": after.lufs if after is not None else None,
        "true_peak_dbtp": after.true_peak_dbtp if after is not None else None,
        "range_lu": after.range_lu if after is not None else None,
        "null_db": sheet.figures.get("null_db"),
        "seconds": sheet.seconds,
        "messages": [str(message) for message in sheet.messages],
    }


def batch_article(title: str, rows: Sequence[Mapping[str, Any]], links: Mapping[str, str]) -> str:
    """All songs in one table, those that failed with their reason; `links` are pages by source."""
    counts = {
        status: sum(row["status"] == status for row in rows) for status in ("done", "skipped", "failed")
    }
    said = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    lines = []
    for row in rows:
        name = escape(row["song"])
        if link := links.get(row["source"]):
            name = f'<a href="{quote(link)}">{name}</a>'
        if row["status"] == "failed":
            why = escape("; ".join(row["messages"]))
            lines.append(
                f"<tr><td>{name}</td><td class='failed' colspan='{len(BATCH_HEAD) - 1}'>{why}</td></tr>"
            )
            continue
        cells = [
            _level(row["lufs_before"]), _level(row["lufs_after"]), _level(row["true_peak_dbtp"]),
            _level(row["range_lu"]), _level(row["null_db"]), f"{row['seconds']:.1f} s",
        ]  # fmt: skip
        numbers = "".join(f"<td class='n'>{cell}</td>" for cell in cells)
        lines.append(f"<tr><td>{name}</td><td>{row['status']}</td>{numbers}</tr>")
    head = "".join(f"<th{' class=n' if n > 1 else ''}>{text}</th>" for n, text in enumerate(BATCH_HEAD))
    body = "".join(lines)
    table = f"<div class='wide'><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    return (
        f"<article><h1>{escape(title)}</h1><p class='soft'>{len(rows)} songs: {said}</p>{table}</article>\n"
    )


def _summary(sheet: Sheet) -> str:
    status = f"<span class='failed'>{sheet.status}</span>" if sheet.status == "failed" else sheet.status
    parts = [sheet.kind, status]
    if sheet.before is not None:
        before = sheet.before
        minutes, seconds = divmod(before.seconds, 60)
        parts.append(f"{int(minutes)}:{seconds:05.2f}, {before.sample_rate} Hz, {_channels(before.channels)}")
    if (null_db := sheet.figures.get("null_db")) is not None:
        parts.append(f"stems null against the song at {null_db:.1f} dB")
    return f"<p>{' &middot; '.join(parts)}</p>"


def _levels(sheet: Sheet) -> str:
    measured = [("before", sheet.before), *((made.name, made.survey) for made in sheet.made)]
    rows = []
    for name, survey in measured:
        if survey is None:
            continue
        levels = (
            survey.lufs, survey.range_lu, survey.momentary_max_lufs, survey.short_term_max_lufs,
            survey.sample_peak_dbfs, survey.true_peak_dbtp,
        )  # fmt: skip
        rows.append([name, *map(_level, levels), str(survey.clipped)])
    head = [
        "",
        "LUFS",
        "LRA, LU",
        "momentary max",
        "short-term max",
        "peak, dBFS",
        "true peak, dBTP",
        "clipped",
    ]
    return _section("Levels", _table(head, rows, numbers=set(range(1, len(head)))))


def _pictures(sheet: Sheet) -> Iterable[str]:
    drawn = [("before", sheet.before, 0)] if sheet.before is not None else []
    files: Sequence[Made] = [made for made in sheet.made if made.survey is not None]
    surveys = [(name, survey, colour) for name, survey, colour in drawn if survey.lows]
    for number, made in enumerate(files):
        if made.survey is not None and made.survey.lows:
            surveys.append((made.name, made.survey, 1 + number % (COLOURS - 1)))
    if not surveys:
        return
    yield _section("Waveform", charts.waveforms(surveys))
    whole = [one for one in surveys if one[1] in (sheet.before, sheet.after)]
    yield _section("Loudness over time, LUFS", charts.loudness(whole or surveys[:1]))
    yield _section("Spectrum, dB per third octave", charts.spectra(surveys))


def _section(title: str, inside: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{inside}</section>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Collection[int] = ()) -> str:
    def cells(tag: str, row: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{' class=n' if n in numbers else ''}>{escape(cell)}</{tag}>" for n, cell in enumerate(row)
        )

    top = f"<thead><tr>{cells('th', head)}</tr></thead>" if any(head) else ""
    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f"<div class='wide'><table>{top}<tbody>{body}</tbody></table></div>"


def _level(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _channels(count: int) -> str:
    return {1: "mono", 2: "stereo"}.get(count, f"{count} channels")


def _settings(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} = {_text(value)}" for key, value in values.items()) or "as they come"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
