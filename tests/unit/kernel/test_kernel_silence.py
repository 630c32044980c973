"""Silence is what was listened to: the same cases as `rust/core/src/silence.rs`."""

from clawswarm.kernel.clock import NS_PER_MS
from clawswarm.kernel.silence import Silence


def test_silence_adds_up_and_ends_with_a_word() -> None:
    silence = Silence(0)
    assert [silence.look(step * 50 * NS_PER_MS) for step in (1, 2, 6)] == [
        50 * NS_PER_MS,
        100 * NS_PER_MS,
        200 * NS_PER_MS,
    ]
    silence.hear(310 * NS_PER_MS)
    assert silence.look(400 * NS_PER_MS) == 90 * NS_PER_MS


def test_the_time_in_which_nobody_looked_counts_little() -> None:
    silence = Silence(0)
    assert silence.look(3_600_000 * NS_PER_MS) == 100 * NS_PER_MS
    assert silence.look(3_600_100 * NS_PER_MS) == 200 * NS_PER_MS
    assert silence.look(0) == 200 * NS_PER_MS, "a clock that steps back adds nothing"
