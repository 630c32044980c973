"""Every client: what it makes of a venue that restarts, takes only some orders, limits, blocks or fails."""

import pytest
from client_port import Connector, Limit, NoAnswer, Placed, RateLimited, Refused, RefusedLeg, VenueClient
from venue_thread import RunningVenue


def buy(venue: RunningVenue, price: str = "0.45", **names: bool) -> Limit:
    return Limit(venue.market.yes_token, "BUY", price, **names)


def check_refusal(
    client: VenueClient, refused: Refused, status: int, text: str, restriction: str | None = None
) -> None:
    assert isinstance(refused.__cause__, client.rejection)
    assert (refused.status, refused.text) == (status, text)
    # V2 has no word for a restriction.
    assert refused.restriction == (restriction if client.sees_headers else None)


def test_restarting(venue: RunningVenue, client: VenueClient) -> None:
    placed = client.place(buy(venue)).order_id
    venue.steer("/engine/restart", seconds=60, post_only_seconds=60)
    for call in (lambda: client.place(buy(venue)), lambda: client.cancel(placed), client.cancel_all):
        with pytest.raises(Refused) as refused:
            call()
        assert isinstance(refused.value.__cause__, client.rejection)
        assert refused.value.status == 425
        assert refused.value.restriction == ("restarting" if client.sees_headers else None)
    assert [order.id for order in client.open_orders()] == [placed]
    assert client.book(venue.market.yes_token).bids


def test_post_only_after_a_restart(venue: RunningVenue, client: VenueClient) -> None:
    venue.steer("/engine/restart", seconds=0, post_only_seconds=79)
    with pytest.raises(Refused) as refused:
        client.place(buy(venue))
    text = "post-only mode: only post-only orders and cancels are allowed"
    check_refusal(client, refused.value, 503, text, "post_only")
    assert refused.value.code == "post_only_mode"
    assert refused.value.retry_after_s is not None
    assert 60 < refused.value.retry_after_s <= 79
    placed = client.place(buy(venue, is_post_only=True))
    assert client.cancel(placed.order_id).canceled == (placed.order_id,)


def test_a_batch_in_post_only_mode(venue: RunningVenue, client: VenueClient) -> None:
    venue.steer("/engine/mode", mode="post-only")
    (leg,) = client.place_batch([buy(venue)])
    assert leg == RefusedLeg("post-only mode: only post-only orders and cancels are allowed")
    (leg,) = client.place_batch([buy(venue, is_post_only=True)])
    assert isinstance(leg, Placed)


def test_cancel_only(venue: RunningVenue, client: VenueClient) -> None:
    placed = client.place(buy(venue)).order_id
    venue.steer("/engine/mode", mode="cancel-only")
    for order in (buy(venue), buy(venue, is_post_only=True)):
        with pytest.raises(Refused) as refused:
            client.place(order)
        text = "Trading is currently cancel-only. New orders are not accepted, but cancels are allowed."
        check_refusal(client, refused.value, 503, text, "cancel_only")
    assert client.cancel_all().canceled == (placed,)


def test_disabled(venue: RunningVenue, client: VenueClient) -> None:
    placed = client.place(buy(venue)).order_id
    venue.steer("/engine/mode", mode="disabled")
    for call in (lambda: client.place(buy(venue)), lambda: client.cancel(placed)):
        with pytest.raises(Refused) as refused:
            call()
        text = "Trading is currently disabled. Check polymarket.com for updates"
        check_refusal(client, refused.value, 503, text)
    venue.steer("/engine/mode", mode="normal")
    assert client.cancel(placed).canceled == (placed,)


def test_too_many_cancels(client: VenueClient) -> None:
    nobodys = ["0x" + f"{at:064x}" for at in range(120)]
    assert len(client.cancel_many(nobodys).not_canceled) == 120
    with pytest.raises(RateLimited) as refused:
        client.cancel_many(nobodys)
    assert isinstance(refused.value.__cause__, client.rate_limit_rejection)
    if client.sees_headers:
        assert refused.value.retry_after_s is not None
        assert 1 <= refused.value.retry_after_s <= 3
        assert refused.value.remaining is not None
        assert refused.value.remaining < 120
        assert refused.value.tier == "standard"


def test_a_blocked_region(venue: RunningVenue, client: VenueClient) -> None:
    placed = client.place(buy(venue)).order_id
    venue.steer("/faults/geoblock", blocked=True)
    for call in (lambda: client.place(buy(venue)), lambda: client.place_batch([buy(venue)])):
        with pytest.raises(Refused) as refused:
            call()
        check_refusal(client, refused.value, 403, "Trading restricted in your region")
    assert client.cancel(placed).canceled == (placed,)


def test_a_page_of_the_cdn(venue: RunningVenue, client: VenueClient) -> None:
    client.place(buy(venue))
    venue.steer("/faults/cdn-page", method="POST", path="/order", requests=1)
    with pytest.raises(Refused) as refused:
        client.place(buy(venue))
    assert isinstance(refused.value.__cause__, client.rejection)
    assert refused.value.status == 403
    assert client.place(buy(venue)).status == "live"


def test_an_engine_error(venue: RunningVenue, client: VenueClient) -> None:
    client.place(buy(venue))
    venue.steer("/faults/engine", text="could not insert order")
    with pytest.raises(Refused) as refused:
        client.place(buy(venue))
    check_refusal(client, refused.value, 500, "could not insert order")


def test_an_order_whose_answer_is_lost_stands(venue: RunningVenue, client: VenueClient) -> None:
    client.place(buy(venue, "0.40"))
    venue.steer("/faults/lost-reply", method="POST", path="/order", requests=1)
    with pytest.raises(NoAnswer):
        client.place(buy(venue, "0.41"))
    assert len(client.open_orders()) == 2


def test_an_account_that_may_only_sell(venue: RunningVenue, client: VenueClient) -> None:
    client.place(buy(venue, "0.47"))
    venue.steer("/accounts/standing", address=client.address, closed_only=True)
    assert client.is_closed_only() is True
    with pytest.raises(Refused) as refused:
        client.place(buy(venue))
    check_refusal(client, refused.value, 400, f"'{client.address}' address in closed only mode")
    assert client.place(Limit(venue.market.yes_token, "SELL", "0.60")).status == "live"


def test_a_banned_account(venue: RunningVenue, client: VenueClient) -> None:
    venue.steer("/accounts/standing", address=client.address, banned=True)
    with pytest.raises(Refused) as refused:
        client.place(buy(venue))
    check_refusal(client, refused.value, 400, f"'{client.address}' address banned")


def test_a_trade_that_fails(venue: RunningVenue, connect: Connector) -> None:
    client = connect()
    before = client.collateral()
    venue.steer("/faults/settlement", fate="fail")
    (trade_id,) = client.place(buy(venue, "0.47")).trade_ids
    while (trade := client.trades(trade_id)[0]).status != "FAILED":
        assert trade.status in ("MATCHED", "RETRYING")
    assert (client.collateral(), client.shares(venue.market.yes_token)) == (before, 0)
