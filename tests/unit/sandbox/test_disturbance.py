"""What a fault, or the venue's own disorder, does to the frames of a channel."""

import json
from itertools import pairwise
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawswarm.sandbox.streams.disturbance import Disorder, Disturbance, FeedFault, FeedFaultKind
from clawswarm.sandbox.streams.garbled import garble
from clawswarm.sandbox.streams.market_frames import MarketFrame

MS = 1_000_000


class Numbered(msgspec.Struct, frozen=True):
    """A frame with a number."""

    number: int
    at_ms: int


def frames(count: int) -> list[Numbered]:
    return [Numbered(number, at_ms=number) for number in range(count)]


def disturbed(kind: FeedFaultKind, until_ms: int = 1_000, left: int | None = None) -> Disturbance[Numbered]:
    disturbance = Disturbance[Numbered](Disorder(0, Random(1)), Random(1))
    disturbance.start(FeedFault(kind, until_ms * MS, left))
    return disturbance


def flow(disturbance: Disturbance[Numbered], sent: list[Numbered]) -> list[int]:
    """Numbers as they leave, one frame handed in a millisecond, and what is released at the end."""
    passed: list[Numbered] = []
    for frame in sent:
        passed += disturbance.pass_on([frame], frame.at_ms * MS)
    passed += disturbance.release(10**6 * MS)
    return [frame.number for frame in passed]


def test_a_gap_loses_frames() -> None:
    assert flow(disturbed("gap", left=3), frames(6)) == [3, 4, 5]
    assert flow(disturbed("gap", until_ms=2), frames(6)) == [2, 3, 4, 5]


def test_a_duplicate_comes_twice() -> None:
    assert flow(disturbed("duplicate", left=2), frames(4)) == [0, 0, 1, 1, 2, 3]


def test_a_stall_holds_and_delivers_in_order() -> None:
    disturbance = disturbed("stall", until_ms=4)
    assert disturbance.pass_on(frames(3), 0) == []
    assert disturbance.due_ns() == 4 * MS
    assert disturbance.release(3 * MS) == []
    assert disturbance.release(4 * MS) == frames(3)
    assert disturbance.due_ns() is None
    assert flow(disturbed("stall", until_ms=4), frames(6)) == [0, 1, 2, 3, 4, 5]


def test_a_cleared_stall_delivers_at_once() -> None:
    disturbance = disturbed("stall")
    disturbance.pass_on(frames(3), 0)
    disturbance.clear()
    assert disturbance.due_ns() == 0
    assert disturbance.release(1) == frames(3)


def test_reordering_loses_nothing() -> None:
    passed = flow(disturbed("reorder", left=8), frames(10))
    assert sorted(passed) == list(range(10))
    assert passed != list(range(10))
    assert passed[8:] == [8, 9]


@given(share=st.sampled_from([0.05, 0.185, 0.3]), seed=st.integers(0, 10**6), busy=st.integers(1, 5))
def test_the_recorded_share_of_neighbours_steps_back(share: float, seed: int, busy: int) -> None:
    disorder, random = Disorder[Numbered](share, Random(7)), Random(seed)
    now, passed = 0, list[Numbered]()
    for number in range(3_000):
        now += random.choice([0, *[1] * busy, 2, 5])
        passed += disorder.pass_on([Numbered(number, now)], now * MS)
    passed += disorder.release(10**9 * MS)
    assert sorted(frame.number for frame in passed) == list(range(3_000))
    back = sum(later.at_ms < earlier.at_ms for earlier, later in pairwise(passed))
    assert back / len(passed) == pytest.approx(share, abs=0.04)


def test_a_held_frame_leaves_after_twenty_milliseconds() -> None:
    disorder = Disorder[Numbered](0.3, Random(7))
    held = next(frame for frame in frames(100) if not disorder.pass_on([frame], frame.at_ms * MS))
    assert disorder.release((held.at_ms + 19) * MS) == []
    assert disorder.release((held.at_ms + 20) * MS) == [held]


def test_the_same_seed_makes_the_same_disorder() -> None:
    runs = []
    for _ in range(2):
        disturbance = Disturbance[Numbered](Disorder(0.185, Random(3)), Random(3))
        runs.append(flow(disturbance, frames(500)))
    assert runs[0] == runs[1]


def change() -> MarketFrame:
    entries = [
        {"asset_id": "1", "price": "0.4", "size": "5", "side": "SELL", "hash": "h1",
         "best_bid": "0.39", "best_ask": "0.4"},
        {"asset_id": "2", "price": "0.6", "size": "5", "side": "BUY", "hash": "h2",
         "best_bid": "0.6", "best_ask": "0.61"},
    ]  # fmt: skip
    body = {"market": "0x1", "price_changes": entries, "timestamp": "7", "event_type": "price_change"}
    return MarketFrame(tokens=("1", "2"), text=json.dumps(body), at_ms=7)


def test_a_corrupt_level_keeps_the_true_hash() -> None:
    (frame,) = garble(change(), "corrupt-level") or []
    entries = json.loads(frame.text)["price_changes"]
    assert [entry["hash"] for entry in entries] == ["h1", "h2"]
    assert all(entry["size"] != "5" for entry in entries)


def test_a_crossed_book_has_a_bid_above_the_ask() -> None:
    true, crossed = garble(change(), "crossed-book") or []
    assert true == change()
    first, second = json.loads(crossed.text)["price_changes"]
    assert (first["side"], first["price"], first["best_ask"]) == ("BUY", "0.41", "0.4")
    assert (second["side"], second["price"], second["best_bid"]) == ("SELL", "0.59", "0.6")


def test_only_price_changes_are_garbled_and_counted() -> None:
    book = MarketFrame(tokens=("1",), text='{"event_type":"book"}', at_ms=7)
    disturbance = Disturbance[MarketFrame](Disorder(0, Random(1)), Random(1), garble)
    disturbance.start(FeedFault("corrupt-level", 10**9, 1))
    assert disturbance.pass_on([book], 0) == [book]
    assert disturbance.pass_on([change()], 0) != [change()]
    assert disturbance.pass_on([change()], 0) == [change()]
