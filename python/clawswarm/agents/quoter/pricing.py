"""The swarm's own strategy: its settings, and its way into `rust/core/src/quoting`, which does the mathematics.

In: a `MarketView`. Out: the quotes that should rest. An order that the strategy wants kept is returned as it
stands, so the planner finds it right; why a quote moves or stays is decided by value (quoting/quoter.rs).
"""

import msgspec

from clawswarm._core import Decision, MarketQuoter, MarketTerms, QuoterModel
from clawswarm.agents.quoter.strategy import MarketView, TargetQuote
from clawswarm.model.instruments import Market, Side

# To look a member of an enumeration up costs as much as to make a quote.
_BUY, _SELL = Side.BUY, Side.SELL


class QuadraticModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Parameters of the quadratic spread function; spreads and skew in logits. Formulas: quoting/spread.rs."""

    risk_aversion: float = 0.5
    """γ, per logit."""
    holding_s: float = 30.0
    """T: how long a position is expected to be held."""
    fill_decay: float = 25.0
    """k: a quote 1/k further out, in logits at one half (1/4k in price), fills e times more rarely."""
    fill_rate: float = 5.0
    """A: shares a second that trade at fair value."""
    queue_shares: float = 100.0
    """Shares before an order at which its fills are halved."""
    rest_s: float = 5.0
    """How long an order is expected to rest."""
    skew: float = 3.0
    """Shift of the reservation price at the largest position."""
    widen_linear: float = 0.01
    """a of a·|q| + b·q², q = position / largest position."""
    widen_quadratic: float = 0.02
    """b."""
    uncertainty_weight: float = 1.0
    """How much of fair value's standard error is added to the half-spread."""
    cost: float = 0.0
    """Fixed costs of a fill."""
    pick_off: float = 1.0
    """How much of the expected loss to jumps of the book, which no quote can follow, is counted."""
    presence: float = 0.002
    """What it is worth to stand on a side, in USD a second at fair value and less the further out."""
    informed_prior: float = 0.02
    """Share of takers who know more, before fills said so."""
    reduce_only: float = 0.9
    """Position, as a share of the largest, from which only the reducing side is quoted."""
    change_usd: float = 0.0005
    """What a change must bring beyond its tokens."""
    widen_s: float = 60.0
    """In this time before the close half-spreads grow, up to twice."""
    withdraw_s: float = 10.0
    """And in this one nothing is quoted."""
    pull_s: float = 1.0
    """How long a side that a sweep or a jump of the reference endangers stays out of reach."""
    jump_sigmas: float = 5.0
    """A move of the reference within a second by so many of its deviations is a jump."""


class QuoterSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How far books are believed, and the strategy."""

    feed_timeout_s: float
    widen_below: float
    widen_factor: float
    pull_below: float
    requote_ticks: int
    strategy: str | None = None
    """FILE.py:Class or package.module:Class of a strategy to quote with instead of this file's."""
    model: QuadraticModel = QuadraticModel()


class QuadraticQuoter:
    """The built-in strategy in one market."""

    def __init__(
        self,
        model: QuadraticModel = QuadraticModel(),  # noqa: B008 - frozen
        widen_below: float = 0.0,
        widen_factor: float = 1.0,
        uses_reference: bool = True,
    ) -> None:
        self._quoter = MarketQuoter(QuoterModel(**msgspec.structs.asdict(model)))
        self._widen_below, self._widen_factor = widen_below, widen_factor
        self._uses_reference = uses_reference
        self._market: Market | None = None
        self._terms: MarketTerms | None = None

    def take_fill(self, side: Side, price_e4: int, size_e6: int, now_ns: int) -> None:
        """An order of ours traded: what fair value does next says what its taker knew."""
        self._quoter.take_fill(side is Side.BUY, now_ns)

    def decide(self, view: MarketView) -> Decision:
        """The quotes and what they are made of, or the reason for none. Raises ValueError on a broken book."""
        market, book, mandate = view.mandate.market, view.book, view.mandate
        if market is not self._market or self._terms is None:
            self._market, self._terms = market, terms_of(market)
        return self._quoter.decide(
            self._terms,
            view.now_ns,
            view.venue_ms,
            book.bids,
            book.asks,
            book.tick_e4,
            book.order_flow + book.trade_flow,
            book.sweep,
            mandate.spread_factor * (self._widen_factor if view.integrity < self._widen_below else 1.0),
            view.inventory.net_e6,
            mandate.max_position_e6,
            mandate.order_size_e6,
            mandate.capital_e6,
            view.own,
            view.path if self._uses_reference else None,
            view.shift,
            *view.token_usd,
            mandate.is_reduce_only,
        )

    def quotes(self, view: MarketView) -> list[TargetQuote] | None:
        """The quotes of the newest book; None where they are those that rest."""
        decision = self.decide(view)
        if decision.keeps_orders:
            return None
        targets = []
        for side, target in ((_BUY, decision.bid), (_SELL, decision.ask)):
            if target is not None:
                price_e4, size_e6, _, gain_usd = target
                targets.append(TargetQuote(side, price_e4, price_e4, size_e6, gain_usd))
        return targets


def terms_of(market: Market) -> MarketTerms:
    """What the mathematics needs of a market."""
    settlement, rewards = market.settlement, market.rewards
    rule = "event" if settlement is None else "price"
    return MarketTerms(
        rule=rule if market.is_rule_known else "unknown",
        closes_ms=market.closes_ms,
        min_size_e6=market.min_size_e6,
        rebate=market.rebate_rate,
        window_s=0.0 if settlement is None else settlement.window_s,
        opens_ms=None if settlement is None else settlement.opens_ms,
        strike_usd=None if settlement is None else settlement.strike_usd,
        rewards=None
        if rewards is None
        else (rewards.daily_usd, rewards.min_size_e6, rewards.max_spread_e4, rewards.min_age_s),
    )
