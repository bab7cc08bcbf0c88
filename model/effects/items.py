"""What boards hold, and all that is in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pedalboard

from ..errors import StateError
from .effect import Effect
from .native_leaf import children

Item = pedalboard.Plugin | Effect | None
"""What a board holds; None passes the sound through."""


def check_duplicates(items: Iterable[Item]) -> None:
    """Raise StateError if one plug-in or effect is reached twice, however deeply nested."""
    seen: dict[int, object] = {}
    for part in walk(items):
        if id(part) in seen:
            raise StateError(
                "The same plugin instance is being used multiple times in the same chain of plugins, which "
                f"would mix up its state: {part!r}. Make one instance for each place."
            )
        seen[id(part)] = part  # held, so that ids stay unique


def walk(items: Iterable[object]) -> Iterator[object]:
    """Everything in `items`, and everything in that."""
    for item in items:
        if isinstance(item, Effect):
            yield item
            yield from walk(item.parts())
        elif isinstance(item, pedalboard.Plugin):
            yield item
            yield from walk(children(item))
