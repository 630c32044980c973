"""Own orders and inventory: the token that needs no collateral first, every fill once."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clawswarm.engine.orders import Inventories, OwnOrder, OwnOrders, TokenChoice, choose_token, yes_frame
from clawswarm.model.instruments import Market, Side
from clawswarm.model.messages import Inventory

steady = settings(deadline=None, derandomize=True)

MARKET = Market("0xc", "btc-updown", "BTC", "yes", "no", 100, 5_000_000, False, True, None)
sides = st.sampled_from(Side)
prices = st.integers(1, 9_999)
sizes = st.integers(1, 10**9)
tokens = st.sampled_from(["yes", "no"])


def own(order_id: str, owner: str = "q", market: str = "0xc", token: str = "yes", size: int = 10) -> OwnOrder:
    return OwnOrder(order_id, 1, owner, market, Side.SELL, 5000, size, token, Side.SELL, 5000)


def held(yes_e6: int, no_e6: int) -> Inventory:
    return Inventory(market="0xc", yes_e6=yes_e6, no_e6=no_e6)


open_sales = st.lists(st.tuples(tokens, st.integers(1, 500)), max_size=6).map(
    lambda sales: [own(str(number), token=token, size=size) for number, (token, size) in enumerate(sales)]
)


@pytest.mark.parametrize(
    ("side", "inventory", "choice"),
    [
        (Side.BUY, held(0, 0), TokenChoice("yes", Side.BUY, 4800)),
        (Side.BUY, held(99, 9), TokenChoice("yes", Side.BUY, 4800)),
        (Side.BUY, held(0, 10), TokenChoice("no", Side.SELL, 5200)),
        (Side.SELL, held(0, 0), TokenChoice("no", Side.BUY, 5200)),
        (Side.SELL, held(9, 99), TokenChoice("no", Side.BUY, 5200)),
        (Side.SELL, held(10, 0), TokenChoice("yes", Side.SELL, 4800)),
    ],
)
def test_what_is_held_is_sold_before_the_complement_is_bought(
    side: Side, inventory: Inventory, choice: TokenChoice
) -> None:
    assert choose_token(MARKET, side, 4800, 10, inventory, []) == choice


def test_what_another_order_offers_is_not_free() -> None:
    assert choose_token(MARKET, Side.SELL, 4800, 10, held(15, 0), [own("a", size=6)]).token_id == "no"
    assert choose_token(MARKET, Side.SELL, 4800, 10, held(16, 0), [own("a", size=6)]).token_id == "yes"
    other_token = own("a", token="no", size=6)
    assert choose_token(MARKET, Side.SELL, 4800, 10, held(10, 6), [other_token]).token_id == "yes"


@steady
@given(sides, prices, st.integers(1, 600), st.integers(0, 1_000), st.integers(0, 1_000), open_sales)
def test_no_token_is_ever_offered_beyond_what_is_held_free(
    side: Side, price_e4: int, size_e6: int, yes_e6: int, no_e6: int, open_orders: list[OwnOrder]
) -> None:
    choice = choose_token(MARKET, side, price_e4, size_e6, held(yes_e6, no_e6), open_orders)
    if choice.side is Side.SELL:
        offered = sum(order.remaining_e6 for order in open_orders if order.token_id == choice.token_id)
        assert offered + size_e6 <= (yes_e6 if choice.token_id == "yes" else no_e6)


@steady
@given(sides, prices, sizes, sizes, sizes)
def test_the_yes_frame_gives_back_what_was_asked(
    side: Side, price_e4: int, size_e6: int, yes_e6: int, no_e6: int
) -> None:
    choice = choose_token(MARKET, side, price_e4, size_e6, held(yes_e6, no_e6), [])
    assert yes_frame(MARKET, choice.token_id, choice.side, choice.price_e4) == (side, price_e4)


@steady
@given(sides, prices)
def test_an_order_on_either_token_is_one_order_in_the_yes_frame(side: Side, price_e4: int) -> None:
    assert yes_frame(MARKET, "yes", side, price_e4) == (side, price_e4)
    assert yes_frame(MARKET, "no", side, price_e4) == (side.opposite, 10_000 - price_e4)


def test_orders_are_found_by_owner_and_market() -> None:
    orders = OwnOrders()
    for order in (own("a"), own("b", owner="p"), own("c", market="0xd")):
        orders.add(order)
    assert [order.order_id for order in orders.select()] == ["a", "b", "c"]
    assert [order.order_id for order in orders.select(owner="q")] == ["a", "c"]
    assert [order.order_id for order in orders.select(market="0xc")] == ["a", "b"]
    assert [order.order_id for order in orders.select("q", "0xd")] == ["c"]
    assert len(orders) == 3


def test_an_order_is_removed_once() -> None:
    orders = OwnOrders()
    orders.add(own("a"))
    assert orders.get("a") == own("a")
    assert orders.remove("a") == own("a")
    assert orders.remove("a") is None
    assert orders.get("a") is None
    assert len(orders) == 0


@pytest.mark.parametrize(
    ("token", "side", "after"),
    [
        ("yes", Side.BUY, (15, 10)),
        ("yes", Side.SELL, (5, 10)),
        ("no", Side.BUY, (10, 15)),
        ("no", Side.SELL, (10, 5)),
    ],
)
def test_a_fill_moves_its_own_token(token: str, side: Side, after: tuple[int, int]) -> None:
    inventories = Inventories()
    inventories.restore("t-0", "a", held(10, 10))
    inventory = inventories.apply("t-1", "a", MARKET, token, side, 5)
    assert inventory == inventories.of("0xc") == held(*after)


fills = st.lists(
    st.tuples(st.sampled_from("tuv"), st.sampled_from("abc"), tokens, sides, st.integers(1, 100)), max_size=12
)


@steady
@given(fills, st.randoms(use_true_random=False))
def test_a_fill_counts_once_however_often_and_in_whatever_order_it_is_told(
    told: list[tuple[str, str, str, Side, int]], order: object
) -> None:
    # One (trade, order) is one fill: what is told again says the same again.
    distinct = {(trade, order_id): fill for fill in told for trade, order_id in [fill[:2]]}
    fills_again = [distinct[fill[:2]] for fill in told]
    once, again = Inventories(), Inventories()
    for trade, order_id, token, side, size in distinct.values():
        assert once.apply(trade, order_id, MARKET, token, side, size) is not None
    shuffled = list(fills_again)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    seen = set()
    for trade, order_id, token, side, size in itertools.chain(shuffled, fills_again):
        booked = again.apply(trade, order_id, MARKET, token, side, size)
        assert (booked is None) == ((trade, order_id) in seen)
        seen.add((trade, order_id))
    assert again.of("0xc") == once.of("0xc")


def test_what_was_restored_is_not_booked_again() -> None:
    inventories = Inventories()
    inventories.restore("t-1", "a", held(5, 0))
    assert inventories.apply("t-1", "a", MARKET, "yes", Side.BUY, 5) is None
    assert inventories.apply("t-1", "b", MARKET, "yes", Side.BUY, 5) == held(10, 0)
    assert inventories.of("0xelse") == Inventory(market="0xelse", yes_e6=0, no_e6=0)
