"""A neg-risk event through the official clients: market data, signatures for its exchange, resolution."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import polymarket as pm
import pytest
from client_port import Connect, Limit
from official_pc import connect_sync, environment_of
from official_v2 import connect_v2
from venue_thread import DEV_ADDRESS, DEV_KEY, RunningVenue, running_venue, settings_for

pytestmark = pytest.mark.usefixtures("no_authorities")
D = Decimal


@pytest.fixture
def standing(tmp_path: Path) -> Iterator[RunningVenue]:
    """The event of several outcomes and the long-dated market."""
    changes = {"data": "", "standing": ("neg-risk", "long-dated")}
    with running_venue(settings_for(tmp_path, **changes)) as venue:
        yield venue


def test_the_event_and_its_markets(standing: RunningVenue) -> None:
    with pm.SecureClient.create(
        private_key=DEV_KEY, wallet=DEV_ADDRESS, environment=environment_of(standing)
    ) as client:
        event = client.get_event(slug="fed-decision")
        assert event.trading.neg_risk is True
        assert event.trading.neg_risk_market_id
        assert [market.group_item_title for market in event.markets] == [
            "50+ bps decrease", "25 bps decrease", "No change", "25+ bps increase",
        ]  # fmt: skip
        assert all(market.state.neg_risk for market in event.markets)
        prices = [market.outcomes.yes.price for market in event.markets]
        assert sum(prices) == pytest.approx(D(1), abs=D("0.02"))
        first, second = event.markets[:2]
        standing.steer("/markets/resolve", market=first.condition_id, winner="NO")
        assert client.get_event(slug="fed-decision").state.closed is False
        resolved = client.get_market(slug=first.slug)
        assert (resolved.outcomes.yes.price, resolved.outcomes.no.price) == (D(0), D(1))
        assert client.get_market(slug=second.slug).state.accepting_orders is True
        long_dated = client.get_market(slug="bitcoin-above-1m-by-2030")
        assert long_dated.state.neg_risk is False


@pytest.mark.parametrize("connect", [connect_v2, connect_sync])
def test_orders_are_signed_for_the_neg_risk_exchange(standing: RunningVenue, connect: Connect) -> None:
    market = standing.look(
        lambda server: next(
            m for m in server.venue.exchange.markets.values() if m.slug == "no-change-in-fed-interest-rates"
        )
    )
    client = connect(standing, DEV_KEY)
    try:
        placed = client.place(Limit(market.yes_token, "BUY", "0.401", "10"))
        assert placed.status == "live"
        (order,) = client.open_orders(market=market.condition_id)
        assert (order.id, order.price) == (placed.order_id, D("0.401"))
        book = client.book(market.yes_token)
        assert book.is_neg_risk
        assert book.computed_hash == book.sent_hash
    finally:
        client.close()
