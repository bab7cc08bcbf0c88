"""OSC 1.0 address patterns: what they reach, and that no pattern takes long."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stembridge.bridge.addresses import value_addresses
from stembridge.bridge.desk import STEMS
from stembridge.bridge.osc.patterns import is_pattern, matching

ADDRESSES = list(value_addresses(STEMS))


@pytest.mark.parametrize(
    ("pattern", "reached"),
    [
        ("/stem/*/gain", ["drums", "bass", "other", "vocals", "residual"]),
        ("/stem/{vocals,bass}/gain", ["bass", "vocals"]),
        ("/stem/?????/gain", ["drums", "other"]),
        ("/stem/[a-d]*/gain", ["drums", "bass"]),
        ("/stem/[!a-d]*/gain", ["other", "vocals", "residual"]),
        ("/stem/*s/g*n", ["drums", "bass", "vocals"]),
        ("/st{em,ring}/vocals/gain", ["vocals"]),
        ("/stem/**v**s/gain", ["vocals"]),
        ("/stem/{v,vo,voc}{cals,als}/gain", ["vocals"]),
        ("/stem/[vx-]ocals/gain", ["vocals"]),
    ],
)
def test_reach(pattern: str, reached: list[str]) -> None:
    assert matching(pattern, ADDRESSES) == [f"/stem/{stem}/gain" for stem in reached]


@pytest.mark.parametrize(
    "pattern",
    [
        "/*",
        "/stem/*",
        "/stem/vocals*",
        "/stem/[vocals/gain",
        "/stem/{vocals/gain",
        "stem/*/gain",
        "/stem/*/gain/",
        "/*/*/*/*",
    ],
)
def test_reach_nothing(pattern: str) -> None:
    """A star stays between its slashes, and what is malformed reaches nothing."""
    assert matching(pattern, ADDRESSES) == []


def test_master_is_reached_too() -> None:
    assert matching("/master/*", ADDRESSES) == ["/master/gain", "/master/mute"]


def test_no_more_than_so_many() -> None:
    assert len(matching("/*/*/*", [f"/a/{n}/b" for n in range(1000)])) == 64


def test_plain_addresses_are_no_patterns() -> None:
    assert not any(is_pattern(address) for address in ADDRESSES)
    assert is_pattern("/stem/[v]ocals/gain")


@pytest.mark.parametrize(
    "pattern",
    [
        "/stem/" + "*" * 200 + "x/gain",
        "/stem/" + "*a" * 110 + "/gain",
        "/stem/" + "?*" * 110 + "/gain",
        "/stem/" + "{,a,ab,b}" * 25 + "/gain",
        "/stem/" + "[!-~]*" * 35 + "x",
        "*" * 100_000,
    ],
)
def test_no_pattern_takes_long(pattern: str) -> None:
    words = [f"/stem/{'a' * 30}{n}/gain" for n in range(100)]
    began = time.process_time()
    matching(pattern, [*ADDRESSES, *words])
    # A bound on work, not on speed: a matcher that goes back takes minutes for these.
    assert time.process_time() - began < 1.0


@settings(max_examples=300)
@given(
    st.lists(st.sampled_from(["*", "?", "a", "b", "[ab]", "[!a]", "{a,bb}", "{b,}"]), max_size=8),
    st.text("abc", max_size=8),
)
def test_same_as_a_regular_expression(pieces: list[str], word: str) -> None:
    meanings = {"*": ".*", "?": ".", "[!a]": "[^a]", "{a,bb}": "(?:a|bb)", "{b,}": "(?:b|)"}
    expression = "".join(meanings.get(piece, piece) for piece in pieces)
    expected = re.fullmatch(expression, word) is not None
    assert (matching("/" + "".join(pieces), ["/" + word]) == ["/" + word]) == expected
