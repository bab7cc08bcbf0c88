"""One request at a time to a script that runs in REAPER, through files: its Lua has no sockets.

`request.json` appears whole; the script that takes it renames it to `taken.json` (of two REAPERs, one can)
and writes `answer.json` beside it. A request that nobody takes is withdrawn.
"""

from __future__ import annotations

import asyncio
import json
import os
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import platformdirs

from ..hub import Refusal

LISTENER = "Stembridge - listen for imports"
"""The script that answers, as REAPER's list of actions names it."""
_POLL_S = 0.05
_LARGEST_BYTES = 1 << 20


def default_folder() -> Path:
    """Where bridge and script look for each other when nothing else is said."""
    return platformdirs.user_data_path("stembridge", appauthor=False) / "reaper"


class Mailbox:
    """Our end."""

    def __init__(self, folder: Path, *, taken_s: float = 5.0, answered_s: float = 60.0) -> None:
        """`taken_s`: how long a running script may need to notice; `answered_s`: and to do the work."""
        self.folder = folder
        self._taken_s = taken_s
        self._answered_s = answered_s
        self._turn = asyncio.Lock()

    async def ask(self, action: str, **content: Any) -> Mapping[str, Any]:
        """Have the script do something; return its answer.

        Raises Refusal: `daw_offline` where no script listens or it does not answer, else what it says.
        """
        async with self._turn:
            number = uuid.uuid4().hex
            request = {"schema": 1, "id": number, "action": action, **content}
            try:
                await asyncio.to_thread(self._post, request)
                if not await self._comes(self._is_taken, self._taken_s) and await asyncio.to_thread(
                    self._withdraw
                ):
                    raise Refusal(
                        "daw_offline",
                        f"no script in REAPER listens: run “{LISTENER}” from its list of actions "
                        f"(it looks in {self.folder})",
                    )
                if not await self._comes(lambda: self._answer(number) is not None, self._answered_s):
                    raise Refusal(
                        "daw_offline",
                        f"REAPER took the request and did not answer within {self._answered_s:g} seconds: "
                        "see whether a window of it waits for an answer",
                    )
                answer = await asyncio.to_thread(self._answer, number)
            except OSError as error:
                raise Refusal("internal", f"{self.folder} cannot be used: {error}") from error
            finally:
                await asyncio.to_thread(self._clear)
        if answer is None or answer.get("ok") is not True:
            said = answer or {}
            raise Refusal(
                str(said.get("code", "internal")), str(said.get("text", "REAPER gave no reason"))[:500]
            )
        return answer

    async def _comes(self, there: Callable[[], bool], seconds: float) -> bool:
        until = asyncio.get_running_loop().time() + seconds
        while not await asyncio.to_thread(there):
            if asyncio.get_running_loop().time() >= until:
                return False
            await asyncio.sleep(_POLL_S)
        return True

    def _post(self, request: Mapping[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._clear()
        part = self.folder / "request.part"
        part.write_text(json.dumps(request), encoding="utf-8")
        os.replace(part, self.folder / "request.json")

    def _is_taken(self) -> bool:
        return not (self.folder / "request.json").exists()

    def _withdraw(self) -> bool:
        """Take a request back; False where it has been taken at the last moment."""
        try:
            (self.folder / "request.json").unlink()
        except FileNotFoundError:
            return False
        return True

    def _answer(self, number: str) -> dict[str, Any] | None:
        try:
            with (self.folder / "answer.json").open("rb") as file:
                answer = json.loads(file.read(_LARGEST_BYTES))
        except (FileNotFoundError, ValueError):
            return None
        return answer if isinstance(answer, dict) and answer.get("id") == number else None

    def _clear(self) -> None:
        for name in ("request.part", "request.json", "taken.json", "answer.json"):
            (self.folder / name).unlink(missing_ok=True)
