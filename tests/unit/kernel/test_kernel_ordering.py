"""Sequencer: whatever arrives, in whatever order, goes out once and in order."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clawswarm.kernel.ordering import MAX_WAITING, Sequencer
from clawswarm.model.errors import OrderedGap

steady = settings(deadline=None, derandomize=True)


def body(seq: int) -> bytes:
    return f"message {seq}".encode()


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[int, list[int]]:
    """1..n in any order, some of them more than once."""
    n = draw(st.integers(1, 30))
    again = draw(st.lists(st.integers(1, n), max_size=20))
    return n, draw(st.permutations([*range(1, n + 1), *again]))


@steady
@given(arrivals())
def test_any_order_with_duplicates_is_delivered_once_in_order(case: tuple[int, list[int]]) -> None:
    n, order = case
    sequencer = Sequencer()
    delivered = [ready for seq in order for ready in sequencer.offer(seq, body(seq))]
    assert delivered == [body(seq) for seq in range(1, n + 1)]
    assert sequencer.missing() is None
    assert not sequencer.waiting


@steady
@given(st.sets(st.integers(1, 40)), st.integers(0, 45))
def test_missing_is_exactly_the_first_hole(arrived: set[int], announced: int) -> None:
    sequencer = Sequencer()
    for seq in sorted(arrived, reverse=True):
        sequencer.offer(seq, body(seq))
    announced = max(announced, max(arrived, default=0))
    sequencer.note_last(announced)
    holes = [seq for seq in range(1, announced + 1) if seq not in arrived]
    if not holes:
        assert sequencer.missing() is None
        return
    first = holes[0]
    last = first
    while last + 1 in holes:
        last += 1
    assert sequencer.missing() == (first, last)


@steady
@given(st.sets(st.integers(1, 40)), st.integers(1, 40))
def test_filling_the_holes_that_are_asked_for_delivers_everything(arrived: set[int], last: int) -> None:
    sequencer, delivered = Sequencer(), []

    def offered(seq: int) -> Iterator[bytes]:
        yield from sequencer.offer(seq, body(seq))

    for seq in sorted(arrived, reverse=True):
        delivered += offered(seq)
    last = max(arrived | {last})
    sequencer.note_last(last)
    while (hole := sequencer.missing()) is not None:
        assert not set(range(hole[0], hole[1] + 1)) & arrived
        for seq in range(hole[0], hole[1] + 1):
            delivered += offered(seq)
    assert delivered == [body(seq) for seq in range(1, last + 1)]


def test_a_late_duplicate_is_not_delivered_again() -> None:
    sequencer = Sequencer()
    assert sequencer.offer(1, b"a") == [b"a"]
    assert sequencer.offer(1, b"a") == []
    assert sequencer.next_seq == 2


def test_a_publisher_that_went_back_has_lost_messages() -> None:
    sequencer = Sequencer()
    for seq in (1, 2, 3):
        sequencer.offer(seq, body(seq))
    sequencer.note_last(3)
    with pytest.raises(OrderedGap, match="2"):
        sequencer.note_last(2)


def test_waiting_messages_are_bounded() -> None:
    sequencer = Sequencer()
    for seq in range(2, MAX_WAITING + 2):
        sequencer.offer(seq, b"x")
    with pytest.raises(OrderedGap, match="wait for number 1"):
        sequencer.offer(MAX_WAITING + 2, b"x")
