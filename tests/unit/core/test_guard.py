"""The guard's machine through its binding: what it does for one engine, from hello to the end of a withdrawal."""

import pytest

from clawswarm._core import Guard

S = 1_000_000_000


def watching() -> Guard:
    guard = Guard(S * 3 // 10)
    assert guard.state == "idle"
    assert guard.hear("hello", 1, 0) == [("arm", 1, "")]
    assert guard.hear("tick", 1, S // 10) == [("echo", 1, "")]
    return guard


def kinds(actions: list[tuple[str, int, str]]) -> list[str]:
    return [kind for kind, _, _ in actions]


def test_a_silent_engine_is_killed_and_cancelled_for_until_two_listings_are_empty() -> None:
    guard = watching()
    silent_ns = S
    while not (actions := guard.look(silent_ns)):
        silent_ns += S // 20
    assert kinds(actions) == ["kill", "cancel all"]
    assert guard.dead(silent_ns) == []
    # The venue's no is asked again, an order that is still open cancelled again.
    assert kinds(guard.cancelled(None, silent_ns + 1)) == ["warn"]
    assert kinds(guard.look(silent_ns + S)) == ["cancel all"]
    assert kinds(guard.cancelled(3, silent_ns + S)) == ["list"]
    assert guard.listed(1, silent_ns + S) == []
    assert kinds(guard.look(silent_ns + 2 * S)) == ["cancel all"]
    assert kinds(guard.cancelled(1, silent_ns + 2 * S)) == ["list"]
    assert guard.listed(0, silent_ns + 2 * S) == []
    assert kinds(guard.look(silent_ns + 3 * S)) == ["list"]
    assert guard.listed(0, silent_ns + 3 * S) == [("report", 4, "the engine is silent")]
    assert guard.state == "idle"


def test_an_engine_that_leaves_in_order_is_let_go_and_one_that_is_gone_is_not() -> None:
    guard = watching()
    assert guard.hear("leaving", 1, S) == []
    assert guard.hear("closed", 1, S) == []
    assert guard.state == "idle"
    guard = watching()
    assert kinds(guard.hear("closed", 1, S)) == ["kill", "cancel all"]
    assert guard.hear("hello", 2, S) == [], "its successor waits"


def test_another_word_is_an_error() -> None:
    with pytest.raises(ValueError, match="no word of an engine"):
        Guard(S).hear("hallo", 1, 0)
