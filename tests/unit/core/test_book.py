"""The books behind `clawswarm._core`, fed with frames of the venue's shapes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawswarm._core import Books, BookTop
from clawswarm.model.units import format_e6, format_price
from clawswarm.sandbox.exchange.markets import ListedMarket
from clawswarm.sandbox.streams.book_text import BookText

MARKET, OTHER = "0x125149c5", "0xdab1ff11"
YES, NO = "45936375922793925919605092352922707796689801895417366600539442410775071099958", "86520121"
START_MS = 1_776_808_414_710

Levels = list[tuple[str, str]]


def book(bids: Levels, asks: Levels, ms: int = 0, token: str = YES, **extra: object) -> dict[str, Any]:
    def side(levels: Levels) -> list[dict[str, str]]:
        return [{"price": price, "size": size} for price, size in levels]

    return {
        "market": MARKET,
        "asset_id": token,
        "bids": side(bids),
        "asks": side(asks),
        "hash": "a1e787af",
        "timestamp": str(START_MS + ms),
        "event_type": "book",
        **extra,
    }


def change(side: str, price: str, size: str, ms: int = 0, token: str = YES) -> dict[str, Any]:
    return {
        "market": MARKET,
        "price_changes": [entry(side, price, size, token)],
        "timestamp": str(START_MS + ms),
        "event_type": "price_change",
    }


def entry(side: str, price: str, size: str, token: str = YES) -> dict[str, str]:
    return {
        "asset_id": token,
        "price": price,
        "size": size,
        "side": side,
        "hash": "425af284",
        "best_bid": "",
        "best_ask": "",
    }


def trade(side: str, price: str, size: str, ms: int = 0, token: str = YES) -> dict[str, Any]:
    return {
        "market": MARKET,
        "asset_id": token,
        "price": price,
        "size": size,
        "fee_rate_bps": "",
        "side": side,
        "timestamp": str(START_MS + ms),
        "event_type": "last_trade_price",
        "transaction_hash": "0x6893bfa5",
    }


def tick_change(tick: str, ms: int = 0, token: str = YES) -> dict[str, Any]:
    return {
        "event_type": "tick_size_change",
        "market": MARKET,
        "asset_id": token,
        "old_tick_size": "0.01",
        "new_tick_size": tick,
        "timestamp": str(START_MS + ms),
    }


def resolution(winner: str, market: str = MARKET) -> dict[str, Any]:
    return {
        "event_type": "market_resolved",
        "id": "1031769",
        "market": market,
        "assets_ids": [YES, NO],
        "winning_asset_id": winner,
        "winning_outcome": "Up",
        "timestamp": str(START_MS),
        "tags": [],
    }


def send(books: Books, *events: dict[str, Any], received_ns: int = 1) -> list[str]:
    """Names of the markets that changed."""
    frame = events[0] if len(events) == 1 else list(events)
    is_changed = books.apply(json.dumps(frame).encode(), received_ns)
    changed = [top.market for top in books.changed()]
    assert is_changed is bool(changed)
    return changed


def send_for_top(books: Books, *events: dict[str, Any]) -> BookTop:
    (changed,) = send(books, *events)
    return books.top(changed)


SNAPSHOT = book([("0.01", "12902.69"), ("0.86", "362.17")], [("0.99", "5"), ("0.87", "100")])


@pytest.fixture
def empty() -> Books:
    books = Books()
    books.add_market(MARKET, YES, NO, 100)
    return books


@pytest.fixture
def books(empty: Books) -> Books:
    send(empty, SNAPSHOT)
    return empty


# --- snapshots and changes ----------------------------------------------------------------------


def test_subscription_array_opens_the_book_once_for_both_tokens(empty: Books) -> None:
    mirrored = book([("0.01", "5"), ("0.13", "100")], [("0.99", "12902.69"), ("0.14", "362.17")], token=NO)
    top = send_for_top(empty, SNAPSHOT, mirrored)
    assert (top.market, top.sequence, top.epoch, top.received_ns) == (MARKET, 1, 0, 1)
    assert (top.server_ms, top.tick_e4, top.is_valid, top.reason) == (START_MS, 100, True, None)
    assert (top.bid_e4, top.bid_size_e6, top.ask_e4, top.ask_size_e6) == (
        8600,
        362_170_000,
        8700,
        100_000_000,
    )
    assert top.microprice == pytest.approx((0.86 * 100 + 0.87 * 362.17) / 462.17)
    assert top.imbalance == pytest.approx(262.17 / 462.17)


def test_levels_come_best_first_and_cut_at_depth(books: Books) -> None:
    assert books.levels(MARKET, 9) == (
        [(8600, 362_170_000), (100, 12_902_690_000)],
        [(8700, 100_000_000), (9900, 5_000_000)],
    )
    assert books.levels(MARKET, 1) == ([(8600, 362_170_000)], [(8700, 100_000_000)])
    assert books.levels(MARKET, 0) == ([], [])


@pytest.mark.parametrize(
    "changed",
    [change("BUY", "0.86", "72.5", 1), change("SELL", "0.14", "72.5", 1, NO)],
    ids=["yes", "no"],
)
def test_either_tokens_entry_sets_the_new_aggregate(books: Books, changed: dict[str, Any]) -> None:
    top = send_for_top(books, changed)
    assert (top.bid_e4, top.bid_size_e6, top.sequence) == (8600, 72_500_000, 2)


def test_mirrored_entries_are_one_change(books: Books) -> None:
    both = change("BUY", "0.86", "72.5", 1)
    both["price_changes"].append(entry("SELL", "0.14", "72.5", NO))
    assert send_for_top(books, both).sequence == 2
    assert send(books, both) == []


def test_size_zero_removes_and_the_next_level_is_best(books: Books) -> None:
    assert send_for_top(books, change("BUY", "0.86", "0", 1)).bid_e4 == 100


def test_change_far_from_the_touch_is_a_change(books: Books) -> None:
    assert send_for_top(books, change("BUY", "0.5", "7", 1)).bid_e4 == 8600


def test_one_sided_and_empty_books_are_valid_without_features(books: Books) -> None:
    one_sided = send_for_top(books, book([("0.99", "5")], [], 1))
    assert (one_sided.is_valid, one_sided.bid_e4, one_sided.ask_e4) == (True, 9900, None)
    assert (one_sided.microprice, one_sided.imbalance, one_sided.ask_size_e6) == (None, None, None)
    empty = send_for_top(books, book([], [], 2))
    assert (empty.is_valid, empty.bid_e4, empty.ask_e4) == (True, None, None)


@pytest.mark.parametrize("price", ["0.87", "0.88"], ids=["locked", "crossed"])
def test_crossed_or_locked_book_is_invalid_until_it_heals(books: Books, price: str) -> None:
    top = send_for_top(books, change("BUY", price, "10", 1))
    assert (top.is_valid, top.reason, top.microprice, top.imbalance) == (False, "crossed", None, None)
    assert (top.bid_e4, top.ask_e4) == (int(price[2:]) * 100, 8700)
    healed = send_for_top(books, change("SELL", "0.87", "0", 1))
    assert (healed.is_valid, healed.reason, healed.ask_e4) == (True, None, 9900)


def test_frame_that_crosses_and_heals_is_never_told_as_crossed(books: Books) -> None:
    top = send_for_top(books, change("BUY", "0.87", "10", 1), change("SELL", "0.87", "0", 1))
    assert (top.is_valid, top.bid_e4, top.ask_e4, top.sequence) == (True, 8700, 9900, 2)


# --- order of server times ----------------------------------------------------------------------


def test_older_snapshot_sets_the_levels_without_a_later_change(books: Books) -> None:
    send(books, change("BUY", "0.86", "1", 5))
    assert send_for_top(books, book([("0.5", "1")], [], 4)).bid_e4 == 8600
    assert books.levels(MARKET, 9) == ([(8600, 1_000_000), (5000, 1_000_000)], [])
    assert send(books, book([("0.4", "1")], [], 3)) == []
    assert send_for_top(books, book([("0.5", "1")], [], 5)).bid_e4 == 5000


def test_change_older_than_the_snapshot_is_ignored(books: Books) -> None:
    assert send(books, change("BUY", "0.86", "1", -1)) == []


def test_change_older_than_its_own_level_is_ignored_and_others_are_not(books: Books) -> None:
    send(books, change("BUY", "0.86", "10", 5))
    assert send(books, change("BUY", "0.86", "20", 4)) == []
    assert send_for_top(books, change("BUY", "0.85", "20", 4)).server_ms == START_MS + 5


def test_removed_level_is_not_revived_by_an_older_change(books: Books) -> None:
    send(books, change("BUY", "0.86", "0", 5))
    assert send(books, change("BUY", "0.86", "20", 4)) == []


def test_first_snapshot_may_be_older_than_changes_which_survive_it(empty: Books) -> None:
    assert send(empty, change("BUY", "0.86", "99", 7)) == []
    assert empty.levels(MARKET, 9) == ([], [])
    top = send_for_top(empty, SNAPSHOT)
    assert (top.bid_e4, top.bid_size_e6, top.server_ms) == (8600, 99_000_000, START_MS + 7)


# --- epochs -------------------------------------------------------------------------------------


def test_tick_change_opens_an_epoch_and_waits_for_a_snapshot(books: Books) -> None:
    top = send_for_top(books, tick_change("0.001", 1))
    assert (top.tick_e4, top.epoch, top.is_valid, top.reason) == (10, 1, False, "tick change")
    assert (top.bid_e4, top.microprice) == (None, None)
    assert send(books, tick_change("0.001", 1, NO)) == []
    top = send_for_top(books, book([("0.961", "5")], [("0.97", "5")]))
    assert (top.is_valid, top.bid_e4, top.tick_e4, top.epoch) == (True, 9610, 10, 1)


def test_snapshot_with_another_tick_opens_an_epoch(books: Books) -> None:
    top = send_for_top(books, {**SNAPSHOT, "tick_size": "0.001", "last_trade_price": ""})
    assert (top.tick_e4, top.epoch, top.is_valid) == (10, 1, True)


def test_reset_waits_for_any_snapshot_in_a_new_epoch(books: Books) -> None:
    send(books, change("BUY", "0.86", "10", 50))
    books.reset()
    top = books.top(MARKET)
    assert (top.is_valid, top.reason, top.epoch, top.bid_e4) == (False, "no snapshot", 1, None)
    assert books.levels(MARKET, 9) == ([], [])
    assert send_for_top(books, SNAPSHOT).bid_size_e6 == 362_170_000


# --- trades, resolutions, several markets -------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "sign"),
    [(trade("BUY", "0.87", "13.7931"), 1), (trade("BUY", "0.13", "13.7931", token=NO), -1)],
    ids=["yes", "no"],
)
def test_a_trade_flows_in_the_yes_frame_and_changes_no_book(
    books: Books, event: dict[str, Any], sign: int
) -> None:
    assert send(books, event, received_ns=1) == []
    assert books.top(MARKET).trade_flow == pytest.approx(sign * 13.7931)


@pytest.mark.parametrize(("token", "winner"), [(YES, "YES"), (NO, "NO")])
def test_resolution_names_the_winner_once(books: Books, token: str, winner: str) -> None:
    assert books.top(MARKET).winner is None
    assert send_for_top(books, resolution(token)).winner == winner
    assert send(books, resolution(token)) == []
    books.reset_market(MARKET)
    assert books.top(MARKET).winner == winner


def test_frame_names_each_market_that_it_changed_once(books: Books) -> None:
    books.add_market(OTHER, "y", "n", 100)
    changed = send(
        books,
        trade("BUY", "0.87", "1"),
        book([("0.4", "1")], [("0.5", "1")], token="y"),
        change("BUY", "0.86", "1", 1),
        trade("SELL", "0.86", "2"),
        change("BUY", "0.86", "2", 2),
    )
    assert sorted(changed) == sorted([OTHER, MARKET])
    assert books.top(MARKET).bid_size_e6 == 2_000_000


def test_foreign_events_are_ignored_and_counted(books: Books) -> None:
    foreign = change("BUY", "0.86", "1", token="nobody's")
    assert send(books, foreign, trade("BUY", "0.5", "1", token="nobody's"), resolution("1", OTHER)) == []
    assert books.ignored_events == 3
    assert send(books, {"event_type": "from_the_future", "price": 7}) == []
    assert books.ignored_events == 4
    assert send(books, {"event_type": "new_market", "market": OTHER, "assets_ids": ["1"]}) == []
    assert send(books, {"event_type": "best_bid_ask", "asset_id": YES, "best_bid": "", "best_ask": ""}) == []
    assert books.ignored_events == 4


def test_text_of_the_venue_with_spaces_and_an_empty_array(books: Books) -> None:
    assert not books.apply(b"[]", 1)
    assert not books.apply(b" [ ] ", 1)


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "sentence"),
    [
        (b"PONG", "not a JSON object or array"),
        (b"", "not a JSON object or array"),
        (b"\xff", "not UTF-8"),
        (b"[1]", "expected an event object"),
        (b"{}", "without event_type"),
        (json.dumps(change("BUY", "1.2", "1")).encode(), r'price_change event: price "1.2" is out of range'),
        (json.dumps(change("BUY", "0.00001", "1")).encode(), "finer than 1e-4"),
        (json.dumps(change("BUY", "0.5", "")).encode(), r'size "" is not a plain decimal'),
        (json.dumps(change("BUY", "0.5", "-1")).encode(), "not a plain decimal"),
        (json.dumps(change("HOLD", "0.5", "1")).encode(), "neither BUY nor SELL"),
        (json.dumps({**SNAPSHOT, "timestamp": "soon"}).encode(), "not whole milliseconds"),
        (json.dumps({**SNAPSHOT, "bids": None}).encode(), "book event has no bids"),
        (json.dumps(tick_change("0.003")).encode(), "out of range"),
        (json.dumps(tick_change("")).encode(), "tick_size_change event has no new_tick_size"),
        (json.dumps(resolution("7")).encode(), "is no token of market"),
    ],
)
def test_invalid_frame_is_refused_with_a_sentence(books: Books, frame: bytes, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        books.apply(frame, 1)


def test_refused_frame_applies_nothing(books: Books) -> None:
    bad = change("BUY", "0.86", "1", 1)
    bad["price_changes"].append(entry("SELL", "x", "1", NO))
    with pytest.raises(ValueError, match='price "x"'):
        send(books, change("BUY", "0.85", "1", 1), bad)
    assert books.levels(MARKET, 1) == ([(8600, 362_170_000)], [(8700, 100_000_000)])
    assert books.top(MARKET).sequence == 1


def test_markets_are_held_once_and_can_be_let_go(books: Books) -> None:
    with pytest.raises(ValueError, match="held already"):
        books.add_market(MARKET, "y", "n", 100)
    with pytest.raises(ValueError, match="already belongs"):
        books.add_market(OTHER, "y", NO, 100)
    for tick_e4 in (0, 30, 10_000, -100, 1 << 20):
        with pytest.raises(ValueError, match="tick"):
            books.add_market(OTHER, "y", "n", tick_e4)
    books.remove_market(MARKET)
    assert send(books, SNAPSHOT) == []
    assert books.ignored_events == 1
    for call in (
        lambda: books.top(MARKET),
        lambda: books.levels(MARKET, 1),
        lambda: books.remove_market(MARKET),
    ):
        with pytest.raises(KeyError):
            call()
    books.add_market(OTHER, YES, NO, 100)
    assert send_for_top(books, SNAPSHOT).market == OTHER


def test_states_are_frozen(books: Books) -> None:
    with pytest.raises(AttributeError):
        books.top(MARKET).sequence = 5  # type: ignore[misc]


# --- properties ---------------------------------------------------------------------------------


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["BUY", "SELL"]),
            st.integers(1, 99),
            st.integers(0, 3),
            st.integers(-2, 9),
            st.booleans(),
        ),
        max_size=40,
    )
)
def test_book_is_the_last_word_on_each_level(changes: list[tuple[str, int, int, int, bool]]) -> None:
    books = Books()
    books.add_market(MARKET, YES, NO, 100)
    send(books, book([], []))
    last: dict[tuple[str, int], tuple[int, int]] = {}
    for side, cents, size, ms, is_mirrored in changes:
        token, wire_side, wire_cents = YES, side, cents
        if is_mirrored:
            token, wire_side, wire_cents = NO, "SELL" if side == "BUY" else "BUY", 100 - cents
        send(books, change(wire_side, f"0.{wire_cents:02d}", str(size), ms, token))
        if ms >= 0 and ms >= last.get((side, cents), (0, 0))[0]:
            last[side, cents] = (ms, size)
    standing = [(side, cents * 100, size * 10**6) for (side, cents), (_, size) in last.items() if size]
    bids = sorted(((price, size) for side, price, size in standing if side == "BUY"), reverse=True)
    asks = sorted((price, size) for side, price, size in standing if side == "SELL")
    assert books.levels(MARKET, 100) == (bids, asks)
    top = books.top(MARKET)
    assert top.is_valid is not (bool(bids) and bool(asks) and bids[0][0] >= asks[0][0])
    assert (top.microprice is not None) is (top.is_valid and bool(bids) and bool(asks))


# --- the venue's own word -----------------------------------------------------------------------


def listed(tick_e4: int) -> ListedMarket:
    return ListedMarket(
        condition_id=MARKET, question_id="", slug="", question="", underlying="", yes_token=YES, no_token=NO,
        tick_e4=tick_e4, min_size_e6=5_000_000, fee_rate_e4=0, end_ms=0, neg_risk=True,
    )  # fmt: skip


@given(
    levels=st.dictionaries(
        st.tuples(st.booleans(), st.integers(1, 4_999)), st.integers(1, 10**13), max_size=30
    ),
    is_yes=st.booleans(),
    last_trade_e4=st.none() | st.integers(1, 9_999),
    ms=st.integers(0, 10**13 - 1),
)
def test_hash_is_that_of_the_sandbox_which_has_its_own_code(
    levels: dict[tuple[bool, int], int], is_yes: bool, last_trade_e4: int | None, ms: int
) -> None:
    text = BookText(listed(1))
    sides: dict[bool, Levels] = {True: [], False: []}
    for (is_bid, distance_e4), size_e6 in levels.items():
        price_e4 = distance_e4 if is_bid else 10_000 - distance_e4
        text.set_level(is_bid, price_e4, size_e6)
        sides[is_bid].append((format_price(price_e4), format_e6(size_e6)))
    text.last_trade_e4 = last_trade_e4
    books = Books()
    books.add_market(MARKET, YES, NO, 1, 5_000_000, is_neg_risk=True)
    send(books, book(sides[True], sides[False]))
    assert books.book_hash(MARKET, is_yes, ms, last_trade_e4) == text.hash(is_yes, ms)


def witnessed(size: str, hash_of: BookText, ms: int, best: tuple[str, str]) -> dict[str, Any]:
    made = change("BUY", "0.86", size, ms)
    made["price_changes"][0] |= {
        "hash": hash_of.hash(is_yes=True, timestamp_ms=START_MS + ms), "best_bid": best[0], "best_ask": best[1],
    }  # fmt: skip
    return made


def test_a_wrong_level_is_doubted_from_its_frame_on_and_a_snapshot_ends_it() -> None:
    truth = BookText(listed(100))
    for is_bid, price_e4, size_e6 in [
        (True, 100, 12_902_690_000), (True, 8600, 362_170_000),
        (False, 9900, 5_000_000), (False, 8700, 100_000_000),
    ]:  # fmt: skip
        truth.set_level(is_bid, price_e4, size_e6)
    books = Books()
    books.add_market(MARKET, YES, NO, 100, 5_000_000, is_neg_risk=True)
    send(books, SNAPSHOT | {"last_trade_price": "", "hash": truth.hash(is_yes=True, timestamp_ms=START_MS)})
    assert books.compare() == []
    assert books.top(MARKET).proven_ms == START_MS

    truth.set_level(is_bid=True, price_e4=8600, size_e6=7_000_000)
    send(books, witnessed("987654.32", truth, 5, ("0.86", "0.87")), received_ns=50)
    assert books.compare() == [MARKET]
    top = books.top(MARKET)
    assert (top.hash_doubt_ns, top.touch_doubt_ns) == (50, None)
    # Another true change does not hide it.
    truth.set_level(is_bid=True, price_e4=8600, size_e6=8_000_000)
    wrong = witnessed("8", truth, 6, ("0.86", "0.87"))
    wrong["price_changes"][0]["price"] = "0.85"
    send(books, wrong, received_ns=60)
    assert books.compare() == []
    assert books.top(MARKET).hash_doubt_ns == 50

    listing = json.dumps(
        [
            {
                **book([("0.01", "12902.69"), ("0.86", "8")], [("0.99", "5"), ("0.87", "100")], 7),
                "hash": truth.hash(is_yes=True, timestamp_ms=START_MS + 7),
                "last_trade_price": "",
            }
        ]
    )
    assert books.apply_listing(listing.encode(), 70)
    assert books.compare() == [MARKET]
    top = books.top(MARKET)
    assert (top.hash_doubt_ns, top.proven_ms) == (None, START_MS + 7)


def test_a_listing_with_the_hash_of_the_last_change_does_not_make_it_a_trade() -> None:
    truth = BookText(listed(100))
    truth.last_trade_e4 = 8_800
    for is_bid, price_e4, size_e6 in [
        (True, 100, 12_902_690_000), (True, 8600, 362_170_000),
        (False, 9900, 5_000_000), (False, 8700, 100_000_000),
    ]:  # fmt: skip
        truth.set_level(is_bid, price_e4, size_e6)
    books = Books()
    books.add_market(MARKET, YES, NO, 100, 5_000_000, is_neg_risk=True)
    send(
        books, SNAPSHOT | {"last_trade_price": "0.88", "hash": truth.hash(is_yes=True, timestamp_ms=START_MS)}
    )
    truth.set_level(is_bid=True, price_e4=8600, size_e6=7_000_000)
    send(books, witnessed("7", truth, 5, ("0.86", "0.87")))
    assert books.compare() == []
    # The market is quiet: the venue lists the book as of that change, with its hash.
    body = {
        **book([("0.01", "12902.69"), ("0.86", "7")], [("0.99", "5"), ("0.87", "100")], 5),
        "hash": truth.hash(is_yes=True, timestamp_ms=START_MS + 5),
        "last_trade_price": "0.88",
    }
    books.apply_listing(json.dumps([body]).encode(), 60)
    truth.set_level(is_bid=True, price_e4=8500, size_e6=1_000_000)
    quiet = witnessed("1", truth, 6, ("0.86", "0.87"))
    quiet["price_changes"][0]["price"] = "0.85"
    send(books, quiet, received_ns=70)
    assert books.compare() == []
    assert books.hashes_compared == (2, 0)


def test_best_prices_that_differ_are_doubted_until_they_agree(books: Books) -> None:
    stray = change("BUY", "0.85", "3", 5)
    stray["price_changes"][0] |= {"best_bid": "0.85", "best_ask": "0.87"}
    send(books, stray, received_ns=9)
    assert books.top(MARKET).touch_doubt_ns == 9
    send(books, change("BUY", "0.86", "0", 4), received_ns=10)
    assert books.top(MARKET).touch_doubt_ns is None


def test_silence_is_judged_by_a_markets_own_pace(books: Books) -> None:
    for ms in range(20):
        send(books, change("BUY", "0.5", str(ms + 1), ms), received_ns=ms * 10_000_000)
    last_ns = 190_000_000
    assert books.silent(last_ns + 35_000_000, 4.0, 0) == []
    assert books.silent(last_ns + 45_000_000, 4.0, 0) == [MARKET]
    assert books.silent(last_ns + 45_000_000, 4.0, 50_000_000) == []


def test_the_next_silence_is_known_before_it_begins(books: Books) -> None:
    for ms in range(20):
        send(books, change("BUY", "0.5", str(ms + 1), ms), received_ns=ms * 10_000_000)
    until_ns = books.next_silence_ns(190_000_000, 4.0, 0)
    assert until_ns is not None
    assert books.silent(until_ns, 4.0, 0) == []
    assert books.silent(until_ns + 1, 4.0, 0) == [MARKET]
    assert books.next_silence_ns(until_ns + 1, 4.0, 0) is None
