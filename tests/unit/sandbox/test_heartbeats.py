"""The venue's heartbeat chain."""

import pytest

from clawswarm.sandbox.identity.heartbeats import BeatRefused, HeartbeatRegister

S = 10**9


def test_a_chain_of_beats() -> None:
    register = HeartbeatRegister(10 * S, 5 * S, seed=1)
    first = register.beat("key", "", 0)
    assert register.beat("key", first, 5 * S) != first


def test_a_wrong_id_is_refused_with_the_expected_one() -> None:
    register = HeartbeatRegister(10 * S, 5 * S, seed=1)
    first = register.beat("key", "", 0)
    with pytest.raises(BeatRefused) as refused:
        register.beat("key", "wrong", S)
    assert refused.value.expected == first


def test_silence_is_found_between_ten_and_fifteen_seconds() -> None:
    register = HeartbeatRegister(10 * S, 5 * S, seed=1)
    register.beat("key", "", 0)
    found = [second for second in range(20) if register.sweep(second * S)]
    assert found == [15]
    assert register.next_sweep_ns() is None


def test_a_refused_beat_does_not_keep_alive() -> None:
    register = HeartbeatRegister(10 * S, 5 * S, seed=1)
    register.beat("key", "", 0)
    with pytest.raises(BeatRefused):
        register.beat("key", "wrong", 9 * S)
    assert register.sweep(11 * S) == ["key"]


def test_after_silence_a_new_chain_begins() -> None:
    register = HeartbeatRegister(10 * S, 5 * S, seed=1)
    old = register.beat("key", "", 0)
    register.sweep(11 * S)
    with pytest.raises(BeatRefused) as refused:
        register.beat("key", old, 12 * S)
    assert refused.value.expected == ""
    assert register.beat("key", "", 12 * S)
