"""The reports of a batch, written as its songs end: what `--report` asks for, whatever the kind of work."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from stembridge.model.errors import StembridgeError
from stembridge.model.reports.messages import Message
from stembridge.model.reports.sheet import Sheet, failed_sheet, render_sheet
from stembridge.model.reports.writer import ReportWriter

from .batches.task import SongReport


class BatchReports(list[SongReport]):
    """Takes the place of a list of what became of songs: each is written down, and not kept.

    `path` is a page, a file of data or a folder; see `ReportWriter`. `close` writes what is about all.
    """

    def __init__(self, path: Path, title: str) -> None:
        super().__init__()
        self._writer = ReportWriter(path, title)

    def append(self, report: SongReport) -> None:
        """Write one song's report, or those of an album's songs."""
        for sheet in _sheets(report):
            self._writer.add(sheet)

    def close(self) -> None:
        """Write what is about all songs; twice is fine."""
        self._writer.close()


def _sheets(report: SongReport) -> Iterator[Sheet]:
    if sheets := report.hints.get("sheets"):
        yield from cast("tuple[Sheet, ...]", sheets)
        return
    if report.status == "failed" and report.error is not None:
        error = StembridgeError(report.error.text)
        error.code = report.error.code
        yield failed_sheet("master" if report.kind == "master" else "render", report.source, error)
        return
    if report.kind == "master":  # one that was not asked to be drawn
        said = [Message(one["number"], one["text"]) for one in report.facts.get("messages", ())]
        yield Sheet("master", report.source, report.status, messages=tuple(said), seconds=report.seconds)
        return
    messages = [Message(1002, "already there")] if report.status == "skipped" else []
    if report.facts.get("cached"):
        messages.append(Message(1003, "stems came from the cache"))
    with contextlib.suppress(StembridgeError):
        yield render_sheet(
            Path(report.facts["manifest"]),
            [Path(file) for file in report.facts["files"]],
            skipped=report.status == "skipped",
            messages=messages,
            seconds=report.seconds,
        )
        return
    # What lies behind a URL is not read again: the report says what is known without.
    messages += [Message(3102, text) for text in report.warnings]
    figures = {key: report.facts.get(key) for key in ("model", "null_db", "gain_db")}
    yield Sheet(
        "render",
        report.source,
        report.status,
        figures=figures,
        messages=tuple(messages),
        seconds=report.seconds,
    )
