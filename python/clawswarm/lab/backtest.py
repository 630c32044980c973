"""One strategy on one flow: the quoter's own state machine between a replayed venue and the engine's limits.

In: a `MarketFlow`, a strategy, `RunTerms`. Out: a `Run` with every fill at the venue's time. The desk is the one
of the swarm (`agents/quoter/desk.py`): same planner, same pauses after refusals, one plan under way at a time.
Matching, queue position, latency and taker delay are Rust (`rust/core/src/matching`).
"""

from collections.abc import Mapping

import msgspec

from clawswarm._core import OrderReport, Replay, ReplayFill
from clawswarm.agents.quoter.desk import QuoterDesk
from clawswarm.agents.quoter.pricing import QuoterSettings
from clawswarm.agents.quoter.strategy import MakeStrategy
from clawswarm.kernel.clock import NS_PER_MS
from clawswarm.lab.flows import MarketFlow
from clawswarm.lab.gate import Gate, OpenOrder
from clawswarm.lab.rewards import OwnQuote
from clawswarm.model.errors import InvariantBroken
from clawswarm.model.instruments import Market, PriceSettlement, Side
from clawswarm.model.messages import (
    Allocation,
    BookState,
    FeedHealth,
    Inventory,
    Mandate,
    OrderState,
    OrderUpdate,
    Plan,
    PlanDone,
    ReferencePrice,
)
from clawswarm.model.units import MICRO

NAME = "lab"
END, BOOK, OWN, TRADE, REFERENCE = 0, 1, 2, 3, 4
_FOREVER_NS = 1 << 60


class RunTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What every candidate gets alike: money, budget, latencies, the market's delay, fees."""

    capital_usd: float = 500.0
    max_position_shares: float = 200.0
    order_size_shares: float = 20.0
    tier: str = "standard"
    taker_delay_ms: int = 250
    feed_ms: float = 12.0
    """Venue to strategy: the recorded median, receive minus server time (recorded-data.md)."""
    order_ms: float = 12.0
    """Strategy to venue: no recording shows it; the way back is taken to be as long."""
    jitter_ms: float = 18.0
    """Up to this much more each time: the recorded p95 is 30 ms."""
    requote_ticks: int = 1
    rebate_rate: float = 0.07 * 0.20
    """Fee rate times the makers' share of it (polymarket.md §7), per share and p·(1 − p)."""
    reward_daily_usd: float = 120.0
    """Liquidity rewards of a market a day: assumed, since no recording states them (sandbox/settings.py)."""
    reward_min_shares: float = 50.0
    reward_max_spread: float = 0.045
    """What an order must be to score (polymarket.md §8)."""


class LabFill(msgspec.Struct, frozen=True):
    """One fill at the venue's time."""

    side: Side
    price_e4: int
    size_e6: int
    venue_ns: int


class Run(msgspec.Struct, frozen=True):
    """What one run left behind."""

    fills: tuple[LabFill, ...]
    placed: int
    cancelled: int
    rejected: int
    refused: Mapping[str, int]
    quoted_ns: int
    untradeable_s: float = 0.0
    """Of the whole flow, as the desk saw it (agents/quoter/tradeable.py)."""
    sampled: tuple[tuple[OwnQuote, ...], ...] = ()
    """What rested at the moment of each reward sample of the flow."""


def run_backtest(market: MarketFlow, make_strategy: MakeStrategy, terms: RunTerms, seed: int) -> Run:
    """Play the whole flow to a strategy; the same arguments give the same run."""
    return _Session(market, make_strategy, terms, seed).run()


class _Session:
    def __init__(self, flow: MarketFlow, make_strategy: MakeStrategy, terms: RunTerms, seed: int) -> None:
        recorded = flow.market
        self._underlying = recorded.underlying
        self._market = recorded.slug
        self._replay = Replay(
            flow.flow,
            tick_e4=recorded.tick_e4,
            min_size_e6=recorded.min_size_e6,
            ends_ns=recorded.duration_ms * NS_PER_MS,
            taker_delay_ns=terms.taker_delay_ms * NS_PER_MS,
            feed_ns=round(terms.feed_ms * NS_PER_MS),
            order_ns=round(terms.order_ms * NS_PER_MS),
            jitter_ns=round(terms.jitter_ms * NS_PER_MS),
            seed=seed,
        )
        mandate = Mandate(
            market=Market(
                condition_id=recorded.slug,
                slug=recorded.slug,
                underlying=recorded.underlying,
                yes_token="yes",
                no_token="no",
                tick_e4=recorded.tick_e4,
                min_size_e6=recorded.min_size_e6,
                neg_risk=False,
                is_open=True,
                closes_ms=recorded.duration_ms,
                # The first price of a recording is its strike, the last one settles it (sandbox/recording.py).
                settlement=PriceSettlement(window_s=0, opens_ms=0),
                rebate_rate=terms.rebate_rate,
            ),
            quoter=NAME,
            epoch=1,
            capital_e6=round(terms.capital_usd * MICRO),
            max_position_e6=round(terms.max_position_shares * MICRO),
            order_size_e6=round(terms.order_size_shares * MICRO),
        )
        self._gate = Gate(mandate, terms.tier)
        # The lab's feed never falls silent; the swarm's own settings play no part.
        settings = QuoterSettings(
            requote_ticks=terms.requote_ticks,
            feed_timeout_s=float(recorded.duration_ms),
            widen_below=0.0,
            widen_factor=1.0,
            pull_below=0.0,
        )
        self._desk = QuoterDesk(NAME, settings, make_strategy)
        self._desk.take_allocation(Allocation(term=1, sent_ns=1, life_ns=_FOREVER_NS, mandates=(mandate,)))
        self._desk.take_health(
            FeedHealth(source=NAME, sent_ns=0, is_live=True, last_frame_ns=0, markets=1, reason=None)
        )
        self._is_synthetic = "reference" in recorded.synthetic
        self._top: tuple[list[tuple[int, int]], list[tuple[int, int]], int] | None = None
        self._sequence = self._epoch = self._net_e6 = 0
        self._orders: dict[int, OpenOrder] = {}
        self._awaited: set[tuple[str, int]] = set()
        self._plan: Plan | None = None
        self._refusal: str | None = None
        self._cancelled = self._rejected = 0
        self._refused: dict[str, int] = {}
        self._placed = 0
        self._samples = flow.samples
        self._sampled: list[tuple[OwnQuote, ...]] = []
        self._tell_inventory()

    def run(self) -> Run:
        replay, desk = self._replay, self._desk
        while kind := replay.step():
            self._take_samples()
            if kind == BOOK:
                if replay.top == self._top:
                    continue
                self._take_book()
            elif kind == OWN:
                report = replay.report
                if report is None:
                    raise InvariantBroken("the replay told of an order without a report")
                self._take_report(report)
            elif kind == REFERENCE:
                self._take_reference()
            else:
                continue
            for plan in desk.plans(replay.now_ns):
                self._carry_out(plan)
        fills = tuple(_fill(fill) for fill in replay.fills)
        sampled = (*self._sampled, *((),) * (len(self._samples) - len(self._sampled)))
        return Run(
            fills,
            self._placed,
            self._cancelled,
            self._rejected,
            self._refused,
            replay.quoted_ns,
            desk.untradeable_s,
            sampled,
        )

    def _take_samples(self) -> None:
        """Note what rests for every sample that is due; an order is there once it was acknowledged."""
        while len(self._sampled) < len(self._samples):
            if self._samples[len(self._sampled)].at_ns > self._replay.now_ns:
                return
            resting = [
                (order.side, order.price_e4, order.remaining_e6)
                for number, order in self._orders.items()
                if ("place", number) not in self._awaited
            ]
            self._sampled.append(tuple(resting))

    def _take_book(self) -> None:
        top = self._replay.top
        if self._top is not None and top[2] != self._top[2]:
            self._epoch += 1
        self._top = top
        self._sequence += 1
        bids, asks, tick_e4 = top
        bid_e4, bid_size_e6 = bids[0] if bids else (None, None)
        ask_e4, ask_size_e6 = asks[0] if asks else (None, None)
        microprice, imbalance, depth_imbalance, order_flow, trade_flow, volatility, sweep = (
            self._replay.features
        )
        now_ns = self._replay.now_ns
        self._desk.take_book(
            BookState(
                market=self._market,
                source=NAME,
                sequence=self._sequence,
                epoch=self._epoch,
                received_ns=now_ns,
                server_ms=now_ns // NS_PER_MS,
                tick_e4=tick_e4,
                bid_e4=bid_e4,
                bid_size_e6=bid_size_e6,
                ask_e4=ask_e4,
                ask_size_e6=ask_size_e6,
                bids=tuple(bids),
                asks=tuple(asks),
                microprice=microprice,
                imbalance=imbalance,
                depth_imbalance=depth_imbalance,
                order_flow=order_flow,
                trade_flow=trade_flow,
                volatility=volatility,
                sweep=sweep,
                fingerprint=self._sequence,
                proven_ms=now_ns // NS_PER_MS,
                integrity=1.0,
                is_valid=True,
                reason=None,
            ),
            now_ns,
        )

    def _take_reference(self) -> None:
        value_e6, now_ns = self._replay.reference_e6, self._replay.now_ns
        if value_e6 is not None:
            self._desk.take_reference(
                ReferencePrice(
                    underlying=self._underlying,
                    feed="chainlink",
                    source=NAME,
                    value_e6=value_e6,
                    source_ms=now_ns // NS_PER_MS,
                    received_ns=now_ns,
                    is_synthetic=self._is_synthetic,
                )
            )

    def _take_report(self, report: OrderReport) -> None:
        number, state = report.order, report.state
        order = self._orders.get(number)
        self._awaited.discard(("place", number))
        if state == "refused" and (order is None or report.reason == "not open"):
            # The cancel came too late: what became of the order was told before.
            self._awaited.discard(("cancel", number))
        elif order is None:
            raise InvariantBroken(f"the replay told of order {number}, which is not open")
        elif state == "live":
            self._update(number, order, OrderState.LIVE, None)
        elif state == "filled":
            self._take_fill(number, order, report)
        else:
            self._awaited.discard(("cancel", number))
            self._cancelled += state == "cancelled"
            self._rejected += state == "refused"
            del self._orders[number]
            is_rejected = state == "refused"
            self._update(
                number, order, OrderState.REJECTED if is_rejected else OrderState.CANCELLED, report.reason
            )
        self._finish_plan()

    def _take_fill(self, number: int, order: OpenOrder, report: OrderReport) -> None:
        if report.size_e6 is None:
            raise InvariantBroken(f"a fill of order {number} has no size")
        self._net_e6 += order.side.sign * report.size_e6
        order.remaining_e6 = report.remaining_e6
        if order.remaining_e6 == 0:
            self._orders.pop(number)
            # Its cancel, if one is under way, is refused later and changes nothing.
            self._awaited.discard(("cancel", number))
        self._update(number, order, OrderState.LIVE if order.remaining_e6 else OrderState.FILLED, None)
        self._tell_inventory()

    def _carry_out(self, plan: Plan) -> None:
        now_ns, refused = self._replay.now_ns, None
        standing = list(self._orders.values())
        if plan.cancels:
            refused = self._gate.pay_cancels(len(plan.cancels), now_ns)
            if refused is None:
                for order_id in plan.cancels:
                    self._replay.cancel(int(order_id))
                    self._awaited.add(("cancel", int(order_id)))
        if plan.places and refused is None:
            refused = self._gate.pay_places(plan, standing, self._net_e6, now_ns)
            if refused is None:
                self._place(plan)
        if refused is not None:
            self._refused[refused] = self._refused.get(refused, 0) + 1
        self._plan, self._refusal = plan, refused
        self._finish_plan()

    def _place(self, plan: Plan) -> None:
        for place in plan.places:
            number = self._replay.place(place.side.value, place.price_e4, place.size_e6, True)
            self._orders[number] = OpenOrder(place.ref, place.side, place.price_e4, place.size_e6)
            self._awaited.add(("place", number))
            self._placed += 1

    def _finish_plan(self) -> None:
        if self._plan is not None and not self._awaited:
            plan, self._plan = self._plan, None
            self._reply(PlanDone(market=self._market, decided_ns=plan.decided_ns, refused=self._refusal))

    def _update(self, number: int, order: OpenOrder, state: OrderState, reason: str | None) -> None:
        self._reply(
            OrderUpdate(
                market=self._market,
                ref=order.ref,
                order_id=str(number),
                state=state,
                side=order.side,
                price_e4=order.price_e4,
                remaining_e6=order.remaining_e6,
                reason=reason,
            )
        )

    def _tell_inventory(self) -> None:
        yes_e6, no_e6 = max(self._net_e6, 0), max(-self._net_e6, 0)
        self._reply(Inventory(market=self._market, yes_e6=yes_e6, no_e6=no_e6))

    def _reply(self, reply: OrderUpdate | PlanDone | Inventory) -> None:
        self._desk.take_reply(reply, self._replay.now_ns)


def _fill(fill: ReplayFill) -> LabFill:
    return LabFill(Side(fill.side), fill.price_e4, fill.size_e6, fill.venue_ns)
