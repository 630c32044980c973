"""Our own use of the official client: what a wallet holds for certain, batches, outcomes, the quota's end."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import pytest
from key_holder import WALLET, with_key
from venue_thread import DEV_ADDRESS, RunningVenue, record, running_venue, settings_for, snapshot
from wire_client import LIMIT_S

from clawswarm.agents.orchestrator.unwinding import actions_of
from clawswarm.model.errors import ClosedFor, Retry
from clawswarm.model.positions import BatchOutcome, Holding, Unwinding, UnwindingKind
from clawswarm.venues.polymarket.relayer import CLOSED_PAUSE_S, WalletRelayer

SHARE = 1_000_000
Scene = Callable[[WalletRelayer], Awaitable[None]]


@pytest.fixture
def two(tmp_path: Path) -> Iterator[RunningVenue]:
    """Two markets."""
    for number in (1, 2):
        record(tmp_path / "two", f"btc-updown-{number}", [snapshot()])
    with running_venue(settings_for(tmp_path / "two", proceeds_at="mined")) as running:
        yield running


def play(venue: RunningVenue, scene: Scene) -> None:
    async def run() -> None:
        relayer = await WalletRelayer.open(*with_key(venue))
        try:
            await scene(relayer)
        finally:
            await relayer.close()

    asyncio.run(asyncio.wait_for(run(), timeout=6 * LIMIT_S))


def now_s(venue: RunningVenue) -> int:
    return venue.look(lambda server: server.now_ns()) // 10**9


async def holdings(venue: RunningVenue, relayer: WalletRelayer) -> dict[str, Holding]:
    return {held.market: held for held in await relayer.holdings(now_s(venue))}


async def unwind(relayer: WalletRelayer, batch: Sequence[Unwinding]) -> BatchOutcome:
    transaction_id = await relayer.submit(batch)
    assert transaction_id is not None
    return await relayer.outcome(transaction_id)


def give_pairs(venue: RunningVenue, market: str, shares: int) -> None:
    venue.steer("/accounts/split", address=WALLET, market=market, shares=str(shares))


def test_merge_and_redeem_in_one_batch(two: RunningVenue) -> None:
    first, second = two.look(lambda server: list(server.venue.exchange.markets))

    async def scene(relayer: WalletRelayer) -> None:
        assert relayer.wallet == WALLET
        assert await holdings(two, relayer) == {}
        give_pairs(two, first, 30)
        give_pairs(two, second, 20)
        two.steer("/markets/close", market=second, winner="NO")
        before = two.look(lambda server: server.venue.trading.account(WALLET).collateral_e6)
        held = await holdings(two, relayer)
        assert (held[first].yes_e6, held[first].yes_payout_e6) == (30 * SHARE, None)
        assert (held[second].yes_payout_e6, held[second].no_payout_e6) == (0, SHARE)
        actions = actions_of(list(held.values()), least_usd=1)
        assert [(a.kind, a.market) for a in actions] == [
            (UnwindingKind.MERGE, first),
            (UnwindingKind.REDEEM, second),
        ]
        assert await unwind(relayer, actions) is BatchOutcome.CONFIRMED
        assert await holdings(two, relayer) == {}
        after = two.look(lambda server: server.venue.trading.account(WALLET).collateral_e6)
        assert after == before + 50 * SHARE
        assert two.look(lambda server: len(server.venue.relayer.transactions)) == 1

    play(two, scene)


def test_only_what_is_confirmed_and_free_is_held(two: RunningVenue) -> None:
    market = two.market

    async def scene(relayer: WalletRelayer) -> None:
        give_pairs(two, market.condition_id, 30)
        client = await with_key(two)[0].client()
        await client.place_limit_order(asset_id=market.yes_token, side="SELL", price="0.60", size="12")
        held = (await holdings(two, relayer))[market.condition_id]
        assert (held.yes_e6, held.no_e6) == (18 * SHARE, 30 * SHARE)
        two.steer("/faults/settlement", fate="fail", trades=1, address=WALLET)
        bought = await client.place_market_order(
            asset_id=market.no_token, side="BUY", amount="5.5", max_price="0.55", order_type="FAK"
        )
        held = (await holdings(two, relayer))[market.condition_id]
        assert held.no_e6 <= 30 * SHARE
        while True:
            (trade,) = [t async for t in client.list_account_trades(id=bought.trade_ids[0]).iter_items()]
            if trade.status == "FAILED":
                break
        held = (await holdings(two, relayer))[market.condition_id]
        assert (held.yes_e6, held.no_e6) == (18 * SHARE, 30 * SHARE)
        await client.close()

    play(two, scene)


def test_a_batch_that_reverts_is_failed(two: RunningVenue) -> None:
    async def scene(relayer: WalletRelayer) -> None:
        much = Unwinding(UnwindingKind.MERGE, two.market.condition_id, False, *(5 * SHARE,) * 4)
        assert await unwind(relayer, [much]) is BatchOutcome.FAILED

    play(two, scene)


def test_the_end_of_the_quota_is_told(two: RunningVenue) -> None:
    async def scene(relayer: WalletRelayer) -> None:
        day = now_s(two) // 86_400

        def spend(days: tuple[int, ...]) -> None:
            two.look(lambda server: server.venue.relayer._used.update({(DEV_ADDRESS, d): 100 for d in days}))

        spend((day, day + 1))
        give_pairs(two, two.market.condition_id, 5)
        (action,) = actions_of(await relayer.holdings(now_s(two)), 1)
        with pytest.raises(ClosedFor) as told:
            await unwind(relayer, [action])
        assert told.value.seconds == CLOSED_PAUSE_S

    play(two, scene)


def test_a_venue_that_does_not_answer(two: RunningVenue) -> None:
    async def scene(relayer: WalletRelayer) -> None:
        two.steer("/faults/status", status=503, text="down", requests=None, seconds=60)
        with pytest.raises(Retry):
            await relayer.holdings(now_s(two))
        with pytest.raises(Retry, match="down"):
            await unwind(
                relayer, [Unwinding(UnwindingKind.REDEEM, two.market.condition_id, False, 0, 1, 1, 0)]
            )

    play(two, scene)
