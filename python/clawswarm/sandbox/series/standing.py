"""Markets without a window: a neg-risk event with several outcomes, and one that ends in years. Pure.

The event has the shape of a recorded one ("Fed decision in June"): tick 0.001, outcomes that exclude each other
and whose prices sum to about one. Only an operator resolves these.
"""

from clawswarm.sandbox.exchange.markets import ListedMarket, RebateTerms, RewardTerms
from clawswarm.sandbox.gamma.catalog import EventListing
from clawswarm.sandbox.participants import participant_account
from clawswarm.sandbox.prices.path import hash_unit
from clawswarm.sandbox.series.crowd import Crowd, View
from clawswarm.sandbox.tokens import condition_of, question_id_of, token_of
from clawswarm.sandbox.venue import Venue

_NS_PER_S = 1_000_000_000
_NS_PER_MS = 1_000_000
_INTERVAL_NS = 2 * _NS_PER_S
_DAY_MS = 86_400_000
_DRIFT = 0.004
# (slug, label, probability)
_FED = (
    ("fed-decreases-interest-rates-by-50-bps", "50+ bps decrease", 0.02),
    ("fed-decreases-interest-rates-by-25-bps", "25 bps decrease", 0.27),
    ("no-change-in-fed-interest-rates", "No change", 0.66),
    ("fed-increases-interest-rates-by-25-bps", "25+ bps increase", 0.05),
)


class StandingMarkets:
    """The standing markets a venue is asked to list, with their crowds."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._crowds: list[tuple[ListedMarket, Crowd, float]] = []
        self._next_ns: int | None = None
        self._acted_ns = 0

    def open(self, now_ns: int) -> None:
        """List them."""
        wanted = self._venue.settings.standing
        now_ms = now_ns // _NS_PER_MS
        if "neg-risk" in wanted:
            event = EventListing(
                slug="fed-decision",
                title="Fed decision",
                end_ms=now_ms + 30 * _DAY_MS,
                description="Exactly one of these outcomes resolves to Yes.",
                tags=("Economy", "Fed Rates"),
                neg_risk_id=question_id_of(self._venue.settings.seed, "fed-decision")[:-2] + "00",
            )
            for slug, label, chance in _FED:
                question = f"Fed decision: {label}?"
                self._list(slug, question, event, chance, now_ns, label=label, is_neg_risk=True)
        if "long-dated" in wanted:
            event = EventListing(
                slug="bitcoin-above-1m-by-2030",
                title="Will Bitcoin reach $1,000,000 before 2030?",
                end_ms=now_ms + 1_200 * _DAY_MS,
                description="Resolves to Yes if Bitcoin trades at 1,000,000 USD or more before the end date.",
                tags=("Crypto", "Bitcoin"),
            )
            self._list(event.slug, event.title, event, 0.12, now_ns)
        if self._crowds:
            self._next_ns = now_ns

    def next_due_ns(self) -> int | None:
        """When `step` has something to do."""
        return self._next_ns

    def step(self, now_ns: int) -> bool:
        """Let every crowd act; False when it is not time."""
        if self._next_ns is None or now_ns < self._next_ns:
            return False
        elapsed_s = (now_ns - self._acted_ns) / _NS_PER_S if self._acted_ns else 0.0
        self._acted_ns, self._next_ns = now_ns, now_ns + _INTERVAL_NS
        for market, crowd, chance in self._crowds:
            is_quiet = now_ns < self._venue.faults.quiet_until_ns(market.condition_id)
            if market.is_open and market.accepts_orders and not is_quiet:
                fair = chance * (1 + self._wave(market, now_ns))
                soon = chance * (1 + self._wave(market, now_ns + _INTERVAL_NS))
                has_takers = self._venue.settings.takers
                self._venue.publish(crowd.act(View(fair, soon), elapsed_s, now_ns, has_takers=has_takers))
        return True

    def crowd(self, condition_id: str) -> Crowd | None:
        """The crowd of a market."""
        return next((crowd for market, crowd, _ in self._crowds if market.condition_id == condition_id), None)

    def _wave(self, market: ListedMarket, now_ns: int) -> float:
        root = f"{self._venue.settings.seed}:{market.slug}"
        return _DRIFT * (2 * hash_unit(root, "wave", now_ns // (30 * _NS_PER_S)) - 1)

    def _list(
        self,
        slug: str,
        question: str,
        event: EventListing,
        chance: float,
        now_ns: int,
        *,
        label: str = "",
        is_neg_risk: bool = False,
    ) -> None:
        venue, settings = self._venue, self._venue.settings
        seed = settings.seed
        market = ListedMarket(
            condition_id=condition_of(seed, slug),
            question_id=question_id_of(seed, slug),
            slug=slug,
            question=question,
            underlying=event.slug if is_neg_risk else "BTC",
            yes_token=token_of(seed, slug, is_yes=True),
            no_token=token_of(seed, slug, is_yes=False),
            tick_e4=10,
            min_size_e6=5_000_000,
            fee_rate_e4=0,
            end_ms=event.end_ms,
            neg_risk=is_neg_risk,
            rewards=RewardTerms(
                min_age_s=settings.reward_min_age_s, daily_rate_e6=settings.reward_daily_rate_e6
            ),
            rebates=RebateTerms(maker_share_e4=settings.maker_rebate_e4),
        )
        makers, takers = (participant_account(venue.exchange, name) for name in ("rival", "crowd"))
        self._crowds.append((market, Crowd(venue.exchange, market, makers, takers, seed), chance))
        venue.catalog.describe(market, event, label)
        venue.publish(venue.exchange.list_market(market, now_ns))
