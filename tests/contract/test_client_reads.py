"""Every client: books with their hashes, prices, market facts, scoring."""

from decimal import Decimal

import pytest
from client_port import Limit, MarketFacts, Refused, VenueClient
from venue_thread import RunningVenue

D = Decimal


def test_the_clients_own_hash_of_the_book(venue: RunningVenue, client: VenueClient) -> None:
    market = venue.market
    yes, no = client.book(market.yes_token), client.book(market.no_token)
    assert [book.computed_hash for book in (yes, no)] == [yes.sent_hash, no.sent_hash]
    assert yes.sent_hash != no.sent_hash
    assert (yes.bids[-1], yes.asks[-1]) == ((D("0.45"), 100), (D("0.47"), 100))
    assert (no.bids[-1], no.asks[-1]) == ((D("0.53"), 100), (D("0.55"), 100))
    assert [price for price, _ in yes.bids] == [D("0.43"), D("0.44"), D("0.45")]
    assert [price for price, _ in yes.asks] == [D("0.49"), D("0.48"), D("0.47")]
    assert (yes.tick, yes.min_size, yes.is_neg_risk, yes.last_trade) == (D("0.01"), 5, False, None)


def test_the_hash_after_a_trade(venue: RunningVenue, client: VenueClient) -> None:
    client.place(Limit(venue.market.yes_token, "BUY", "0.47", "7.5"))
    books = client.books([venue.market.yes_token, venue.market.no_token])
    assert [book.token for book in books] == [venue.market.yes_token, venue.market.no_token]
    for book in books:
        assert book.computed_hash == book.sent_hash
        # One value for both, in the terms of whichever token rested.
        assert book.last_trade == D("0.53")
    assert books[0].asks[-1] == (D("0.47"), D("92.5"))


def test_prices(venue: RunningVenue, client: VenueClient) -> None:
    yes, no = venue.market.yes_token, venue.market.no_token
    assert client.midpoint(yes) == D("0.46")
    assert client.midpoints([yes, no]) == {yes: D("0.46"), no: D("0.54")}
    assert client.spread(yes) == D("0.02")
    assert client.spreads([yes, no]) == {yes: D("0.02"), no: D("0.02")}
    # Which side of the book a side names is undecided (fact sheet §3.6); both readings name the two touches.
    assert {client.price(yes, "BUY"), client.price(yes, "SELL")} == {D("0.45"), D("0.47")}
    assert client.prices(yes) == {side: client.price(yes, side) for side in ("BUY", "SELL")}


def test_last_trades(venue: RunningVenue, client: VenueClient) -> None:
    yes, no = venue.market.yes_token, venue.market.no_token
    assert client.last_trade(yes) is None
    assert client.last_trades([yes]) == {}
    client.place(Limit(yes, "BUY", "0.47"))
    assert client.last_trade(yes) == (D("0.47"), "BUY")
    assert client.last_trades([yes, no])[yes] == (D("0.47"), "BUY")


def test_market_facts(venue: RunningVenue, client: VenueClient) -> None:
    market = venue.market
    known = MarketFacts(tick=D("0.01"), is_neg_risk=False, fee_rate=D("0.07"), fee_exponent=D(1))
    assert client.facts(market.condition_id, market.yes_token) == known
    assert client.facts(market.condition_id, market.no_token) == known


def test_an_unknown_token(client: VenueClient) -> None:
    for read in (client.book, client.midpoint, client.spread):
        with pytest.raises(Refused, match="No orderbook exists for the requested token id") as refused:
            read("5")
        assert refused.value.status == 404


def test_an_empty_account(client: VenueClient) -> None:
    assert (client.open_orders(), client.trades()) == ([], [])


def test_scoring(venue: RunningVenue, client: VenueClient) -> None:
    placed = client.place(Limit(venue.market.yes_token, "BUY", "0.45", "200")).order_id
    answer = client.is_scoring([placed])
    assert list(answer) == [placed]
    assert isinstance(answer[placed], bool)
