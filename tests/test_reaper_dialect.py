"""What REAPER says, read; the stand-in for its surface and the pattern file agree with what is sent."""

from __future__ import annotations

from typing import Any

import pytest
from reaper_surface import LIKE_DEFAULT, OURS, Surface
from stembridge.bridge.daws import reaper_dialect as dialect
from stembridge.bridge.messages import Message


def known(patterns: str) -> set[str]:
    """The addresses of a pattern file."""
    return {pattern for _, _, pattern in Surface(patterns, ("127.0.0.1", 0)).table}


def test_our_pattern_file_has_what_is_sent_and_nothing_that_runs_actions() -> None:
    sent = [
        dialect.gain(3, -6.0), dialect.gain(dialect.MASTER, 0.0), dialect.switch(3, "mute", True),
        dialect.switch(3, "solo", True), dialect.switch(dialect.MASTER, "mute", True), dialect.touch(3, True),
        dialect.count(64),
    ]  # fmt: skip
    assert {message.address.replace("/3/", "/@/") for message in sent} <= known(OURS)
    assert "ACTION" not in "".join(line for line in OURS.splitlines() if not line.startswith("#"))
    assert all(ord(character) < 128 for character in OURS)


def test_only_types_that_reaper_reads_are_sent() -> None:
    for message in (*dialect.question(3), dialect.gain(1, -200), dialect.switch(2, "solo", False)):
        assert all(type(value) in (int, float, str) for value in message.arguments)
    assert dialect.gain(1, -144.0).arguments == (-150.0,)


def test_all_that_is_asked_for_can_be_read() -> None:
    asked = {message.address for message in dialect.question(2)} - {"/device/track/count"}
    for address in asked:
        said = dialect.read(Message(address, ("Song" if address.endswith("name") else 1.0,)))
        assert said is not None
        assert said.track in (0, 1, 2)
    assert "/track/@/volume/db" in known(LIKE_DEFAULT)


@pytest.mark.parametrize(
    ("said", "gain_db"),
    [("-6.02dB", -6.02), ("-inf dB", -144.0), ("-inf", -144.0), ("+3.50 dB", 3.5), ("−1,5dB", -1.5),
     ("0.00dB", 0.0),
     (-150.0, -144.0), (float("-inf"), -144.0), (-6, -6.0), ("loud", None), (float("nan"), None),
     (float("inf"), None), (None, None), (b"x", None)],
)  # fmt: skip
def test_gains_in_words_and_numbers(said: Any, gain_db: float | None) -> None:
    assert dialect.decibels(said) == gain_db


@pytest.mark.parametrize(
    "address", ["/track/0/mute", "/track/mute", "/track/1/vu", "/track/01/name", "/time", "/"]
)
def test_what_is_not_about_a_track_is_let_go(address: str) -> None:
    assert dialect.read(Message(address, (1.0,))) is None
