"""Listeners on objects of Live, remembered, so that every one of them is taken off again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Listeners:
    """All listeners of one owner."""

    def __init__(self) -> None:
        self._held: list[tuple[Any, str, Callable[[], None]]] = []

    def add(self, target: Any, name: str, callback: Callable[[], None]) -> None:
        """Listen to a property of an object."""
        getattr(target, f"add_{name}_listener")(callback)
        self._held.append((target, name, callback))

    def alive(self) -> bool:
        """Whether all are still on: a new object may lie where a deleted one was."""
        try:
            return all(
                bool(getattr(target, f"{name}_has_listener")(callback))
                for target, name, callback in self._held
            )
        except Exception:  # whatever Live raises for an object that is gone
            return False

    def clear(self) -> None:
        """Take all off; objects that are gone took theirs with them."""
        for target, name, callback in self._held:
            try:
                if getattr(target, f"{name}_has_listener")(callback):
                    getattr(target, f"remove_{name}_listener")(callback)
            except Exception:  # the object is gone
                continue
        self._held = []
