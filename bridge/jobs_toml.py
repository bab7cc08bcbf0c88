"""`stembridge run JOBS.toml`: mixed work in one file, read and checked.

    schema = 1
    [defaults]
    out = "stems"
    [[job]]
    kind = "render"
    inputs = ["album/", "singles/*.flac"]
    preset = "karaoke"
    gain = { vocals = -6 }

Every key is a flag of the command that `kind` names, in snake_case. Which flags there are, and what they
take, is told by `Flag`s, which the command line makes from its parsers.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from stembridge.model.errors import StembridgeError

SCHEMA = 1

TAKES = Literal["switch", "one", "many", "pairs"]
_TYPES = {
    "switch": "true or false",
    "one": "one value",
    "many": "a value or a list of them",
    "pairs": "a table (name = value)",
}


class JobsError(StembridgeError, ValueError):
    """A file of jobs that cannot be read or says what it cannot say."""


@dataclass(frozen=True)
class Flag:
    """One flag of a command."""

    option: str
    """`--gain`."""
    takes: TAKES
    """Nothing, one value, several times a value, or several times NAME=VALUE."""
    path: Literal["never", "where there is one", "always"] = "never"
    """Whether its value is a path, which stands relative to the file of jobs."""


@dataclass(frozen=True)
class Job:
    """One `[[job]]`."""

    kind: str
    where: str
    """For messages: the file, and which job."""
    inputs: tuple[str, ...]
    arguments: tuple[str, ...]
    """The same as flags on a command line."""


def read_jobs(
    path: Path, kinds: Mapping[str, Mapping[str, Flag]], batch_keys: Iterable[str], *, watched: bool = False
) -> list[Job]:
    """Read a file of jobs and check every key of it, before any work.

    `kinds` gives per kind its flags by their names in snake_case; `batch_keys` are those that concern the
    batch as a whole and stand on the command line of `run`. With `watched`, a job may go without inputs.

    Raises JobsError naming the file, the job, the key, and the nearest key there is.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise JobsError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    except tomllib.TOMLDecodeError as error:
        raise JobsError(f"{path}: not TOML: {error}") from error
    _check_keys(f"{path}", data, ("schema", "defaults", "job"))
    if data.get("schema") != SCHEMA:
        raise JobsError(f"{path}: expected schema = {SCHEMA}; got {data.get('schema', 'none')}")
    jobs, defaults = data.get("job", []), data.get("defaults", {})
    if not isinstance(jobs, list) or not jobs or not all(isinstance(job, dict) for job in jobs):
        raise JobsError(f"{path}: expected one [[job]] or more")
    if not isinstance(defaults, dict):
        raise JobsError(f"{path}: expected a table [defaults]; got {defaults!r}")
    reader = _Reader(path, kinds, frozenset(batch_keys), watched)
    reader.check_defaults(defaults)
    return [reader.job(number, job, defaults) for number, job in enumerate(jobs, 1)]


class _Reader:
    def __init__(
        self, path: Path, kinds: Mapping[str, Mapping[str, Flag]], batch_keys: frozenset[str], watched: bool
    ) -> None:
        self._path, self._kinds, self._batch_keys, self._watched = path, kinds, batch_keys, watched
        self._folder = path.parent

    def check_defaults(self, defaults: Mapping[str, Any]) -> None:
        """Every key must mean something to some kind of job."""
        where = f"{self._path}, [defaults]"
        self._check_batch(where, defaults)
        _check_keys(where, defaults, dict.fromkeys(key for flags in self._kinds.values() for key in flags))

    def job(self, number: int, job: Mapping[str, Any], defaults: Mapping[str, Any]) -> Job:
        where = f"{self._path}, job {number}"
        kind = str(job.get("kind"))
        if kind not in self._kinds:
            near = get_close_matches(kind, self._kinds, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            got = repr(kind) if "kind" in job else "none"
            raise JobsError(f"{where}: expected kind = one of {', '.join(self._kinds)}; got {got}{hint}")
        flags = self._kinds[kind]
        self._check_batch(where, job)
        _check_keys(where, job, ("kind", "inputs", *flags))
        given = {key: value for key, value in defaults.items() if key in flags and key not in job}
        given |= {key: value for key, value in job.items() if key in flags}
        arguments: list[str] = []
        for key, value in given.items():
            arguments += self._flag(where, key, value, flags[key])
        return Job(kind, where, self._inputs(where, job.get("inputs")), tuple(arguments))

    def _check_batch(self, where: str, keys: Mapping[str, Any]) -> None:
        for key in keys:
            if key in self._batch_keys:
                option = "--" + key.replace("_", "-")
                raise JobsError(f"{where}: {key} is the whole batch's: give {option} to `stembridge run`")

    def _inputs(self, where: str, value: Any) -> tuple[str, ...]:
        if value is None and self._watched:
            return ()
        inputs = [value] if isinstance(value, str) else value
        if not isinstance(inputs, list) or not inputs or not all(isinstance(one, str) for one in inputs):
            raise JobsError(f"{where}: expected inputs = a song, folder or glob, or a list; got {value!r}")
        return tuple(self._located(one) for one in inputs)

    def _flag(self, where: str, key: str, value: Any, flag: Flag) -> list[str]:
        if flag.takes == "switch":
            if not isinstance(value, bool):
                raise self._wrong(where, key, value, flag)
            return [flag.option] if value else []
        if isinstance(value, Mapping):
            if flag.takes != "pairs":
                raise self._wrong(where, key, value, flag)
            texts = {name: self._text(flag, one, "+") for name, one in value.items()}
            items: list[Any] = [text and f"{name}={text}" for name, text in texts.items()]
        elif flag.takes == "one":
            items = [self._text(flag, value, ",")]
        else:
            items = [self._text(flag, one, ",") for one in (value if isinstance(value, list) else [value])]
        if any(item is None for item in items) or (
            flag.takes == "pairs" and not all("=" in i for i in items)
        ):
            raise self._wrong(where, key, value, flag)
        return [f"{flag.option}={item}" for item in items]

    def _text(self, flag: Flag, value: Any, joint: str) -> str | None:
        """A value as it stands on a command line; None for what cannot stand there."""
        if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
            value = joint.join(value)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return None
        if flag.path == "never" or not isinstance(value, str):
            return str(value)
        located = self._located(value)
        return located if flag.path == "always" or Path(located).is_file() else value

    def _located(self, text: str) -> str:
        """A path as seen from where the file of jobs lies; a URL stays."""
        return text if "://" in text else str(self._folder / Path(text).expanduser())

    def _wrong(self, where: str, key: str, value: Any, flag: Flag) -> JobsError:
        return JobsError(f"{where}: {key} takes {_TYPES[flag.takes]}; got {value!r}")


def _check_keys(where: str, given: Mapping[str, Any], known: Sequence[str] | Mapping[str, Any]) -> None:
    for key in given:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
            raise JobsError(f"{where}: there is no {key!r}; {hint}")
