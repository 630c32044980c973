"""Windows, settlement and the rolling of up/down series, on virtual time."""

import gzip
from datetime import UTC, datetime
from pathlib import Path

import pytest
from exchange_bench import START_NS
from hypothesis import given
from hypothesis import strategies as st

from clawswarm.lab.outcomes import RecordedWindow, compare
from clawswarm.model.errors import UserFault
from clawswarm.sandbox.prices.feeds import ONE_USD_E18, SOURCES, CoinFeeds, SeededArrivals, twap_e18
from clawswarm.sandbox.prices.path import COINS, EPOCH_S, SeededPath
from clawswarm.sandbox.prices.recorded import read_feed
from clawswarm.sandbox.pump import Stage, play
from clawswarm.sandbox.scenario import load_playbacks
from clawswarm.sandbox.series.settlement import RecordedReports, final_second, winner_of
from clawswarm.sandbox.series.windows import (
    HORIZONS,
    Horizon,
    next_window,
    parse_series,
    question_of,
    slug_of,
    window_at,
)
from clawswarm.sandbox.settings import SandboxSettings
from clawswarm.sandbox.venue import Venue

S = 10**9
BTC = COINS["btc"]
START_S = START_NS // S


def seeded_feeds(*, has_gaps: bool = True) -> CoinFeeds:
    return CoinFeeds("btc", SeededPath(1, BTC), SeededArrivals(1, "btc", has_gaps=has_gaps))


def test_a_jump_moves_every_price_from_its_second_on_and_none_before() -> None:
    calm, moved = seeded_feeds(), seeded_feeds()
    moved.jump(10_000, START_S + 5)
    for second in range(START_S, START_S + 5):
        assert moved.oracle_e18(second) == calm.oracle_e18(second)
    for second in range(START_S + 5, START_S + 8):
        before = calm.oracle_e18(second)
        assert moved.oracle_e18(second) == before + before // 100
        assert moved.binance_e18(second) > calm.binance_e18(second)
    # An average over ten seconds of which three stand a hundredth higher.
    share = moved.twap_e18(START_S + 8, 10) / calm.twap_e18(START_S + 8, 10) - 1
    assert share == pytest.approx(0.003, rel=0.01)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("horizon", "moment", "start", "end", "slug", "question"),
    [
        ("5m", "2026-07-24T00:03:10", "2026-07-24T00:00", "2026-07-24T00:05", "btc-updown-5m-1784851200",
         "Bitcoin Up or Down - July 23, 8:00PM-8:05PM ET"),
        ("15m", "2026-07-24T00:14:59", "2026-07-24T00:00", "2026-07-24T00:15", "btc-updown-15m-1784851200",
         "Bitcoin Up or Down - July 23, 8:00PM-8:15PM ET"),
        ("4h", "2026-07-24T00:00:00", "2026-07-24T00:00", "2026-07-24T04:00", "btc-updown-4h-1784851200",
         "Bitcoin Up or Down - July 23, 8:00PM-12:00AM ET"),
        ("1h", "2026-11-24T17:30:00", "2026-11-24T17:00", "2026-11-24T18:00",
         "bitcoin-up-or-down-november-24-2026-12pm-et", "Bitcoin Up or Down - November 24, 12PM ET"),
        ("daily", "2026-11-24T17:30:00", "2026-11-24T17:00", "2026-11-25T17:00",
         "bitcoin-up-or-down-on-november-25-2026", "Bitcoin Up or Down on November 25?"),
    ],
)  # fmt: skip
def test_windows_and_their_names(
    horizon: Horizon, moment: str, start: str, end: str, slug: str, question: str
) -> None:
    window = window_at(BTC, horizon, at(moment))
    assert (window.start_s, window.end_s) == (at(start), at(end))
    assert slug_of(window) == slug
    assert question_of(window) == question


@given(st.integers(EPOCH_S, EPOCH_S + 3 * 365 * 86_400), st.sampled_from(HORIZONS))
def test_windows_tile_time(moment: int, horizon: Horizon) -> None:
    """Daylight saving included: a day of 23 or 25 hours has no hole and no overlap."""
    window = window_at(BTC, horizon, moment)
    assert window.start_s <= moment < window.end_s
    assert window_at(BTC, horizon, window.start_s) == window
    assert window_at(BTC, horizon, window.end_s - 1) == window
    following = next_window(window)
    assert following.start_s == window.end_s
    assert slug_of(following) != slug_of(window)


@pytest.mark.parametrize("day", ["2026-03-08", "2026-11-01", "2027-03-14"])
@pytest.mark.parametrize("horizon", HORIZONS)
def test_days_of_23_and_25_hours(day: str, horizon: Horizon) -> None:
    window, slugs = window_at(BTC, horizon, at(day) - 43_200), []
    while window.start_s < at(day) + 2 * 86_400:
        assert window_at(BTC, horizon, window.start_s) == window_at(BTC, horizon, window.end_s - 1) == window
        assert next_window(window).start_s == window.end_s
        slugs.append(slug_of(window))
        window = next_window(window)
    assert len(set(slugs)) == len(slugs)


@pytest.mark.parametrize("text", ["", "btc", "btc-7m", "gold-5m", "5m-btc"])
def test_an_unknown_series_is_the_users_to_mend(text: str) -> None:
    with pytest.raises(UserFault):
        parse_series(text)


@pytest.mark.parametrize(
    ("strike", "final", "is_tie_split", "winner"),
    [
        (5, 6, False, "YES"),
        (5, 4, False, "NO"),
        (5, 5, False, "YES"),
        (5, 5, True, "SPLIT"),
        (5, 6, True, "YES"),
    ],
)
def test_ties(strike: int, final: int, is_tie_split: bool, winner: str) -> None:
    assert winner_of(strike, final, is_tie_split=is_tie_split) == winner


def test_a_gap_settles_on_the_last_report_before_it() -> None:
    reports = RecordedReports([(100, 50), (399, 49), (401, 60)])
    closing = reports.at(400)
    assert closing is not None
    assert (closing.value_e18, closing.is_exact) == (49, False)
    assert reports.at(99) is None
    windows = [
        RecordedWindow("gap", 100, 400, ("0", "1")),
        RecordedWindow("exact", 100, 401, ("1", "0")),
        RecordedWindow("later", 401, 700, ("1", "0")),
        RecordedWindow("tie", 100, 399, ("1", "0"), "49"),
        RecordedWindow("other", 100, 401, ("0", "1"), "50"),
    ]
    found = compare(windows, reports)
    assert found.counts == {
        "gap: agrees": 1, "exact: agrees": 2, "exact: tie": 1, "exact: differs": 1, "outside the feed": 1,
        "strike agrees": 1, "strike differs": 1,
    }  # fmt: skip
    assert found.differing == ["exact other"]


def test_a_path_is_the_same_whatever_is_asked_first() -> None:
    moments = [START_S + offset for offset in (5, 0, 4_000, 70_000, 1)]
    forward, backward = SeededPath(3, BTC), SeededPath(3, BTC)
    assert [forward.value_e18(m) for m in moments] == [backward.value_e18(m) for m in reversed(moments)][::-1]
    assert forward.value_e18(START_S) != SeededPath(4, BTC).value_e18(START_S)
    assert forward.value_e18(EPOCH_S) == round(BTC.base_usd) * ONE_USD_E18


def test_a_path_moves_as_measured() -> None:
    """Median of |final − strike| of BTC 5m windows: 32 USD at 65,000, here within a fifth."""
    path = SeededPath(1, BTC)
    moves = sorted(
        abs(path.value_e18(START_S + (n + 1) * 300) / path.value_e18(START_S + n * 300) - 1)
        for n in range(2_000)
    )
    assert moves[1_000] == pytest.approx(32 / 65_000, rel=0.2)


def test_feeds_have_the_recorded_gaps_and_delays() -> None:
    feeds = seeded_feeds()
    seconds = range(START_S, START_S + 20_000)
    for source in SOURCES:
        reports = [feeds.report(source, second) for second in seconds]
        missed = sum(report is None for report in reports) / len(reports)
        assert missed == 0 if source in ("binance", "pyth") else 0.05 <= missed <= 0.12
        delays = sorted(r.published_ms - r.at_s * 1000 for r in reports if r is not None)
        low, high = (200, 600) if source in ("binance", "pyth") else (1_200, 2_400)
        assert low <= delays[len(delays) // 2] <= high
    assert all(seeded_feeds(has_gaps=False).report("chainlink", s) for s in seconds[:500])


@given(st.integers(0, 500), st.sampled_from([0, 30, 60]))
def test_the_rolling_average_is_the_average(offset: int, window_s: int) -> None:
    feeds = seeded_feeds()
    for second in (START_S + offset, START_S + offset + 1, START_S + offset + 2, START_S + offset):
        assert feeds.twap_e18(second, window_s) == twap_e18(feeds.oracle_e18, second, window_s)


def rolling(**changes: object) -> tuple[Venue, Stage]:
    facts: dict[str, object] = {
        "data": "", "port": 0, "control_port": 0, "series": ("btc-5m",), "crowd_interval_ms": 5_000,
        "taker_delay_ms": 0, "auto_redeem": "everyone",
    } | changes  # fmt: skip
    settings = SandboxSettings(**facts)
    venue = Venue(settings)
    stage = Stage(venue, load_playbacks(settings))
    stage.open(START_NS)
    return venue, stage


def test_a_series_rolls() -> None:
    venue, stage = rolling()
    current, following = venue.exchange.markets.values()
    assert (current.end_ms, following.end_ms) == ((START_S + 300) * 1000, (START_S + 600) * 1000)
    event = venue.catalog.by_condition[current.condition_id].event
    assert event.price_to_beat is None
    play(stage, venue, START_NS + 2 * S)
    assert event.price_to_beat is not None
    assert venue.catalog.by_condition[following.condition_id].event.price_to_beat is None
    for market in (current, following):
        assert not venue.exchange.books[market.condition_id].is_crossed()
        assert venue.exchange.books[market.condition_id].bids.best() is not None
    play(stage, venue, START_NS + 300 * S)
    assert (current.is_open, current.accepts_orders, current.winner) == (True, False, None)
    assert len(venue.exchange.markets) == 3
    play(stage, venue, START_NS + 317 * S)
    feeds = stage.feeds["btc"]
    strike, final = feeds.twap_e18(START_S, 60), feeds.twap_e18(START_S + 300, 60)
    assert current.winner == winner_of(strike, final, is_tie_split=False)
    assert event.final_price is not None
    assert float(event.final_price) == pytest.approx(final / ONE_USD_E18)
    assert not current.is_open


def test_an_operator_may_resolve_first() -> None:
    venue, stage = rolling()
    market = next(iter(venue.exchange.markets.values()))
    venue.publish(venue.exchange.resolve(market, "SPLIT", START_NS + S))
    play(stage, venue, START_NS + 400 * S)
    assert market.winner == "SPLIT"


def test_a_crowd_that_comes_after_the_end_finds_nobody() -> None:
    venue, stage = rolling(crowd_interval_ms=3_600_000)
    play(stage, venue, START_NS + 4_000 * S)
    assert sum(market.winner is not None for market in venue.exchange.markets.values()) == 13


@pytest.mark.parametrize("horizon", HORIZONS)
def test_every_horizon_lives_and_resolves(horizon: Horizon) -> None:
    venue, stage = rolling(series=(f"eth-{horizon}",), crowd_interval_ms=600_000, resolve_after_s=0)
    market = next(iter(venue.exchange.markets.values()))
    window = window_at(COINS["eth"], horizon, START_S)
    assert market.slug == slug_of(window)
    play(stage, venue, (final_second(window) + 2) * S)
    assert market.winner in ("YES", "NO")
    assert venue.exchange.ledger.imbalance_e6() == 0


def test_the_same_seed_gives_the_same_run() -> None:
    digests = []
    for seed in (1, 1, 2):
        venue, stage = rolling(seed=seed, series=("btc-5m", "eth-5m"), standing=("neg-risk", "long-dated"))
        play(stage, venue, START_NS + 400 * S)
        digests.append(venue.journal.digest())
    assert digests[0] == digests[1] != digests[2]


def test_standing_markets() -> None:
    venue, stage = rolling(series=(), standing=("neg-risk", "long-dated"))
    play(stage, venue, START_NS + 60 * S)
    fed, bitcoin = venue.catalog.events.values()
    assert len(fed.markets) == 4
    assert {listing.market.neg_risk for listing in fed.markets} == {True}
    mids = []
    for listing in fed.markets:
        book = venue.exchange.books[listing.market.condition_id]
        bid, ask = book.bids.best(), book.asks.best()
        assert bid is not None
        assert ask is not None
        mids.append((bid.price_e4 + ask.price_e4) / 2)
    assert sum(mids) == pytest.approx(10_000, abs=200)
    assert bitcoin.markets[0].market.end_ms > (START_S + 3 * 365 * 86_400) * 1000


def test_nothing_to_list_is_the_users_to_mend() -> None:
    with pytest.raises(UserFault, match="no markets"):
        load_playbacks(SandboxSettings(data="", port=0, control_port=0))


def feed_file(folder: Path, seconds: range) -> Path:
    """A recording whose value is its second, every tenth missing, 1,500 ms late."""
    lines = ["feed_ts_ms,value,full_accuracy_value,server_ts_ms,recv_ms"]
    lines += [
        f"{s * 1000},{s}.0,{s}{'0' * 18},{s * 1000 + 1_200},{s * 1000 + 1_500}" for s in seconds if s % 10
    ]
    path = folder / "feed.csv.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return path


def test_a_recorded_feed_is_shifted_to_now_with_its_gaps_and_delays(tmp_path: Path) -> None:
    begin = 1_784_851_200
    path = feed_file(tmp_path, range(begin - 100, begin + 3_600))
    feed = read_feed(path, START_S + 77)
    start = START_S - START_S % 900
    assert feed.value_e18(start + 5) == (begin + 5) * ONE_USD_E18
    assert feed.value_e18(start + 10) == (begin + 9) * ONE_USD_E18, "a gap holds the last report"
    assert feed.value_e18(start - 55) == (begin - 55) * ONE_USD_E18
    assert feed.value_e18(start + 3_600 + 5) == (begin + 5) * ONE_USD_E18, "it begins again"
    assert feed.delay_ms("chainlink", start + 5) == 1_500
    assert feed.delay_ms("chainlink", start + 10) is None
    assert feed.delay_ms("binance", start + 10) is not None


def test_series_follow_a_recording(tmp_path: Path) -> None:
    path = feed_file(tmp_path, range(1_784_851_100, 1_784_851_200 + 3_600))
    venue, stage = rolling(price_recordings={"btc": str(path)}, twap_window_s=0)
    play(stage, venue, START_NS + 330 * S)
    market = next(iter(venue.exchange.markets.values()))
    event = venue.catalog.by_condition[market.condition_id].event
    assert (event.price_to_beat, event.final_price) == ("1784851199", "1784851499")
    assert market.winner == "YES"


@pytest.mark.parametrize(
    "content", [b"", b"feed_ts_ms\n1", b"feed_ts_ms,full_accuracy_value,recv_ms\n1,x,2", b"\x1f\x8b"]
)
def test_a_bad_price_recording_is_the_users_to_mend(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "feed.csv"
    path.write_bytes(content)
    with pytest.raises(UserFault):
        read_feed(path, START_S)
    with pytest.raises(UserFault, match="no series"):
        rolling(price_recordings={"doge": str(path)})
