"""What the orchestrator reads of its income: rewards, rebates, and which of its orders score."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from key_holder import WALLET, with_key
from polymarket import AsyncSecureClient
from test_client_rewards import sample
from test_wallet_relayer import now_s, two
from venue_thread import RunningVenue
from wire_client import LIMIT_S

from clawswarm.model.positions import DayIncome, OrdersScoring
from clawswarm.venues.polymarket.relayer import WalletRelayer

__all__ = ["two"]  # the fixture
TAKER_KEY = "0x" + "33" * 32
Scene = Callable[[WalletRelayer, AsyncSecureClient], Awaitable[None]]


def play(venue: RunningVenue, scene: Scene) -> None:
    async def run() -> None:
        holder, addresses, clock = with_key(venue)
        relayer, client = await WalletRelayer.open(holder, addresses, clock), await holder.client()
        try:
            await scene(relayer, client)
        finally:
            await relayer.close()
            await client.close()

    asyncio.run(asyncio.wait_for(run(), timeout=6 * LIMIT_S))


def day_of(date: str) -> int:
    return int(datetime.fromisoformat(date).replace(tzinfo=UTC).timestamp()) // 86_400


def test_large_orders_near_the_midpoint_score_and_are_rewarded(two: RunningVenue) -> None:
    market = two.market

    async def scene(relayer: WalletRelayer, client: AsyncSecureClient) -> None:
        assert await relayer.scoring() == OrdersScoring(open=0, scoring=0)
        assert await relayer.income(now_s(two) // 86_400) == DayIncome()
        for token, price, size in (
            (market.yes_token, "0.45", "100"),
            (market.no_token, "0.53", "100"),
            (market.no_token, "0.40", "100"),
            (market.yes_token, "0.45", "10"),
        ):
            await client.place_limit_order(asset_id=token, side="BUY", price=price, size=size, post_only=True)
        assert await relayer.scoring() == OrdersScoring(open=4, scoring=2)
        day = day_of(await asyncio.to_thread(sample, two))
        earned = await relayer.income(day)
        told = two.look(lambda server: server.venue.rewards.earnings(day, WALLET))
        assert earned == DayIncome(rewards_e6=sum(earning.amount_e6 for earning in told))
        assert earned.rewards_e6 > 0

    play(two, scene)


def test_fills_as_a_maker_are_rebated(two: RunningVenue) -> None:
    market = two.market

    async def scene(relayer: WalletRelayer, client: AsyncSecureClient) -> None:
        await client.place_limit_order(
            asset_id=market.yes_token, side="BUY", price="0.46", size="100", post_only=True
        )
        taker = await AsyncSecureClient.create(private_key=TAKER_KEY, environment=client.environment)
        await taker.place_market_order(
            asset_id=market.no_token, side="BUY", amount="54", max_price="0.54", order_type="FOK"
        )
        await taker.close()
        while not (shown := await relayer.income(now_s(two) // 86_400)).rebates_e6:
            pass  # the trade is not confirmed yet; `play` has a time limit
        # A fifth of the fee 100 · 0.07 · 0.54 · 0.46; nobody else made.
        assert shown.rebates_e6 == 347_760

    play(two, scene)
