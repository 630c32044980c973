"""The gate: only the mandate's holder, only within its limits, only while it lasts."""

import itertools

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clawswarm.engine.gate import Gate, Revoked
from clawswarm.engine.orders import Inventories, OwnOrder, OwnOrders, choose_token
from clawswarm.model.instruments import Market, Side
from clawswarm.model.messages import Allocation, Inventory, Mandate, Place, Plan
from clawswarm.model.units import notional_e6

steady = settings(deadline=None, derandomize=True)

SHARE = 1_000_000
MARKET = Market("0xc", "btc-updown", "BTC", "yes", "no", 100, 5 * SHARE, False, True, None)
OTHER = msgspec.structs.replace(MARKET, condition_id="0xd")
MANDATE = Mandate(
    market=MARKET,
    quoter="quoter-1",
    epoch=3,
    capital_e6=60 * SHARE,
    max_position_e6=100 * SHARE,
    order_size_e6=20 * SHARE,
)
FLAT = Inventory(market="0xc", yes_e6=0, no_e6=0)
MOVED = "the mandate moved or was withdrawn"
RAN_OUT = "the mandate ran out"


def allocation(*mandates: Mandate, term: int = 1, sent_ns: int = 1_000, life_ns: int = 100) -> Allocation:
    return Allocation(term=term, sent_ns=sent_ns, life_ns=life_ns, mandates=mandates)


def mandate(**changed: object) -> Mandate:
    return msgspec.structs.replace(MANDATE, **changed)


def place(side: Side = Side.BUY, price_e4: int = 4800, shares: float = 10) -> Place:
    return Place(ref=1, side=side, price_e4=price_e4, size_e6=round(shares * SHARE))


def plan(*places: Place, **changed: object) -> Plan:
    base = Plan(
        market="0xc",
        term=1,
        epoch=3,
        cancels=(),
        places=places,
        value=0.0,
        book_sequence=1,
        book_received_ns=None,
        decided_ns=0,
    )
    return msgspec.structs.replace(base, **changed)


def resting(side: Side, shares: int, price_e4: int = 4800, owner: str = "quoter-1") -> OwnOrder:
    return OwnOrder("0x1", 1, owner, "0xc", side, price_e4, shares * SHARE, "yes", side, price_e4)


def gate_with(*mandates: Mandate) -> Gate:
    gate = Gate()
    gate.install(allocation(*mandates))
    return gate


def refusal(
    wanted: Plan, *, gate: Gate | None = None, orders: tuple[OwnOrder, ...] = (), held: Inventory = FLAT
) -> str | None:
    return (gate or gate_with(MANDATE)).refusal(wanted, "quoter-1", list(orders), held)


# --- the table --------------------------------------------------------------------------------------


def test_a_mandate_is_in_force_once_installed() -> None:
    gate = Gate()
    assert gate.mandate("0xc") is None
    assert gate.install(allocation(MANDATE)) == []
    assert gate.mandate("0xc") == MANDATE
    assert gate.mandates == [MANDATE]


@pytest.mark.parametrize(
    ("newer", "revoked"),
    [
        ((), [Revoked("0xc", "quoter-1", MOVED)]),
        ((mandate(quoter="quoter-2", epoch=4),), [Revoked("0xc", "quoter-1", MOVED)]),
        ((mandate(epoch=4),), [Revoked("0xc", "quoter-1", MOVED)]),
        ((mandate(capital_e6=1),), []),
        ((mandate(market=OTHER),), [Revoked("0xc", "quoter-1", MOVED)]),
    ],
)
def test_whoever_loses_a_market_is_named(newer: tuple[Mandate, ...], revoked: list[Revoked]) -> None:
    gate = gate_with(MANDATE)
    assert gate.install(allocation(*newer, sent_ns=1_001)) == revoked
    assert gate.mandates == list(newer)


@pytest.mark.parametrize(("term", "sent_ns"), [(1, 1_000), (1, 999), (0, 5_000)])
def test_an_older_table_changes_nothing(term: int, sent_ns: int) -> None:
    gate = gate_with(MANDATE)
    assert gate.install(allocation(term=term, sent_ns=sent_ns)) == []
    assert gate.mandate("0xc") == MANDATE
    assert gate.expire(1_099) == []


def test_a_higher_term_wins_whatever_its_time() -> None:
    gate = gate_with(MANDATE)
    assert gate.install(allocation(mandate(epoch=4), term=2, sent_ns=10)) == [
        Revoked("0xc", "quoter-1", MOVED)
    ]
    assert refusal(plan(place()), gate=gate) == "epoch: the mandate is of term 2, epoch 4"


def test_a_mandate_ends_by_itself_at_its_time_and_only_once() -> None:
    gate = gate_with(MANDATE)
    assert gate.expire(1_099) == []
    assert gate.expire(1_100) == [Revoked("0xc", "quoter-1", RAN_OUT)]
    assert gate.expire(1_200) == []
    assert refusal(plan(place()), gate=gate) == "mandate: this market is not yours"


def test_a_renewal_prolongs_from_its_own_send_time() -> None:
    gate = gate_with(MANDATE)
    gate.install(allocation(MANDATE, sent_ns=1_050))
    assert gate.expire(1_149) == []
    assert gate.expire(1_150) == [Revoked("0xc", "quoter-1", RAN_OUT)]


def test_a_mandate_comes_back_after_silence() -> None:
    gate = gate_with(MANDATE)
    gate.expire(1_100)
    assert gate.install(allocation(MANDATE, sent_ns=2_000)) == []
    assert refusal(plan(place()), gate=gate) is None


@steady
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 20)), max_size=20))
def test_the_newest_table_of_the_highest_term_is_in_force_in_whatever_order_they_come(
    stamps: list[tuple[int, int]],
) -> None:
    gate, newest = Gate(), (0, 0)
    for number, (term, sent_ns) in enumerate(stamps):
        gate.install(allocation(mandate(capital_e6=number), term=term, sent_ns=sent_ns))
        if (term, sent_ns) > newest:
            newest, expected = (term, sent_ns), number
        assert [m.capital_e6 for m in gate.mandates] == ([expected] if newest > (0, 0) else [])


# --- one plan ---------------------------------------------------------------------------------------


def test_a_plan_within_every_limit_passes() -> None:
    assert refusal(plan(place(Side.BUY), place(Side.SELL, 5200))) is None


@pytest.mark.parametrize(
    ("wanted", "named"),
    [
        (plan(place(), market="0xd"), "mandate: "),
        (plan(place(), term=2), "epoch: the mandate is of term 1, epoch 3"),
        (plan(place(), term=0), "epoch: "),
        (plan(place(), epoch=2), "epoch: "),
        (plan(place(), epoch=4), "epoch: "),
        (plan(place(price_e4=4850)), "price: 4850 "),
        (plan(place(price_e4=0)), "price: 0 "),
        (plan(place(price_e4=10_000)), "price: 10000 "),
        (plan(place(price_e4=-100)), "price: -100 "),
        (plan(place(shares=4.99)), "size: 4990000 "),
        (plan(place(shares=0)), "size: 0 "),
        (plan(place(shares=-10)), "size: -10000000 "),
        (plan(place(price_e4=7000, shares=90)), "capital: 63000000 would be at work, 60000000 is allowed"),
        (plan(place(Side.SELL, 3000, 90)), "capital: 63000000 "),
        (plan(place(price_e4=100, shares=101)), "position: 101000000 could be reached, 100000000 is allowed"),
        (plan(place(Side.SELL, 9900, 101)), "position: 101000000 "),
        (plan(place(price_e4=100, shares=60), place(price_e4=200, shares=60)), "position: 120000000 "),
    ],
)
def test_a_plan_beyond_a_limit_is_refused_with_its_name(wanted: Plan, named: str) -> None:
    reason = refusal(wanted)
    assert reason is not None
    assert reason.startswith(named)


def test_another_quoter_may_not_trade_the_market() -> None:
    gate = gate_with(MANDATE)
    assert gate.refusal(plan(place()), "quoter-2", [], FLAT) == "mandate: this market is not yours"


def test_nothing_is_placed_while_the_former_quoter_may_have_orders() -> None:
    former = resting(Side.SELL, 10, owner="quoter-2")
    reason = refusal(plan(place()), orders=(former,))
    assert reason is not None
    assert reason.startswith("owner: ")
    assert refusal(plan(), orders=(former,)) is None


def test_resting_orders_count_even_if_the_plan_cancels_them() -> None:
    orders = (resting(Side.BUY, 95, price_e4=100),)
    for cancels in ((), ("0x1",)):
        reason = refusal(plan(place(price_e4=100), cancels=cancels), orders=orders)
        assert reason is not None
        assert reason.startswith("position: 105000000 ")
    assert refusal(plan(place(Side.SELL, 9900)), orders=orders) is None


def test_what_is_held_counts_on_the_side_that_adds_to_it() -> None:
    long = Inventory(market="0xc", yes_e6=100 * SHARE, no_e6=5 * SHARE)
    assert refusal(plan(place(shares=6)), held=long) is not None
    assert refusal(plan(place(shares=5)), held=long) is None
    assert refusal(plan(place(Side.SELL, 5200, 60)), held=long) is None


def test_a_position_beyond_its_limit_can_be_reduced() -> None:
    beyond = Inventory(market="0xc", yes_e6=150 * SHARE, no_e6=0)
    assert refusal(plan(place(shares=5)), held=beyond) is not None
    assert refusal(plan(place(Side.SELL, 5200, 20)), held=beyond) is None


def test_cancels_alone_pass_whatever_the_limits_say() -> None:
    gate = gate_with(mandate(capital_e6=0, max_position_e6=0))
    assert refusal(plan(cancels=("0x1",)), gate=gate, orders=(resting(Side.BUY, 95),)) is None


# --- any sequence of plans --------------------------------------------------------------------------

sides = st.sampled_from(Side)
any_place = st.builds(place, sides, st.integers(1, 99).map(lambda cents: cents * 100), st.integers(5, 60))
steps = st.one_of(
    st.tuples(st.just("plan"), st.lists(any_place, min_size=1, max_size=3)),
    st.tuples(st.just("fill"), st.tuples(st.integers(0, 9), st.floats(0.01, 1))),
    st.tuples(st.just("cancel"), st.integers(0, 9)),
)


class Desk:
    """An account that sends whatever the gate lets pass, and a venue that fills whatever it likes."""

    def __init__(self) -> None:
        self.gate, self.orders, self.inventories = gate_with(MANDATE), OwnOrders(), Inventories()
        self._ids = itertools.count(1)

    def plan(self, places: list[Place]) -> bool:
        """Send a plan's places if they pass; whether they did."""
        held = self.inventories.of("0xc")
        if self.gate.refusal(plan(*places), "quoter-1", self.orders.select(), held) is not None:
            return False
        for wanted in places:
            choice = choose_token(
                MARKET, wanted.side, wanted.price_e4, wanted.size_e6, held, self.orders.select()
            )
            self.orders.add(
                OwnOrder(
                    f"0x{next(self._ids)}",
                    1,
                    "quoter-1",
                    "0xc",
                    wanted.side,
                    wanted.price_e4,
                    wanted.size_e6,
                    choice.token_id,
                    choice.side,
                    choice.price_e4,
                )
            )
        return True

    def fill(self, number: int, share: float) -> None:
        """Trade a part of one order."""
        open_orders = self.orders.select()
        if not open_orders:
            return
        order = open_orders[number % len(open_orders)]
        size_e6 = max(1, int(order.remaining_e6 * share))
        trade_id = f"t{next(self._ids)}"
        self.inventories.apply(trade_id, order.order_id, MARKET, order.token_id, order.token_side, size_e6)
        order.remaining_e6 -= size_e6
        if not order.remaining_e6:
            self.orders.remove(order.order_id)

    def cancel(self, number: int) -> None:
        """Lose one order."""
        open_orders = self.orders.select()
        if open_orders:
            self.orders.remove(open_orders[number % len(open_orders)].order_id)

    def worst_position_e6(self, side: Side) -> int:
        """Position if everything on one side is filled and nothing on the other."""
        adding = sum(order.remaining_e6 for order in self.orders.select() if order.side is side)
        return side.sign * self.inventories.of("0xc").net_e6 + adding

    def collateral_e6(self) -> int:
        """What the venue sets aside for the open orders: sales of held tokens need none."""
        return sum(
            notional_e6(order.token_price_e4, order.remaining_e6)
            for order in self.orders.select()
            if order.token_side is Side.BUY
        )

    def oversold(self) -> bool:
        """Whether more of a token is offered than is held."""
        held = self.inventories.of("0xc")
        offered = {"yes": 0, "no": 0}
        for order in self.orders.select():
            if order.token_side is Side.SELL:
                offered[order.token_id] += order.remaining_e6
        return offered["yes"] > held.yes_e6 or offered["no"] > held.no_e6


@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.lists(steps, max_size=25))
def test_whatever_passes_the_worst_case_never_exceeds_the_mandate(history: list[tuple[str, object]]) -> None:
    desk = Desk()
    for what, how in history:
        if what == "plan":
            assert isinstance(how, list)
            desk.plan(how)
        elif what == "fill":
            assert isinstance(how, tuple)
            desk.fill(*how)
        else:
            assert isinstance(how, int)
            desk.cancel(how)
        for side in Side:
            assert desk.worst_position_e6(side) <= MANDATE.max_position_e6
        assert desk.collateral_e6() <= MANDATE.capital_e6
        assert not desk.oversold()


def test_the_property_above_lets_plans_pass() -> None:
    desk = Desk()
    assert desk.plan([place(), place(Side.SELL, 5200)])
    desk.fill(0, 1.0)
    assert desk.plan([place()])
    assert len(desk.orders) == 2
