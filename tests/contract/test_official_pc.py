"""What only polymarket-client has: public clients, waiting for settlement, its rate-limit listener, its grid."""

from decimal import Decimal

import polymarket as pm
import pytest
from official_pc import LoopThread, book_of, environment_of
from polymarket.errors import RequestRejectedError, TransactionFailedError, UserInputError
from polymarket.rate_limit import RateLimitUpdate
from polymarket.streams import MarketSpec
from venue_thread import DEV_ADDRESS, DEV_KEY, RunningVenue

pytestmark = pytest.mark.usefixtures("no_authorities")
D = Decimal


def secure(venue: RunningVenue, **names: object) -> pm.SecureClient:
    return pm.SecureClient.create(
        private_key=DEV_KEY, wallet=DEV_ADDRESS, environment=environment_of(venue), **names
    )


def test_the_public_client_reads(venue: RunningVenue) -> None:
    token = venue.market.yes_token
    with pm.PublicClient(environment=environment_of(venue)) as client:
        book = book_of(client.get_order_book(asset_id=token))
        assert book.computed_hash == book.sent_hash
        assert client.get_midpoint(asset_id=token) == D("0.46")
        assert client.get_spread(asset_id=token) == D("0.02")
        assert client.get_last_trade_price(asset_id=token) is None
        assert client.estimate_market_price(asset_id=token, side="BUY", amount=50) == D("0.48")


def test_the_asynchronous_public_client_reads_and_listens(venue: RunningVenue) -> None:
    token = venue.market.yes_token

    async def scene() -> None:
        async with pm.AsyncPublicClient(environment=environment_of(venue)) as client:
            assert await client.get_midpoint(asset_id=token) == D("0.46")
            handle = await client.subscribe(MarketSpec(asset_ids=[token]))
            event = await anext(handle)
            assert (event.type, event.payload.asset_id) == ("book", token)
            await handle.close()

    loop = LoopThread()
    try:
        loop.wait(scene())
    finally:
        loop.close()


def test_waiting_for_settlement(venue: RunningVenue) -> None:
    with secure(venue) as client:
        order = client.place_market_order(
            asset_id=venue.market.yes_token, side="BUY", amount="4.7", max_price="0.47"
        )
        (tx_hash,) = client.wait_for_order_fill_settlement(order)
        assert len(tx_hash) == 66
        venue.steer("/faults/settlement", fate="fail")
        order = client.place_market_order(
            asset_id=venue.market.yes_token, side="BUY", amount="4.7", max_price="0.47"
        )
        with pytest.raises(TransactionFailedError):
            client.wait_for_order_fill_settlement(order)


def test_a_price_off_the_grid_is_refused_after_one_look(venue: RunningVenue) -> None:
    token = venue.market.yes_token
    with secure(venue) as client:
        with pytest.raises(UserInputError, match="tick"):
            client.place_limit_order(asset_id=token, price="0.455", size=10, side="BUY")
        venue.steer("/markets/tick", market=venue.market.condition_id, tick="0.001")
        assert client.place_limit_order(asset_id=token, price="0.455", size=10, side="BUY").ok


def test_every_order_and_cancel_tells_the_rate_limit(venue: RunningVenue) -> None:
    updates: list[RateLimitUpdate] = []
    with secure(venue, on_rate_limit_update=updates.append) as client:
        order = client.place_limit_order(asset_id=venue.market.yes_token, price="0.40", size=10, side="BUY")
        client.cancel_order(order_id=order.order_id)
    assert [(update.tier, update.warning) for update in updates] == [("standard", False)] * 2
    assert [update.remaining for update in updates] == [59, 119]


def test_the_end_of_authentication(venue: RunningVenue) -> None:
    client = secure(venue)
    public = client.end_authentication()
    assert public.get_midpoint(asset_id=venue.market.yes_token) == D("0.46")
    public.close()
    again = secure(venue)
    again.delete_api_key()
    with pytest.raises(RequestRejectedError):
        again.fetch_api_keys()
    again.close()
