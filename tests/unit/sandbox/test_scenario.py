"""Recordings as clockwork: where the replay starts, pauses, and how it ends."""

from pathlib import Path

import pytest

from clawswarm.model.errors import UserFault
from clawswarm.sandbox.pump import Stage
from clawswarm.sandbox.recording import (
    LevelsChanged,
    RecordedEvent,
    RecordedMarket,
    ReferenceTick,
    TakerArrived,
    TickSizeChanged,
    write_recording,
)
from clawswarm.sandbox.scenario import load_playbacks
from clawswarm.sandbox.settings import SandboxSettings
from clawswarm.sandbox.venue import Venue

MS = 1_000_000
NOW_NS = 1_800_000_000 * 10**9
EVENTS: list[RecordedEvent] = [
    LevelsChanged(0, ((0, 4500, 10_000_000), (1, 4700, 10_000_000))),
    ReferenceTick(500, 65_000_000_000, True),
    LevelsChanged(1000, ((0, 4500, 0), (0, 4600, 20_000_000))),
    TakerArrived(2000, "BUY", 4_000_000, 4700, True),
    TickSizeChanged(2500, 10),
    LevelsChanged(3000, ((1, 4700, 30_000_000),)),
]


def stage_of(folder: Path, **changes: object) -> tuple[Venue, Stage]:
    header = RecordedMarket(
        slug="btc-updown-5m",
        underlying="BTC",
        question="Up?",
        tick_e4=100,
        min_size_e6=5_000_000,
        duration_ms=5000,
        outcome="NO",
        era="V2",
        depth_levels=1,
        provenance="made by the test",
        synthetic=(),
        seed=1,
    )
    write_recording(folder / "btc-updown-5m.claw", header, EVENTS)
    facts: dict[str, object] = {
        "data": str(folder),
        "port": 0,
        "control_port": 0,
        "taker_delay_ms": 0,
    } | changes
    settings = SandboxSettings(**facts)
    venue = Venue(settings)
    stage = Stage(venue, load_playbacks(settings))
    stage.open(NOW_NS)
    return venue, stage


def levels(venue: Venue) -> dict[tuple[bool, int], int]:
    (book,) = venue.exchange.books.values()
    return {key: size // 1_000_000 for key, size in book.aggregates().items()}


def play_to(stage: Stage, at_ms: int) -> None:
    while stage.step(NOW_NS + at_ms * MS):
        pass


def test_events_happen_at_their_time(tmp_path: Path) -> None:
    venue, stage = stage_of(tmp_path)
    assert levels(venue) == {(True, 4500): 10, (False, 4700): 10}
    assert stage.next_due_ns() == NOW_NS + 500 * MS
    play_to(stage, 999)
    assert (True, 4500) in levels(venue)
    play_to(stage, 1000)
    assert levels(venue) == {(True, 4600): 20, (False, 4700): 10}
    play_to(stage, 2000)
    assert levels(venue)[False, 4700] == 6
    play_to(stage, 3000)
    assert levels(venue) == {(True, 4600): 20, (False, 4700): 30}
    (market,) = venue.exchange.markets.values()
    assert market.tick_e4 == 10


def test_takers_are_held_as_long_as_everybody(tmp_path: Path) -> None:
    venue, stage = stage_of(tmp_path, taker_delay_ms=250)
    play_to(stage, 2000)
    venue.advance(NOW_NS + 2249 * MS)
    assert levels(venue)[False, 4700] == 10
    venue.advance(NOW_NS + 2250 * MS)
    assert levels(venue)[False, 4700] == 6


def test_takers_can_be_left_out(tmp_path: Path) -> None:
    venue, stage = stage_of(tmp_path, takers=False)
    play_to(stage, 2999)
    assert levels(venue)[False, 4700] == 10


def test_a_start_inside_the_recording_has_its_book(tmp_path: Path) -> None:
    venue, stage = stage_of(tmp_path, start_at_s=2.6)
    (market,) = venue.exchange.markets.values()
    assert levels(venue) == {(True, 4600): 20, (False, 4700): 10}
    assert market.tick_e4 == 10
    assert market.end_ms == NOW_NS // MS + 2400
    assert stage.next_due_ns() == NOW_NS + 400 * MS


def test_speed_shortens_time(tmp_path: Path) -> None:
    venue, stage = stage_of(tmp_path, speed=10.0)
    play_to(stage, 100)
    assert (True, 4600) in levels(venue)


def test_the_end_closes_the_market(tmp_path: Path) -> None:
    venue, stage = stage_of(tmp_path)
    play_to(stage, 5000)
    (market,) = venue.exchange.markets.values()
    assert (market.is_open, market.winner) == (False, "NO")
    assert levels(venue) == {}


def test_a_quiet_market_goes_on_where_it_was(tmp_path: Path) -> None:
    venue, stage = stage_of(tmp_path)
    (market,) = venue.exchange.markets.values()
    play_to(stage, 600)
    venue.faults.make_quiet(market.condition_id, NOW_NS + 3000 * MS)
    play_to(stage, 2999)
    assert (True, 4500) in levels(venue)
    play_to(stage, 3000)
    assert (True, 4600) in levels(venue)
    play_to(stage, 6999)
    assert market.is_open
    assert market.end_ms == NOW_NS // MS + 7000
    play_to(stage, 7000)
    assert not market.is_open


def test_ids_follow_seed_and_slug(tmp_path: Path) -> None:
    first, again, other = (
        next(iter(stage_of(tmp_path, seed=seed)[0].exchange.markets.values())) for seed in (1, 1, 2)
    )
    assert (first.condition_id, first.yes_token) == (again.condition_id, again.yes_token)
    assert first.condition_id != other.condition_id
    assert len(first.condition_id) == 66
    assert {len(first.yes_token), len(first.no_token)} == {77}


def test_a_folder_without_recordings_is_the_users_to_mend(tmp_path: Path) -> None:
    with pytest.raises(UserFault):
        load_playbacks(SandboxSettings(data=str(tmp_path), port=0, control_port=0))
