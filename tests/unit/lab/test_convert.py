"""The converter on small inputs in the sources' own formats, the synthetic streams, the committed sample."""

import json
import sys
from bisect import bisect_right
from itertools import pairwise
from pathlib import Path
from random import Random
from statistics import mean, median
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawswarm.lab.convert import BookSnapshot, RawMarket, build_levels, main
from clawswarm.lab.synthetic import BTC_5M_FLOW, Touch, draw_reference, draw_takers, find_touches
from clawswarm.model.units import MICRO
from clawswarm.sandbox.recording import (
    LevelsChanged,
    RecordedEvent,
    RecordedMarket,
    ReferenceTick,
    TakerArrived,
    TickSizeChanged,
    read_folder,
    read_recording,
)

SAMPLE = Path(__file__).parents[3] / "data" / "sample"
START_MS = 1_776_326_400_000
RAW_SLUG = "btc-updown-5m-1776326400"
PARQUET_SLUG = "btc-updown-15m-1790586000"
README = "# source\n\n- Source: someone/books\n- Commit: abc\n- Licence: {}\n"
CC_BY = 'CC BY 4.0 (attribution: Someone, "Books", 2026)'

Rows = list[tuple[str, str]]


def raw_line(elapsed_ms: int, token: str, bids: Rows, asks: Rows, event_type: str = "book") -> str:
    """One recorded frame, with the fields and level order of the wire."""
    levels = {
        name: [{"price": price, "size": size} for price, size in side]
        for name, side in (("bids", bids), ("asks", asks))
    }
    frame = {"market": "0x1", "asset_id": token, **levels, "hash": "0", "event_type": event_type}
    return json.dumps({"recv_ts": 1.0, "msg": {**frame, "timestamp": str(START_MS + elapsed_ms)}})


def write_raw_source(folder: Path, lines: list[str], licence: str = CC_BY) -> Path:
    zstandard = pytest.importorskip("zstandard")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text(README.format(licence), "utf-8")
    (folder / f"{RAW_SLUG}.jsonl.zst").write_bytes(
        zstandard.compress("".join(f"{line}\n" for line in lines).encode())
    )
    return folder


def write_parquet_source(folder: Path, rows: list[dict[str, Any]], payout_up: float) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text(README.format("MIT"), "utf-8")
    market = {
        "market_id": "0x1",
        "slug": PARQUET_SLUG,
        "question": "Bitcoin Up or Down?",
        "payout_up": payout_up,
        "payout_down": 1.0 - payout_up,
    }
    parquet.write_table(pyarrow.Table.from_pylist([market]), folder / "markets.parquet")
    parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "books.parquet")
    return folder


def parquet_row(
    elapsed_ms: int, side: str, bids: list[list[float]], asks: list[list[float]]
) -> dict[str, Any]:
    return {
        "market_id": "0x1",
        "ts": 1_790_586_000_000 + elapsed_ms,
        "side": side,
        "bid_px": [price for price, _ in bids],
        "bid_sz": [size for _, size in bids],
        "ask_px": [price for price, _ in asks],
        "ask_sz": [size for _, size in asks],
    }


def read_all(path: Path) -> tuple[RecordedMarket, list[RecordedEvent]]:
    market, events = read_recording(path)
    return market, list(events)


def book_events(events: list[RecordedEvent]) -> list[RecordedEvent]:
    return [event for event in events if isinstance(event, LevelsChanged | TickSizeChanged)]


def test_raw_books_become_level_changes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_raw_source(
        tmp_path / "in",
        [
            raw_line(1_030, "up", [("0.48", "10"), ("0.49", "20.5")], [("0.52", "7"), ("0.51", "30")]),
            # Out of order, and of the other token: its bids are the YES asks.
            raw_line(2_180, "down", [("0.49", "30")], [("0.52", "10"), ("0.51", "25.000001")]),
            raw_line(2_090, "up", [("0.48", "10"), ("0.49", "1")], [("0.51", "30")]),
            # Crossed, empty and foreign messages.
            raw_line(2_400, "up", [("0.52", "10")], [("0.51", "30")]),
            raw_line(2_500, "up", [], []),
            raw_line(2_600, "up", [], [], event_type="price_change"),
            # Two in one interval (the last one counts), a finer tick and a winner, a book after the close.
            raw_line(3_001, "up", [("0.9", "1")], [("0.91", "1")]),
            raw_line(3_100, "up", [("0.9", "2")], [("0.91", "1")]),
            raw_line(4_000, "up", [("0.998", "2")], []),
            raw_line(300_001, "up", [("0.5", "2")], []),
        ],
    )
    assert main([str(source), str(tmp_path / "out"), "--select", f"{RAW_SLUG}=BTC3", "--seed", "7"]) == 0
    market, events = read_all(tmp_path / "out" / "btc3-updown-5m-1776326400.claw")
    assert (market.underlying, market.outcome, market.era, market.seed) == ("BTC3", "YES", "V1", 7)
    assert (market.tick_e4, market.duration_ms, market.depth_levels) == (100, 300_000, 2)
    assert CC_BY in market.provenance
    assert market.synthetic == ("reference", "takers")
    assert book_events(events) == [
        LevelsChanged(
            0, ((0, 4_800, 10_000_000), (0, 4_900, 20_500_000), (1, 5_100, 30_000_000), (1, 5_200, 7_000_000))
        ),
        LevelsChanged(2_100, ((0, 4_900, 1_000_000), (1, 5_200, 0))),
        LevelsChanged(2_200, ((0, 4_900, 25_000_001),)),
        LevelsChanged(
            3_100, ((0, 4_800, 0), (0, 4_900, 0), (0, 9_000, 2_000_000), (1, 5_100, 0), (1, 9_100, 1_000_000))
        ),
        TickSizeChanged(4_000, 10),
        LevelsChanged(4_000, ((0, 9_000, 0), (0, 9_980, 2_000_000), (1, 9_100, 0))),
    ]
    printed = capsys.readouterr().out
    for skipped in (
        "crossed 1",
        "empty 1",
        "out of order (sorted) 1",
        "after the close 1",
        "carried back) 1100",
    ):
        assert skipped in printed


def test_parquet_books_open_with_the_last_book_before_the_window(tmp_path: Path) -> None:
    source = write_parquet_source(
        tmp_path / "in",
        [
            parquet_row(-9_000, "UP", [[0.4, 1.0]], [[0.6, 1.0]]),
            parquet_row(-1_000, "DOWN", [[0.5, 5.5600000000000005]], [[0.51, 8.2]]),
            parquet_row(2_000, "UP", [[0.49, 8.2]], [[0.501, 5.56]]),
        ],
        payout_up=0.0,
    )
    assert main([str(source), str(tmp_path / "out")]) == 0
    market, events = read_all(tmp_path / "out" / f"{PARQUET_SLUG}.claw")
    assert (market.underlying, market.outcome, market.era) == ("BTC", "NO", "V2")
    assert market.question == "Bitcoin Up or Down?"
    assert book_events(events) == [
        LevelsChanged(0, ((0, 4_900, 8_200_000), (1, 5_000, 5_560_000))),
        TickSizeChanged(2_000, 10),
        LevelsChanged(2_000, ((1, 5_000, 0), (1, 5_010, 5_560_000))),
    ]


def test_same_command_gives_same_bytes(tmp_path: Path) -> None:
    source = write_raw_source(tmp_path / "in", [raw_line(1_000, "up", [("0.4", "10")], [("0.6", "7")])])
    for out in ("first", "second"):
        assert main([str(source), str(tmp_path / out)]) == 0
    first, second = (tmp_path / out / f"{RAW_SLUG}.claw" for out in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()


def test_source_folders_in_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = raw_line(1_000, "up", [("0.4", "10")], [("0.6", "7")])
    write_raw_source(tmp_path / "in" / "good", [line])
    write_raw_source(tmp_path / "in" / "unlicensed", [line], licence="no licence stated")
    assert main([str(tmp_path / "in"), str(tmp_path / "out"), "--select", RAW_SLUG]) == 0
    assert "unlicensed must not be converted (licence: no licence stated)" in capsys.readouterr().out


@pytest.mark.parametrize(
    "licence", ["no licence stated", "CC BY-NC 4.0 (attribution: X)", "CC BY 4.0", "MITX", "LGPL-3.0"]
)
def test_unshareable_source_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], licence: str
) -> None:
    source = write_raw_source(tmp_path / "in", [], licence=licence)
    assert main([str(source), str(tmp_path / "out")]) == 2
    assert "must not be converted" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["{"], "cannot be read after 0 books"),
        ([raw_line(1_000, "up", [("x", "1")], [])], "price 'x' is not a decimal number"),
        ([raw_line(1_000, "up", [("0.4", "0.0000001")], [])], "finer than"),
        ([raw_line(1_000, "up", [("1", "1")], [])], "price outside (0, 1)"),
        ([raw_line(1_000, "up", [("0.6", "1")], [("0.5", "1")])], "no usable book inside its window"),
        ([], "no usable book inside its window"),
    ],
)
def test_bad_recording_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: list[str], said: str
) -> None:
    assert main([str(write_raw_source(tmp_path / "in", lines)), str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert RAW_SLUG in error


def test_unknown_slug_and_missing_folder_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_raw_source(tmp_path / "in", [raw_line(1_000, "up", [("0.4", "10")], [("0.6", "7")])])
    assert main([str(source), str(tmp_path / "out"), "--select", "btc-updown-5m-1"]) == 2
    assert main([str(tmp_path / "nowhere"), str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "not converted: btc-updown-5m-1" in error
    assert "no folder at" in error


@pytest.mark.parametrize("package", ["zstandard", "pyarrow"])
def test_missing_package_names_the_extra(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    if package == "zstandard":
        source = write_raw_source(tmp_path / "in", [])
    else:
        source = write_parquet_source(
            tmp_path / "in", [parquet_row(0, "UP", [[0.4, 1.0]], [])], payout_up=1.0
        )
    for module in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.setitem(sys.modules, module, None)
    assert main([str(source), str(tmp_path / "out")]) == 2
    assert f"needs {package}: pip install 'clawswarm[convert]'" in capsys.readouterr().err


_levels = st.dictionaries(
    st.integers(1, 999).map(lambda price: price * 10), st.integers(1, 10**12), max_size=6
)
_snapshots = st.lists(st.builds(BookSnapshot, st.integers(-5_000, 30_000), _levels, _levels), max_size=20)


@given(snapshots=_snapshots, coalesce_ms=st.sampled_from([1, 100, 250]))
def test_changes_rebuild_the_books(snapshots: list[BookSnapshot], coalesce_ms: int) -> None:
    usable = [
        book
        for book in sorted(snapshots, key=lambda book: book.server_ms)
        if (book.bids or book.asks) and (not book.bids or not book.asks or max(book.bids) < min(book.asks))
    ]
    if not usable:
        return
    raw = RawMarket("btc-updown-5m-0", None, None, snapshots)
    tick_e4, events, skipped = build_levels(raw, 0, 300_000, coalesce_ms)
    assert skipped["crossed"] + skipped["empty"] == len(snapshots) - len(usable)
    assert_book_is_sound(events, tick_e4)
    changes = [event for event in events if isinstance(event, LevelsChanged)]
    assert all(later.at_ms - earlier.at_ms >= coalesce_ms for earlier, later in pairwise(changes[1:]))
    standing: tuple[dict[int, int], dict[int, int]] = ({}, {})
    for event in changes:
        for side, price_e4, size_e6 in event.changes:
            standing[side][price_e4] = size_e6
    left = [{price: size for price, size in side.items() if size} for side in standing]
    assert left == [usable[-1].bids, usable[-1].asks]


def assert_book_is_sound(events: list[RecordedEvent], tick_e4: int) -> None:
    """Times do not decrease, prices keep to the tick, the book is never crossed."""
    assert all(earlier.at_ms <= later.at_ms for earlier, later in pairwise(events))
    for event in events:
        if isinstance(event, TickSizeChanged):
            assert event.tick_e4 < tick_e4
            tick_e4 = event.tick_e4
        elif isinstance(event, LevelsChanged):
            assert all(price_e4 % tick_e4 == 0 for _, price_e4, _ in event.changes)
    for touch in find_touches(events, tick_e4):
        assert touch.bid_e4 is None or touch.ask_e4 is None or touch.bid_e4 < touch.ask_e4


_touches = st.lists(
    st.builds(
        Touch,
        st.integers(0, 60_000),
        st.none() | st.integers(1, 49).map(lambda price: price * 100),
        st.none() | st.integers(50, 99).map(lambda price: price * 100),
        st.just(100),
    ),
    min_size=1,
).map(lambda touches: sorted(touches, key=lambda touch: touch.at_ms))


@given(touches=_touches, outcome=st.sampled_from(["YES", "NO"]), seed=st.integers())
def test_synthetic_streams_agree_with_the_outcome_and_the_seed(
    touches: list[Touch], outcome: str, seed: int
) -> None:
    path = draw_reference(touches, outcome, 60_000, Random(seed))
    assert path == draw_reference(touches, outcome, 60_000, Random(seed))
    assert (path[0].at_ms, path[-1].at_ms, len(path)) == (0, 60_000, 301)
    assert (path[-1].value_e6 >= path[0].value_e6) == (outcome == "YES")
    takers = draw_takers(touches, path, BTC_5M_FLOW, Random(seed))
    assert takers == draw_takers(touches, path, BTC_5M_FLOW, Random(seed))
    assert all(100 <= taker.limit_e4 <= 9_900 and taker.size_e6 >= MICRO for taker in takers)
    assert all(0 <= earlier.at_ms <= later.at_ms < 60_000 for earlier, later in pairwise(takers))


def test_another_seed_draws_another_path() -> None:
    touches = [Touch(0, 4_900, 5_100, 100)]
    assert draw_reference(touches, "YES", 60_000, Random(1)) != draw_reference(
        touches, "YES", 60_000, Random(2)
    )


def test_sample_has_the_markets_the_demo_needs() -> None:
    markets = [market for market, _ in read_folder(SAMPLE)]
    assert (
        sum(market.underlying.startswith("BTC") and market.duration_ms == 300_000 for market in markets) >= 4
    )
    assert any(market.era == "V2" and market.depth_levels == 20 for market in markets)
    assert len({market.underlying for market in markets}) == len(markets) == 6
    assert {market.outcome for market in markets} == {"YES", "NO"}
    assert sum(path.stat().st_size for path in SAMPLE.iterdir()) <= 6_000_000


@pytest.mark.parametrize("path", sorted(SAMPLE.glob("*.claw")), ids=lambda path: path.stem)
def test_sample_market_is_sound(path: Path) -> None:
    market, events = read_all(path)
    assert path.stem == market.slug
    assert "CC BY 4.0 (attribution: CronosVirus00" in market.provenance or "licence: MIT" in market.provenance
    assert events[0].at_ms == 0
    assert isinstance(events[0], LevelsChanged)
    assert {side for side, _, _ in events[0].changes} == {0, 1}
    assert events[-1].at_ms == market.duration_ms
    assert_book_is_sound(events, market.tick_e4)
    path_ticks = [event for event in events if isinstance(event, ReferenceTick)]
    assert (path_ticks[-1].value_e6 >= path_ticks[0].value_e6) == (market.outcome == "YES")
    touches = find_touches(events, market.tick_e4)
    assert path_ticks == draw_reference(
        touches, market.outcome, market.duration_ms, Random(f"{market.seed}/{market.slug}/reference")
    )
    last = touches[-1].probability()
    assert last is not None
    assert (last >= 0.9) == (market.outcome == "YES")


@pytest.mark.parametrize("path", sorted(SAMPLE.glob("*.claw")), ids=lambda path: path.stem)
def test_sample_takers_are_as_measured(path: Path) -> None:
    market, events = read_all(path)
    takers = [event for event in events if isinstance(event, TakerArrived)]
    assert all(taker.is_synthetic for taker in takers)
    assert 2.5 <= len(takers) / market.duration_ms * 1_000 <= 8.5
    sizes = sorted(taker.size_e6 / MICRO for taker in takers)
    assert 5.0 <= median(sizes) <= 8.5
    assert 70.0 <= sizes[int(len(sizes) * 0.95)] <= 110.0
    assert 0.10 <= mean(size == 5.0 for size in sizes) <= 0.16
    # Informed flow: over the next seconds the recorded mid moves, on average, the taker's way.
    touches = find_touches(events, market.tick_e4)
    times_ms = [touch.at_ms for touch in touches]

    def mid(at_ms: int) -> float:
        return touches[bisect_right(times_ms, at_ms) - 1].probability() or 0.0

    markouts = [(mid(t.at_ms + 2_000) - mid(t.at_ms)) * (1 if t.side == "BUY" else -1) for t in takers]
    assert 0.001 <= mean(markouts) <= 0.01
