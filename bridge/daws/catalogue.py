"""Which links there are, and how each is made from text: `reaper:mode=import,send_port=8001`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, cast, get_args

from stembridge.model.errors import ArgumentValueError

from ..hub import Hub
from .link import DawLink, Mode

LINKS: Mapping[str, tuple[str, str]] = {
    "ardour": ("ardour", "ArdourLink"),
    "reaper": ("reaper", "ReaperLink"),
    "live": ("live", "LiveLink"),
    "abletonosc": ("abletonosc", "AbletonOscLink"),
    "mcu": ("mcu", "McuLink"),
}
"""Name -> module here, class. What its constructor takes by keyword are its options."""


class LinkError(ArgumentValueError):
    """A link that there is not, or an option that it does not have."""


def check_link(name: str, options: Mapping[str, str]) -> None:
    """Raises LinkError for a name or an option that does not exist, or a value that cannot be."""
    _arguments(name, options)


def make_link(hub: Hub, name: str, options: Mapping[str, str]) -> DawLink:
    """A link of a name, with options as text. Raises LinkError."""
    arguments = _arguments(name, options)
    return cast(DawLink, _kind(name)(hub, **arguments))


def _kind(name: str) -> Any:
    if name not in LINKS:
        raise LinkError(f"no link to {name!r}; there are {', '.join(LINKS)}")
    module, kind = LINKS[name]
    return getattr(import_module(f".{module}", __package__), kind)


def _arguments(name: str, options: Mapping[str, str]) -> dict[str, object]:
    parameters = inspect.signature(_kind(name)).parameters.values()
    known = {one.name: one for one in parameters if one.kind is one.KEYWORD_ONLY}
    arguments: dict[str, object] = {}
    for key, text in options.items():
        if key not in known:
            raise LinkError(f"the link to {name} has no option {key!r}; it has {', '.join(known)}")
        arguments[key] = _value(name, key, str(known[key].annotation), text)
    return arguments


def _value(name: str, key: str, annotation: str, text: str) -> object:
    """An option as its constructor wants it; annotations are text, for they are never evaluated here."""
    wanted = annotation.removesuffix(" | None")
    try:
        if wanted == "Mode" and text not in get_args(Mode):
            raise ValueError
        makes: dict[str, Any] = {"int": int, "float": float, "Path": lambda path: Path(path).expanduser()}
        return makes.get(wanted, str)(text)
    except ValueError:
        meant = {"Mode": f"one of {', '.join(get_args(Mode))}", "int": "a whole number", "float": "a number"}
        raise LinkError(f"the link to {name}: {key} is {meant[wanted]}; got {text!r}") from None
