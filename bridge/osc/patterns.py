"""OSC 1.0 address patterns, matched in time that grows with the pattern's length and no faster.

`?` is any character, `*` any number of them, `[a-c]` and `[!a-c]` one of a set or none of it, `{foo,bar}` one
of some words; none of them reaches across a slash. A pattern that is malformed matches nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

LONGEST = 256
SPECIAL = frozenset("?*[{")

_Token = tuple[str, frozenset[str] | tuple[str, ...] | str]


def is_pattern(address: str) -> bool:
    """Whether an address is a pattern."""
    return not SPECIAL.isdisjoint(address)


def matching(pattern: str, addresses: Iterable[str], most: int = 64) -> list[str]:
    """The addresses that a pattern matches, in their order, at most so many."""
    if len(pattern) > LONGEST:
        return []
    wanted = [_tokens(part) for part in pattern.split("/")]
    if any(tokens is None for tokens in wanted):
        return []
    # Addresses are made of few different words: each word is looked at once for each part.
    known: dict[tuple[int, str], bool] = {}
    found: list[str] = []
    for address in addresses:
        parts = address.split("/")
        if len(parts) == len(wanted) and all(
            _known(known, place, tokens or (), part)
            for place, (tokens, part) in enumerate(zip(wanted, parts, strict=True))
        ):
            found.append(address)
            if len(found) == most:
                break
    return found


def _known(known: dict[tuple[int, str], bool], place: int, tokens: tuple[_Token, ...], part: str) -> bool:
    if (place, part) not in known:
        known[place, part] = _matches(tokens, part)
    return known[place, part]


@lru_cache(maxsize=256)
def _tokens(part: str) -> tuple[_Token, ...] | None:
    """A pattern's part between slashes in pieces; None for one that is malformed."""
    tokens: list[_Token] = []
    place = 0
    while place < len(part):
        character = part[place]
        place += 1
        if character == "*":
            if not tokens or tokens[-1][0] != "*":
                tokens.append(("*", ""))
        elif character == "?":
            tokens.append(("?", ""))
        elif character in "[{":
            end = part.find("]" if character == "[" else "}", place)
            if end < 0:
                return None
            inside = part[place:end]
            tokens.append(_set(inside) if character == "[" else ("{", tuple(inside.split(","))))
            place = end + 1
        else:
            tokens.append(("=", character))
    return tuple(tokens)


def _set(inside: str) -> _Token:
    kind = "!" if inside.startswith("!") else "["
    inside = inside.removeprefix("!")
    members: set[str] = set()
    place = 0
    while place < len(inside):
        if inside[place + 1 : place + 2] == "-" and place + 2 < len(inside):
            members.update(
                chr(code) for code in range(ord(inside[place]), min(ord(inside[place + 2]), 126) + 1)
            )
            place += 3
        else:
            members.add(inside[place])
            place += 1
    return kind, frozenset(members)


def _matches(tokens: tuple[_Token, ...], text: str) -> bool:
    """Whether text matches: the set of places in it that the tokens so far can have led to."""
    places = {0}
    for kind, what in tokens:
        if kind == "*":
            places = set(range(min(places), len(text) + 1))
        elif kind == "{":
            places = {place + len(word) for place in places for word in what if text.startswith(word, place)}
        else:
            places = {place + 1 for place in places if place < len(text) and _fits(kind, what, text[place])}
        if not places:
            return False
    return len(text) in places


def _fits(kind: str, what: object, character: str) -> bool:
    if kind == "=":
        return what == character
    if kind == "?":
        return True
    return (character in what) == (kind == "[")  # type: ignore[operator]
