"""The list half of a board: what it may hold, and edits that are safe while it processes."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, MutableSequence, Sequence
from typing import Any, Self, SupportsIndex, overload

import pedalboard

from ..errors import ArgumentTypeError, ArgumentValueError
from .effect import Effect
from .items import Item, walk
from .native_leaf import check_native, children


class PluginList(MutableSequence[Item]):
    """A list of plug-ins, effects and None that checks what is put in.

    Edits make a new tuple in one step and never wait for sound that is being processed; whoever reads
    `items` keeps what it read.
    """

    def __init__(self, plugins: Sequence[Any] | pedalboard.Chain | None = None) -> None:
        self._edits = threading.RLock()
        self.items: tuple[Item, ...] = tuple(self._accept(item) for item in _listed(plugins))

    @overload
    def __getitem__(self, index: SupportsIndex) -> Item: ...

    @overload
    def __getitem__(self, index: slice) -> Self: ...

    def __getitem__(self, index: SupportsIndex | slice) -> Item | Self:
        if isinstance(index, slice):
            return self._sliced(index)
        return self.items[index]

    def __setitem__(self, index: SupportsIndex | slice, value: Any) -> None:
        accepted = [self._accept(item) for item in value] if isinstance(index, slice) else self._accept(value)
        self._edit("__setitem__", index, accepted)

    def __delitem__(self, index: SupportsIndex | slice) -> None:
        self._edit("__delitem__", index)

    def insert(self, index: SupportsIndex, value: Any) -> None:
        """Put a plug-in before position `index`."""
        self._edit("insert", index, self._accept(value))

    def pop(self, index: SupportsIndex = -1) -> Item:
        """Take one out and return it."""
        with self._edits:
            item = self.items[index]
            del self[index]
            return item

    def remove(self, value: Item) -> None:
        """Take out the first one that is `value`. Raises ValueError when it is not there."""
        with self._edits:
            del self[self.items.index(value)]

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items)

    def __add__(self, other: Iterable[Item]) -> Self:
        if not isinstance(other, list | tuple | PluginList | pedalboard.Chain):
            return NotImplemented
        both = self.copy()
        both.extend(_listed(other))
        return both

    def copy(self) -> Self:
        """A board of the same class with the same plug-in instances, and no stream of its own."""
        return self._sliced(slice(None))

    __copy__ = copy

    def __repr__(self) -> str:
        count = len(self)
        return f"<{type(self).__name__} with {count} plugin{'' if count == 1 else 's'}: {list(self)}>"

    def _sliced(self, cut: slice) -> Self:
        board = type(self)()
        board.items = self.items[cut]
        return board

    def _edit(self, operation: str, *arguments: Any) -> None:
        """Apply a method of list to the items, as one step."""
        with self._edits:
            items = list(self.items)
            getattr(items, operation)(*arguments)
            self.items = tuple(items)

    def _accept(self, item: object) -> Item:
        """Check one item. Raises ArgumentTypeError and ArgumentValueError."""
        if item is None:
            return None
        if isinstance(item, Effect):
            if item.is_instrument:
                raise ArgumentValueError(f"{item!r} is an instrument; a board takes effects only")
            if any(part is self for part in walk([item])):
                raise ArgumentValueError(f"a {type(self).__name__} cannot hold itself")
            return item
        if isinstance(item, pedalboard.Plugin):
            check_native(item)
            return item
        hint = ""
        if isinstance(item, type):
            hint = f" Did you mean {item.__name__}()?"
        elif isinstance(item, list | tuple):
            hint = " Put a Board([...]) there for a row, or Parallel([...]) for branches."
        raise ArgumentTypeError(
            f"a {type(self).__name__} holds pedalboard plug-ins, stembridge effects and None; got "
            f"{type(item).__name__}.{hint}"
        )


def _listed(plugins: object) -> Sequence[Any]:
    if plugins is None:
        return ()
    if isinstance(plugins, PluginList | list | tuple):
        return tuple(plugins)
    if isinstance(plugins, pedalboard.Chain):
        return tuple(children(plugins))
    raise ArgumentTypeError(f"plugins must be a list of effects; got {type(plugins).__name__}")
