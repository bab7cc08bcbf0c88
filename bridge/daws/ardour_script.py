"""Our script in Ardour: put where Ardour finds it, and asked through files, for Ardour's Lua has no sockets.

Two parts: an action (`stembridge.lua`) that the user gives a slot of the Script Manager once, and what it
does (`requests.lua`), which lies in a folder of ours and is read anew at every call. A request appears whole;
the script renames it to `taken` and writes `answer`. A request that nobody takes is withdrawn.
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
import shutil
import sys
import uuid
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import platformdirs

from ..hub import Refusal

Line = tuple[str, ...]
"""A kind, and its fields."""

_HERE = Path(__file__).parent / "ardour_scripts"
_POLL_S = 0.05
_LARGEST_BYTES = 1 << 20


def default_folder() -> Path:
    """Where the link and the script look for each other when nothing else is said."""
    return platformdirs.user_data_path("stembridge", appauthor=False) / "ardour"


def config_folders() -> list[Path]:
    """The configuration of every version of Ardour that has been used here."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home()))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Preferences"
    else:
        base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return sorted(path for path in base.glob("[Aa]rdour[0-9]*") if path.is_dir())


def install(folder: Path, configs: Iterable[Path] | None = None) -> list[Path]:
    """Put the script where each Ardour finds it, or bring it up to date; return where it lies now.

    `folder` is where the two look for each other. Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _write(folder / "requests.lua", (_HERE / "requests.lua").read_text(encoding="utf-8"))
    action = (_HERE / "stembridge.lua").read_text(encoding="utf-8")
    action = action.replace("@FOLDER@", _quoted(folder.as_posix()))
    if configs is None:
        configs = config_folders()
    places = [config / "scripts" / "stembridge.lua" for config in configs]
    for place in places:
        place.parent.mkdir(exist_ok=True)
        _write(place, action)
    return places


def find_slot(configs: Iterable[Path] | None = None) -> int | None:
    """The slot that our script has in the Script Manager of the Ardour that was used last; None without one.

    Ardour notes what is in its slots as soon as that changes, as Lua in base64 in `ui_scripts`.
    """
    found: list[tuple[float, int]] = []
    for config in config_folders() if configs is None else configs:
        try:
            changed = (config / "ui_scripts").stat().st_mtime
            packed = re.search(rb"<ActionScript[^>]*>([^<]*)<", (config / "ui_scripts").read_bytes())
            scripts = base64.b64decode(packed[1]) if packed else b""
        except (OSError, ValueError):
            continue
        if slot := re.search(rb'scripts\[(\d{1,3})\]\["n"\] = "Stembridge', scripts):
            found.append((changed, int(slot[1])))
    return max(found)[1] if found else None


class Requests:
    """Our end of the folder: one request at a time."""

    def __init__(
        self,
        folder: Path,
        call: Callable[[int], None],
        alive: Callable[[], bool],
        *,
        slot: int = 0,
        taken_s: float = 5.0,
        answered_s: float = 300.0,
    ) -> None:
        """`call` has Ardour run the script in a slot; `alive` says whether there is an Ardour.

        `slot`: the one our script has, 0 to look it up. `taken_s`: how long it may take to begin;
        `answered_s`: and to do the work, big files being copied.
        """
        self.folder = folder
        self._call = call
        self._alive = alive
        self._slot = slot
        self._taken_s = taken_s
        self._answered_s = answered_s
        self._turn = asyncio.Lock()

    async def ask(self, *lines: Line) -> list[Line]:
        """Have the script do something; return the lines of its answer.

        Raises Refusal: `daw_offline` where no script listens or it does not answer, else what it says.
        """
        async with self._turn:
            number = uuid.uuid4().hex
            try:
                slot = await asyncio.to_thread(self._post, [("id", number), *lines])
                self._call(slot)
                if not await self._comes(self._is_taken, self._taken_s):
                    await asyncio.to_thread(self._withdraw, slot)
                if not await self._comes(lambda: self._answer(number) is not None, self._answered_s):
                    raise Refusal(
                        "daw_offline",
                        f"Ardour took the request and did not answer within {self._answered_s:g} seconds: "
                        "see whether a window of it waits for an answer",
                    )
                answer = await asyncio.to_thread(self._answer, number) or []
            except OSError as error:
                raise Refusal("internal", f"{self.folder} cannot be used: {error}") from error
            finally:
                await asyncio.to_thread(self._clear)
        for line in answer:
            match line:
                case ("refused", code, text):
                    raise Refusal(code, text[:500])
        return answer

    async def _comes(self, there: Callable[[], bool], seconds: float) -> bool:
        until = asyncio.get_running_loop().time() + seconds
        while not await asyncio.to_thread(there):
            if not self._alive():
                raise Refusal("daw_offline", "Ardour does not answer: is it there, with OSC switched on?")
            if asyncio.get_running_loop().time() >= until:
                return False
            await asyncio.sleep(_POLL_S)
        return True

    def _post(self, lines: Sequence[Line]) -> int:
        """Leave a request; return the slot of the script that takes it."""
        for line in lines:
            if any(separator in field for field in line for separator in "\t\r\n"):
                raise Refusal(
                    "internal", f"a name with a tab or a line's end cannot be said to Ardour: {line}"
                )
        install(self.folder)
        slot = self._slot or find_slot()
        if slot is None:
            raise Refusal(
                "daw_offline",
                "Ardour's Script Manager has no “Stembridge” yet: in Edit > Lua Scripts > Script Manager, "
                "Action Scripts, choose a free action, Add/Set, Stembridge, Add; once",
            )
        self._clear()
        part = self.folder / "request.part"
        part.write_bytes(os.fsencode("".join("\t".join(line) + "\n" for line in lines)))
        os.replace(part, self.folder / "request")
        return slot

    def _is_taken(self) -> bool:
        return not (self.folder / "request").exists()

    def _withdraw(self, slot: int) -> None:
        """Take a request back, unless it has been taken at the last moment."""
        try:
            (self.folder / "request").unlink()
        except FileNotFoundError:
            return
        raise Refusal(
            "daw_offline",
            f"Ardour did not run the script “Stembridge” as action {slot} of its Script Manager: without "
            "windows it runs none, nor while one of them waits for an answer",
        )

    def _answer(self, number: str) -> list[Line] | None:
        try:
            with (self.folder / "answer").open("rb") as file:
                text = os.fsdecode(file.read(_LARGEST_BYTES))
        except FileNotFoundError:
            return None
        first, *rest = [tuple(line.split("\t")) for line in text.split("\n") if line]
        return rest if first == ("id", number) else None

    def _clear(self) -> None:
        for name in ("request.part", "request", "taken", "answer.part", "answer"):
            (self.folder / name).unlink(missing_ok=True)


class Links:
    """Files under other names for the time of an import.

    Ardour names a track after its file, and opens a window before it imports one of a path that it has seen.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "import" / uuid.uuid4().hex[:8]

    def add(self, path: Path, name: str) -> Path:
        """A path of that name to a file; its own where the system can make no links."""
        clean = "".join("_" if c in '/\\:*?"<>|' or not c.isprintable() else c for c in name)[:120].strip()
        place = self._folder / f"{clean or path.stem}{path.suffix}"
        self._folder.mkdir(parents=True, exist_ok=True)
        for link in (os.link, os.symlink):
            try:
                link(path.absolute(), place)
            except OSError:
                continue
            return place
        return path

    def clear(self) -> None:
        """Drop the names; the files stay."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _write(path: Path, text: str) -> None:
    if path.exists() and path.read_bytes() == text.encode():
        return
    part = path.with_suffix(".part")
    part.write_bytes(text.encode())
    os.replace(part, path)


def _quoted(text: str) -> str:
    """Text as Lua writes it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
