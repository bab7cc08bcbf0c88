"""A message: an address and its arguments, whatever carries it."""

from __future__ import annotations

from dataclasses import dataclass

Value = int | float | str | bytes | bool | None
"""What a message may carry in; only int, float and str go out."""


@dataclass(frozen=True)
class Message:
    """An OSC message, decoded."""

    address: str
    arguments: tuple[Value, ...] = ()

    def __str__(self) -> str:
        return " ".join([self.address, *(repr(argument) for argument in self.arguments)])
