"""Faults 12 and 13 of the feed, planted by the sandbox, against both sentinels as real processes.

Detection times stated by agents/sentinel/integrity.py: 250 ms for a wrong book that is spoken of, twice a market's
longest usual gap (at least 250 ms) for one that is not.
"""

from itertools import pairwise
from pathlib import Path

import pytest

from clawswarm.kernel.clock import NS_PER_S
from faults.sentinel_pair import Sample, SentinelPair, longest_wrong_and_trusted_s

# Doubt (250 ms), one question, one interval of sampling, and what a machine of two cores adds to each.
AGE_LIMIT_S = 1.0
RECOVERY_S = 10.0


@pytest.mark.parametrize(
    ("fault", "frames"),
    [("gap", 3), ("duplicate", 20), ("reorder", 20), ("corrupt-level", 1), ("crossed-book", 1)],
)
def test_a_spoilt_stream_is_never_trusted_for_long_and_heals_by_itself(
    tmp_path: Path, fault: str, frames: int
) -> None:
    async def scene(pair: SentinelPair) -> None:
        await pair.control(
            "/faults/feed", {"channel": "market", "fault": fault, "frames": frames, "seconds": 2}
        )
        samples = await pair.during(4)
        assert longest_wrong_and_trusted_s(samples) < AGE_LIMIT_S
        await pair.until(pair.is_whole, RECOVERY_S, "every book is whole again")

    SentinelPair(tmp_path).run(scene)


def test_a_stall_with_pongs_is_noticed_and_what_is_wrong_is_not_quoted(tmp_path: Path) -> None:
    async def scene(pair: SentinelPair) -> None:
        asked = pair.counter("questions")
        limits_s = {
            market.condition_id: silence_limit_s(pair, market.condition_id) for market in pair.markets
        }
        await pair.control("/faults/feed", {"channel": "market", "fault": "stall", "seconds": 6})
        samples = await pair.during(6)
        assert any(sample.integrity is not None and sample.integrity < 0.4 for sample in samples)
        for market, limit_s in limits_s.items():
            of_market = [sample for sample in samples if sample.market == market]
            assert longest_wrong_and_trusted_s(of_market) < limit_s
        await pair.until(pair.is_whole, RECOVERY_S, "every book is whole again")
        assert pair.counter("questions") > asked

    SentinelPair(tmp_path).run(scene)


def test_one_deaf_asset_among_many_is_noticed_and_the_others_are_left_alone(tmp_path: Path) -> None:
    async def scene(pair: SentinelPair) -> None:
        deaf = pair.markets[0].condition_id
        limit_s = silence_limit_s(pair, deaf)
        body = {"channel": "market", "fault": "gap", "frames": None, "seconds": 6, "market": deaf}
        await pair.control("/faults/feed", body)
        samples = await pair.during(6)
        of_deaf = [sample for sample in samples if sample.market == deaf]
        of_others = [sample for sample in samples if sample.market != deaf]
        assert longest_wrong_and_trusted_s(of_deaf) < limit_s
        assert _pulled_share(of_deaf) > 0.5
        assert _pulled_share(of_others) < 0.1
        await pair.until(pair.is_whole, RECOVERY_S, "every book is whole again")

    SentinelPair(tmp_path).run(scene)


def silence_limit_s(pair: SentinelPair, market: str) -> float:
    """Twice the longest gap the market has shown, and what every detection may take."""
    times = sorted(book.received_ns for book in pair.arrivals if book.market == market)
    longest_ns = max((later - earlier for earlier, later in pairwise(times)), default=0)
    return 2 * longest_ns / NS_PER_S + AGE_LIMIT_S


def _pulled_share(samples: list[Sample]) -> float:
    pulled = sum(sample.integrity is None or sample.integrity < 0.4 for sample in samples)
    return pulled / len(samples)


def test_a_quiet_market_is_left_alone(tmp_path: Path) -> None:
    async def scene(pair: SentinelPair) -> None:
        quiet = pair.markets[0].condition_id
        await pair.control("/faults/quiet", {"market": quiet, "seconds": 5})
        samples = [sample for sample in await pair.during(5) if sample.market == quiet]
        assert samples
        assert all(sample.is_trusted for sample in samples)

    SentinelPair(tmp_path).run(scene)


@pytest.mark.parametrize("code", [1006, 1008])
def test_a_closed_connection_is_made_again_and_its_books_are_whole(tmp_path: Path, code: int) -> None:
    async def scene(pair: SentinelPair) -> None:
        await pair.control("/faults/close", {"channel": "market", "code": code})
        samples = await pair.during(3)
        assert longest_wrong_and_trusted_s(samples) < AGE_LIMIT_S
        await pair.until(pair.is_whole, RECOVERY_S, "every book is whole again")
        assert pair.counter("reconnects") >= 2

    SentinelPair(tmp_path).run(scene)


def test_a_new_tick_voids_the_book_until_its_snapshot_and_a_resolved_market_ends(tmp_path: Path) -> None:
    async def scene(pair: SentinelPair) -> None:
        ticked, closed, *_ = (market.condition_id for market in pair.markets)
        await pair.control("/markets/tick", {"market": ticked, "tick": "0.001"})

        def has_new_tick() -> bool:
            book = pair.sources.of(ticked).best(pair.clock.now_ns())
            return book is not None and book.tick_e4 == 10

        await pair.until(has_new_tick, RECOVERY_S, "the market is quoted in its new tick")
        await pair.control("/markets/close", {"market": closed, "winner": "YES"})

        def has_ended() -> bool:
            said = [book.reason for book in pair.arrivals if book.market == closed]
            return said[-1:] == ["resolved"] and pair.sources.of(closed).best(pair.clock.now_ns()) is None

        await pair.until(has_ended, RECOVERY_S, "the resolved market ends")

    SentinelPair(tmp_path).run(scene)


def test_the_loss_of_a_sentinel_changes_nothing_for_a_quoter(tmp_path: Path) -> None:
    async def scene(pair: SentinelPair) -> None:
        pair.kill("sentinel-1")
        samples = await pair.during(3)
        assert longest_wrong_and_trusted_s(samples) < AGE_LIMIT_S
        assert sum(sample.integrity is None for sample in samples) == 0
        pair.spawn("sentinel-1")
        await pair.until(pair.is_whole, 30, "both are back")

    SentinelPair(tmp_path).run(scene)
