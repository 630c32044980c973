"""The recording format: what is written is read, and nothing else is."""

import gzip
import lzma
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawswarm.model.errors import InvariantBroken, UserFault
from clawswarm.sandbox.recording import (
    LevelsChanged,
    RecordedEvent,
    RecordedMarket,
    ReferenceTick,
    TakerArrived,
    TickSizeChanged,
    read_folder,
    read_recording,
    write_recording,
)

MARKET = RecordedMarket(
    slug="btc1-updown-5m-0",
    underlying="BTC1",
    question="Up or Down?",
    tick_e4=100,
    min_size_e6=5_000_000,
    duration_ms=300_000,
    outcome="YES",
    era="V2",
    depth_levels=20,
    provenance="Source: a test; licence: MIT",
    synthetic=("reference", "takers"),
    seed=1,
)
EVENTS: list[RecordedEvent] = [
    LevelsChanged(0, ((0, 4_900, 100_000_000), (1, 5_100, 80_000_000))),
    ReferenceTick(0, 65_000_000_000, is_synthetic=True),
    TakerArrived(130, "BUY", 7_250_000, 5_200, is_synthetic=True),
    LevelsChanged(200, ((1, 5_100, 0), (1, 5_200, 5_000_000))),
    TickSizeChanged(200, 10),
]

_times = st.integers(0, 2**40)
_sizes = st.integers(0, 2**50)
_prices = st.integers(1, 9_999)
_markets = st.builds(
    RecordedMarket,
    slug=st.text(),
    underlying=st.text(),
    question=st.text(),
    tick_e4=st.sampled_from([1, 10, 100]),
    min_size_e6=_sizes,
    duration_ms=_times,
    outcome=st.sampled_from(["YES", "NO", None]),
    era=st.sampled_from(["V1", "V2"]),
    depth_levels=st.integers(1, 9_999),
    provenance=st.text(),
    synthetic=st.lists(st.text()).map(tuple),
    seed=st.integers(-(2**63), 2**64 - 1),
)
_events = st.one_of(
    st.builds(
        LevelsChanged,
        _times,
        st.lists(st.tuples(st.sampled_from([0, 1]), _prices, _sizes), max_size=30).map(tuple),
    ),
    st.builds(TakerArrived, _times, st.sampled_from(["BUY", "SELL"]), _sizes, _prices, st.booleans()),
    st.builds(ReferenceTick, _times, _sizes, st.booleans()),
    st.builds(TickSizeChanged, _times, st.sampled_from([1, 10, 100])),
)


@given(
    market=_markets,
    events=st.lists(_events).map(lambda events: sorted(events, key=lambda event: event.at_ms)),
)
def test_reads_what_was_written(market: RecordedMarket, events: list[RecordedEvent]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "market.claw"
        write_recording(path, market, events)
        read_market, read_events = read_recording(path)
        assert read_market == market
        assert list(read_events) == events


def test_equal_recordings_are_equal_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "first.claw", tmp_path / "second.claw"
    write_recording(first, MARKET, EVENTS)
    write_recording(second, MARKET, iter(EVENTS))
    assert first.read_bytes() == second.read_bytes()


def test_writer_refuses_events_out_of_order(tmp_path: Path) -> None:
    with pytest.raises(InvariantBroken, match="follows 200 ms"):
        write_recording(tmp_path / "market.claw", MARKET, [TickSizeChanged(200, 10), TickSizeChanged(100, 1)])
    assert not list(tmp_path.iterdir())


def test_every_truncation_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "market.claw"
    write_recording(path, MARKET, EVENTS)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(
            UserFault, match=r"market\.claw is truncated, damaged or no recording.*restore it"
        ):
            list(read_recording(path)[1])


def test_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "market.claw"
    write_recording(path, MARKET, EVENTS)
    whole = path.read_bytes()
    for position in range(0, len(whole), 7):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x10]) + whole[position + 1 :])
        with pytest.raises(UserFault, match=r"market\.claw"):
            list(read_recording(path)[1])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 not ours",
        gzip.compress(b"CLAW\x01"),
        lzma.compress(b""),
        lzma.compress(b"CLAW\x02" + b"\x00" * 64),
        lzma.compress(b"CLAW\x01"),
        lzma.compress(b"CLAW\x01\xff\xff\xff\xff"),
        lzma.compress(b"CLAW\x01\x00\x00\x00\x01\x80"),
    ],
    ids=["empty", "zip", "gzip", "no magic", "newer", "no header", "endless record", "empty header"],
)
def test_foreign_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "foreign.claw"
    path.write_bytes(content)
    with pytest.raises(UserFault, match=r"foreign\.claw is truncated, damaged or no recording"):
        list(read_recording(path)[1])


def test_missing_file_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(UserFault, match=r"absent\.claw.*run from the project folder or set sandbox\.data"):
        read_recording(tmp_path / "absent.claw")


def test_folder_is_listed_by_name(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        write_recording(tmp_path / f"{name}.claw", MARKET, EVENTS)
    (tmp_path / "README.md").write_text("not a recording")
    assert [path.name for _, path in read_folder(tmp_path)] == ["a.claw", "b.claw", "c.claw"]
    assert all(market == MARKET for market, _ in read_folder(tmp_path))


def test_missing_and_empty_folders_name_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(UserFault, match=r"no folder of recordings at .*nowhere: run from the project folder"):
        read_folder(tmp_path / "nowhere")
    with pytest.raises(UserFault, match=r"no \.claw recordings in .*set sandbox\.data"):
        read_folder(tmp_path)
