"""Feedback: the echo rules, on a loop with real timers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from stembridge.bridge.feedback import SETTLE_S, Feedback

Sent = list[tuple[str, float]]


def play(scene: Callable[[Feedback, Sent], Awaitable[None]], **options: object) -> Sent:
    """Play a scene on a loop; return what was sent."""
    sent: Sent = []

    async def run() -> None:
        feedback = Feedback(lambda control, value: sent.append((control, value)), **options)  # type: ignore[arg-type]
        await scene(feedback, sent)
        feedback.close()

    asyncio.run(run())
    return sent


def test_news_is_told_at_once_and_then_only_so_often() -> None:
    async def scene(feedback: Feedback, sent: Sent) -> None:
        for value in range(100):
            feedback.offer("a", float(value))
            feedback.offer("b", float(value))
        assert sent == [("a", 0.0), ("b", 0.0)]
        await asyncio.sleep(0.2)

    assert play(scene, interval_s=0.1) == [("a", 0.0), ("b", 0.0), ("a", 99.0), ("b", 99.0)]


def test_own_move_is_not_told_until_it_has_ended() -> None:
    async def scene(feedback: Feedback, sent: Sent) -> None:
        for value in range(20):
            assert feedback.heard("a", float(value))
            feedback.offer("a", float(value), own=True)
        assert sent == []
        await asyncio.sleep(SETTLE_S * 2)

    assert play(scene) == [("a", 19.0)]


def test_own_move_that_became_another_value_is_told() -> None:
    async def scene(feedback: Feedback, sent: Sent) -> None:
        assert feedback.heard("a", 99.0)
        feedback.offer("a", 12.0, own=True)

    assert play(scene) == [("a", 12.0)]


def test_echo_is_swallowed_but_a_hand_is_not() -> None:
    async def scene(feedback: Feedback, sent: Sent) -> None:
        feedback.offer("a", -6.0)
        assert not feedback.heard("a", -6.02)
        assert not feedback.heard("a", -5.98)
        assert feedback.heard("a", -5.0)
        assert feedback.heard("a", -6.0)  # after a move of its own the same value is a move, too

    play(scene, resolution=lambda _control: 0.05)


def test_an_echo_comes_soon_or_is_none() -> None:
    async def scene(feedback: Feedback, sent: Sent) -> None:
        feedback.offer("a", -6.0)
        await asyncio.sleep(0.7)
        assert feedback.heard("a", -6.0)

    play(scene)


def test_a_peer_without_echoes_is_always_heard() -> None:
    async def scene(feedback: Feedback, sent: Sent) -> None:
        feedback.offer("a", -6.0)
        assert feedback.heard("a", -6.0)

    play(scene, echoes=False)


def test_hand_on_the_control_holds_everything_back() -> None:
    async def scene(feedback: Feedback, sent: Sent) -> None:
        feedback.touch("a", True)
        feedback.offer("a", 1.0)
        feedback.offer("a", 2.0)
        await asyncio.sleep(0.1)
        assert sent == []
        feedback.touch("a", False)

    assert play(scene) == [("a", 2.0)]


def test_a_peer_that_starts_anew_is_told_anew() -> None:
    async def scene(feedback: Feedback, sent: Sent) -> None:
        feedback.offer("a", 1.0)
        feedback.forget()
        feedback.offer("a", 1.0)

    assert play(scene, interval_s=10.0) == [("a", 1.0), ("a", 1.0)]


def test_what_the_peer_says_beats_what_it_was_to_be_told() -> None:
    async def scene(feedback: Feedback, sent: Sent) -> None:
        feedback.offer("a", 1.0)
        feedback.offer("a", 2.0)  # waits for its turn
        assert feedback.heard("a", 5.0)
        feedback.offer("a", 5.0, own=True)
        await asyncio.sleep(SETTLE_S * 2)

    assert play(scene, interval_s=0.1) == [("a", 1.0), ("a", 5.0)]
