"""Reports on disk: a folder of pages, or one page; as the songs come, in flat memory, whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..rendering.output_file import output_error
from .page import batch_article, batch_row, document, song_article
from .sheet import SCHEMA, Sheet

_PAGES = {".html", ".htm"}
_AT_ONCE = 1 << 20


class ReportWriter:
    """Writes the reports of songs as they are done, and at the end that of the batch.

    `path` is a page (`report.html`, with `report.json` beside it), the data alone (`report.json`), or a
    folder, which gets a page and the data per song, and `index.html` and `index.json`.

    Raises OutputError or DiskFullError where nothing can be written.
    """

    def __init__(self, path: Path, title: str = "Stembridge report") -> None:
        self.path = path
        self._title = title
        self._file = path.suffix.lower() in _PAGES or path.suffix.lower() == ".json"
        self._rows: list[dict[str, Any]] = []
        self._links: dict[str, str] = {}
        self._taken: set[str] = {"index"}
        folder = path.parent if self._file else path
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # What one page holds of each song waits here until the table above it is known.
            self._articles = tempfile.TemporaryFile("w+", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115
            self._data = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115
        except OSError as error:
            raise output_error(error, path) from error

    def add(self, sheet: Sheet) -> None:
        """Take the next song; in a folder, its page is there from then on."""
        self._rows.append(batch_row(sheet))
        if self._file:
            self._articles.write(song_article(sheet))
            self._data.write(_json(sheet.to_json()) + "\n")
            return
        name = self._name(Path(sheet.title).stem)
        self._links[sheet.source] = f"{name}.html"
        _write(self.path / f"{name}.json", [_json(sheet.to_json())])
        _write(self.path / f"{name}.html", document(sheet.title, [song_article(sheet)]))

    def close(self) -> None:
        """Write what is about all songs; twice is fine."""
        if self._articles.closed:
            return
        if self._file:
            if self.path.suffix.lower() in _PAGES:
                _write(self.path, document(self._title, self._one_page()))
            _write(self.path.with_suffix(".json"), self._all_data())
        else:
            article = batch_article(self._title, self._rows, self._links)
            _write(self.path / "index.html", document(self._title, [article]))
            _write(self.path / "index.json", [_json({"schema": SCHEMA, "songs": self._rows})])
        self._articles.close()
        self._data.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _one_page(self) -> Iterator[str]:
        if len(self._rows) != 1:
            yield batch_article(self._title, self._rows, {})
        self._articles.seek(0)
        while text := self._articles.read(_AT_ONCE):
            yield text

    def _all_data(self) -> Iterator[str]:
        self._data.seek(0)
        yield f'{{"schema": {SCHEMA}, "songs": ['
        for number, line in enumerate(self._data):
            yield (",\n" if number else "\n") + line.rstrip("\n")
        yield "\n]}"

    def _name(self, stem: str) -> str:
        """A file name no other song has; upper and lower case count as the same."""
        name, number = stem, 1
        while name.casefold() in self._taken:
            number += 1
            name = f"{stem} ({number})"
        self._taken.add(name.casefold())
        return name


def write_report(path: Path, sheets: Iterable[Sheet], title: str = "Stembridge report") -> None:
    """Write the reports of songs at once; see `ReportWriter`."""
    with ReportWriter(path, title) as writer:
        for sheet in sheets:
            writer.add(sheet)


def _json(data: dict[str, Any]) -> str:
    return json.dumps(data, allow_nan=False, default=str)


def _write(path: Path, pieces: Iterable[str]) -> None:
    """A whole file or none."""
    part = path.with_name(f".stembridge-{os.getpid()}.{path.name[-40:]}.part")
    try:
        with part.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            for text in pieces:
                file.write(text)
            file.write("\n")
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise output_error(error, path) from error
