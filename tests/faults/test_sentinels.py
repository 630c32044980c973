"""Faults 12 and 13 of the feed, planted by the sandbox, against both sentinels as real processes.

Detection times stated by agents/sentinel/integrity.py: 250 ms for a wrong book that is spoken of, twice a market's
longest usual gap (at least 250 ms) for one that is not.
"""

from pathlib import Path

import pytest

from faults.sentinel_pair import SentinelPair, longest_wrong_and_trusted_s

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
        await pair.control("/faults/feed", {"channel": "market", "fault": "stall", "seconds": 4})
        samples = await pair.during(4)
        assert any(sample.integrity is not None and sample.integrity < 0.4 for sample in samples)
        assert longest_wrong_and_trusted_s(samples) < AGE_LIMIT_S
        await pair.until(pair.is_whole, RECOVERY_S, "every book is whole again")
        assert pair.counter("questions") > asked

    SentinelPair(tmp_path).run(scene)


def test_one_deaf_asset_among_many_is_noticed_and_the_others_are_left_alone(tmp_path: Path) -> None:
    async def scene(pair: SentinelPair) -> None:
        deaf, *others = (market.condition_id for market in pair.markets)
        body = {"channel": "market", "fault": "gap", "frames": None, "seconds": 5, "market": deaf}
        await pair.control("/faults/feed", body)
        samples = await pair.during(5)
        of_deaf = [sample for sample in samples if sample.market == deaf]
        assert longest_wrong_and_trusted_s(of_deaf) < AGE_LIMIT_S
        assert any(sample.integrity is not None and sample.integrity < 0.4 for sample in of_deaf)
        pulled = {s.market for s in samples if s.integrity is None or s.integrity < 0.4}
        assert pulled.isdisjoint(others)
        await pair.until(pair.is_whole, RECOVERY_S, "every book is whole again")

    SentinelPair(tmp_path).run(scene)


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
            book = pair.sources.best(ticked, pair.clock.now_ns())
            return book is not None and book.tick_e4 == 10

        await pair.until(has_new_tick, RECOVERY_S, "the market is quoted in its new tick")
        await pair.control("/markets/close", {"market": closed, "winner": "YES"})
        await pair.until(
            lambda: pair.sources.best(closed, pair.clock.now_ns()) is None,
            RECOVERY_S,
            "the resolved market ends",
        )
        assert any(book.market == closed and book.reason == "resolved" for book in pair.arrivals)

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
