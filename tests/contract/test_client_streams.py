"""Every client with streams: the market channel, the user channel, and nothing lost on the way."""

from collections.abc import Mapping
from decimal import Decimal

import msgspec
from client_port import Connector, Limit, Stream, StreamEvent
from venue_thread import RunningVenue

D = Decimal
OTHER_KEY = "0x" + "11" * 32


def fields(event: StreamEvent, *names: str) -> tuple[object, ...]:
    return tuple(event.fields[name] for name in names)


def best(levels: object) -> tuple[object, object]:
    assert isinstance(levels, tuple | list)
    level = levels[-1]
    assert isinstance(level, Mapping)
    return level["price"], level["size"]


def test_the_book_and_its_changes(venue: RunningVenue, connect_streaming: Connector) -> None:
    client, market = connect_streaming(), venue.market
    stream = client.market_stream([market.yes_token])
    book = stream.next("book")
    assert fields(book, "condition_id", "asset_id") == (market.condition_id, market.yes_token)
    assert (best(book.fields["bids"]), best(book.fields["asks"])) == ((D("0.45"), 100), (D("0.47"), 100))
    assert fields(book, "tick_size", "hash") == (D("0.01"), client.book(market.yes_token).sent_hash)
    client.place(Limit(market.yes_token, "BUY", "0.46"))
    changes = stream.next("price_change").fields["price_changes"]
    assert isinstance(changes, tuple)
    yes, no = changes
    assert (yes["asset_id"], yes["price"], yes["size"], yes["side"]) == (
        market.yes_token,
        D("0.46"),
        10,
        "BUY",
    )
    assert (no["asset_id"], no["price"], no["size"], no["side"]) == (market.no_token, D("0.54"), 10, "SELL")
    assert (yes["best_bid"], yes["best_ask"]) == (D("0.46"), D("0.47"))
    assert yes["hash"] == client.book(market.yes_token).sent_hash
    assert stream.lost == 0


def test_a_trade_on_the_market_channel(venue: RunningVenue, connect_streaming: Connector) -> None:
    client, market = connect_streaming(), venue.market
    stream = client.market_stream([market.yes_token, market.no_token])
    stream.next("book")
    stream.next("book")
    client.place(Limit(market.yes_token, "BUY", "0.47"))
    changes = stream.next("price_change").fields["price_changes"]
    assert isinstance(changes, tuple)
    # As recorded, a book after a trade carries neither its tick nor the price of the trade.
    books = [fields(stream.next("book"), "asset_id", "hash", "last_trade_price") for _ in changes]
    assert sorted(books) == sorted((change["asset_id"], change["hash"], None) for change in changes)
    trade = stream.next("last_trade_price")
    assert fields(trade, "asset_id", "price", "size", "side") == (market.yes_token, D("0.47"), 10, "BUY")
    assert stream.lost == 0


def test_custom_features_come_only_when_asked_for(venue: RunningVenue, connect_streaming: Connector) -> None:
    client, market = connect_streaming(), venue.market
    stream = client.market_stream([market.yes_token], has_custom_features=True)
    stream.next("book")
    client.place(Limit(market.yes_token, "BUY", "0.46"))
    touch = stream.next("best_bid_ask")
    assert fields(touch, "best_bid", "best_ask", "spread") == (D("0.46"), D("0.47"), D("0.01"))
    assert stream.lost == 0


def test_tick_change_and_resolution(venue: RunningVenue, connect_streaming: Connector) -> None:
    client, market = connect_streaming(), venue.market
    stream = client.market_stream([market.yes_token], has_custom_features=True)
    stream.next("book")
    venue.steer("/markets/tick", market=market.condition_id, tick="0.001")
    tick = stream.next("tick_size_change")
    assert fields(tick, "asset_id", "old_tick_size", "new_tick_size") == (
        market.yes_token,
        D("0.01"),
        D("0.001"),
    )
    assert client.place(Limit(market.yes_token, "BUY", "0.451")).status == "live"
    venue.steer("/markets/close", market=market.condition_id, winner="YES")
    resolved = stream.next("market_resolved")
    assert fields(resolved, "condition_id", "winning_asset_id") == (market.condition_id, market.yes_token)
    assert resolved.fields["asset_ids"] == (market.yes_token, market.no_token)
    assert stream.lost == 0


def test_a_new_market_is_told_to_all(venue: RunningVenue, connect_streaming: Connector) -> None:
    client, market = connect_streaming(), venue.market
    stream = client.market_stream([market.yes_token], has_custom_features=True)
    stream.next("book")
    fresh = msgspec.structs.replace(
        market, condition_id="0x" + "cd" * 32, yes_token="111", no_token="222", slug="btc-updown-2"
    )
    venue.look(lambda server: server.venue.publish(server.venue.exchange.list_market(fresh, server.now_ns())))
    listed = stream.next("new_market")
    assert fields(listed, "condition_id", "slug", "asset_ids") == (
        fresh.condition_id,
        fresh.slug,
        ("111", "222"),
    )
    assert fields(listed, "outcomes", "order_price_min_tick_size") == (fresh.outcomes, D("0.01"))
    assert stream.lost == 0


def test_a_cut_connection_is_made_anew(venue: RunningVenue, connect_streaming: Connector) -> None:
    client, market = connect_streaming(), venue.market
    stream = client.market_stream([market.yes_token])
    stream.next("book")
    venue.steer("/faults/close", channel="market", code=1006)
    assert stream.next("book").fields["asset_id"] == market.yes_token
    assert stream.lost == 0


def test_more_tokens_on_the_same_connection(venue: RunningVenue, connect_streaming: Connector) -> None:
    client, market = connect_streaming(), venue.market
    first = client.market_stream([market.yes_token])
    first.next("book")
    second = client.market_stream([market.no_token])
    assert second.next("book").fields["asset_id"] == market.no_token
    client.place(Limit(market.yes_token, "BUY", "0.46"))
    first.next("price_change")
    second.next("price_change")
    assert (first.lost, second.lost) == (0, 0)


def await_connection(venue: RunningVenue, count: int = 1) -> None:
    while venue.look(lambda server: server.account_connections) < count:
        pass


def test_an_orders_life_on_the_user_channel(venue: RunningVenue, connect_streaming: Connector) -> None:
    client, market = connect_streaming(), venue.market
    stream = client.user_stream()
    await_connection(venue)
    placed = client.place(Limit(market.yes_token, "BUY", "0.45"))
    event = stream.next("order")
    assert fields(event, "id", "order_event_type", "status") == (placed.order_id, "PLACEMENT", "LIVE")
    assert fields(event, "price", "original_size", "size_matched") == (D("0.45"), 10, 0)
    assert event.fields["owner"] == client.credentials.key
    client.cancel(placed.order_id)
    event = stream.next("order")
    assert fields(event, "id", "order_event_type", "status") == (placed.order_id, "CANCELLATION", "CANCELED")
    assert stream.lost == 0


def statuses(stream: Stream, trade_id: str) -> list[object]:
    seen: list[object] = []
    while not seen or seen[-1] not in ("CONFIRMED", "FAILED"):
        event = stream.next("trade")
        assert event.fields["id"] == trade_id
        seen.append(event.fields["status"])
    return seen


def test_a_trade_on_both_parties_user_channels(venue: RunningVenue, connect_streaming: Connector) -> None:
    maker, taker, market = connect_streaming(), connect_streaming(OTHER_KEY), venue.market
    makers, takers = maker.user_stream([market.condition_id]), taker.user_stream()
    await_connection(venue, 2)
    rested = maker.place(Limit(market.yes_token, "BUY", "0.46"))
    taken = taker.place(Limit(market.no_token, "BUY", "0.54", "6"))
    (trade_id,) = taken.trade_ids
    assert makers.next("order").fields["order_event_type"] == "PLACEMENT"
    update = makers.next("order")
    assert fields(update, "id", "order_event_type", "size_matched") == (rested.order_id, "UPDATE", 6)
    for stream in (makers, takers):
        assert statuses(stream, trade_id) == ["MATCHED", "MINED", "CONFIRMED"]
        assert stream.lost == 0
