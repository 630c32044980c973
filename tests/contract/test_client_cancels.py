"""Every client: each form of cancel, and whose orders it reaches."""

import pytest
from client_port import Connector, Limit, Refused, VenueClient
from venue_thread import RunningVenue

OTHER_KEY = "0x" + "11" * 32
GONE = "Order not found or already canceled"


def rest(venue: RunningVenue, client: VenueClient) -> list[str]:
    """Two orders on each token."""
    market = venue.market
    return [
        client.place(Limit(token, "BUY", price)).order_id
        for token in (market.yes_token, market.no_token)
        for price in ("0.40", "0.41")
    ]


def test_one(venue: RunningVenue, client: VenueClient) -> None:
    first, *others = rest(venue, client)
    report = client.cancel(first)
    assert (report.canceled, report.not_canceled) == ((first,), {})
    assert {order.id for order in client.open_orders()} == set(others)
    again = client.cancel(first)
    assert (again.canceled, again.not_canceled) == ((), {first: GONE})


def test_an_order_that_never_was(client: VenueClient) -> None:
    unknown = "0x" + "12" * 32
    assert client.cancel(unknown).not_canceled == {unknown: GONE}
    with pytest.raises(Refused, match="Invalid orderID") as refused:
        client.cancel("0x12")
    assert refused.value.status == 400


def test_a_filled_order(venue: RunningVenue, client: VenueClient) -> None:
    filled = client.place(Limit(venue.market.yes_token, "BUY", "0.47")).order_id
    assert client.cancel(filled).not_canceled == {filled: "Order already matched"}


def test_many(venue: RunningVenue, client: VenueClient) -> None:
    first, *others = rest(venue, client)
    client.cancel(first)
    report = client.cancel_many([first, *others, others[0]])
    assert sorted(report.canceled) == sorted(others)
    assert report.not_canceled == {first: GONE}
    assert client.open_orders() == []


def test_all(venue: RunningVenue, client: VenueClient) -> None:
    placed = rest(venue, client)
    assert sorted(client.cancel_all().canceled) == sorted(placed)
    assert client.cancel_all().canceled == ()


def test_by_market_and_by_token(venue: RunningVenue, client: VenueClient) -> None:
    market, placed = venue.market, rest(venue, client)
    assert client.cancel_market("0x" + "00" * 32).canceled == ()
    report = client.cancel_market(market.condition_id, market.yes_token)
    assert sorted(report.canceled) == sorted(placed[:2])
    assert [order.token for order in client.open_orders(token=market.no_token)] == [market.no_token] * 2
    assert sorted(client.cancel_market(market.condition_id).canceled) == sorted(placed[2:])
    assert client.open_orders(market=market.condition_id) == []


def test_nobody_cancels_or_sees_another_wallets_orders(venue: RunningVenue, connect: Connector) -> None:
    owner, other = connect(), connect(OTHER_KEY)
    placed = owner.place(Limit(venue.market.yes_token, "BUY", "0.45")).order_id
    assert other.open_orders() == []
    assert other.cancel_all().canceled == ()
    assert other.cancel(placed).not_canceled == {placed: GONE}
    with pytest.raises(Refused, match="Order not found") as refused:
        other.order(placed)
    assert refused.value.status == 404
    assert [order.id for order in owner.open_orders()] == [placed]
