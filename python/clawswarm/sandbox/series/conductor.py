"""Makes series roll: lists windows ahead, fixes strikes, stops trading at the end, resolves. Pure.

In: the time; out: changes of the exchange and the catalog. Each window goes through these steps:

    listed    `ahead` windows before its start; trading begins at once, without a strike
    struck    its opening price is known: `eventMetadata.priceToBeat` (report second + publishing delay)
    stopped   the end: the market pauses, what rests stays until it resolves
    resolved  the closing price is known and the operator's delay is over: `finalPrice`, outcome, payouts
"""

import heapq
from collections.abc import Callable
from typing import Literal

import msgspec

from clawswarm.model.units import format_scaled
from clawswarm.sandbox.exchange.markets import ListedMarket, RebateTerms, RewardTerms
from clawswarm.sandbox.gamma.catalog import EventListing
from clawswarm.sandbox.participants import participant_account
from clawswarm.sandbox.prices.feeds import ONE_USD_E18, CoinFeeds
from clawswarm.sandbox.series.crowd import Crowd, View, probability
from clawswarm.sandbox.series.settlement import (
    final_e18,
    final_second,
    strike_e18,
    strike_second,
    winner_of,
)
from clawswarm.sandbox.series.windows import (
    Window,
    description_of,
    listed_at_s,
    next_window,
    parse_series,
    question_of,
    series_of,
    slug_of,
    source_of,
    window_at,
)
from clawswarm.sandbox.settings import SandboxSettings
from clawswarm.sandbox.tokens import condition_of, question_id_of, token_of
from clawswarm.sandbox.venue import Venue

_NS_PER_S = 1_000_000_000
_NS_PER_MS = 1_000_000
_PUBLISHED_AFTER_S = 2
_LOOKS_AHEAD_S = 3
_MIN_SIZE_E6 = 5_000_000

Step = Literal["list", "strike", "stop", "resolve", "crowd"]


class Live(msgspec.Struct, eq=False):
    """A window that is listed."""

    window: Window
    market: ListedMarket
    event: EventListing
    crowd: Crowd
    strike_e18: int | None = None
    acted_ns: int = 0


class Conductor:
    """All series of a venue."""

    def __init__(self, venue: Venue, feeds: dict[str, CoinFeeds], *, crowd_interval_ms: int) -> None:
        self._venue = venue
        self._feeds = feeds
        self._settings = venue.settings
        self._interval_ns = crowd_interval_ms * _NS_PER_MS
        self._due: list[tuple[int, int, Step, Window]] = []
        self._serial = 0
        self.live: dict[str, Live] = {}
        self._makers = participant_account(venue.exchange, "rival")
        self._takers = participant_account(venue.exchange, "crowd")

    def open(self, now_ns: int) -> None:
        """List the windows that trade now, and plan everything that follows."""
        now_s = now_ns // _NS_PER_S
        for text in self._settings.series:
            coin, horizon = parse_series(text)
            self._plan(window_at(coin, horizon, now_s), "list", now_s)
        while self._due and self._due[0][0] <= now_ns:
            self.step(now_ns)

    def next_due_ns(self) -> int | None:
        """When `step` has something to do."""
        return self._due[0][0] if self._due else None

    def step(self, now_ns: int) -> bool:
        """Take the earliest due step; False when none is due."""
        if not self._due or self._due[0][0] > now_ns:
            return False
        due_ns, _, step, window = heapq.heappop(self._due)
        steps: dict[Step, Callable[[Window, int], None]] = {
            "list": self._list,
            "strike": self._strike,
            "stop": self._stop,
            "resolve": self._resolve,
            "crowd": self._crowd,
        }
        steps[step](window, max(due_ns, now_ns))
        return True

    def crowd(self, condition_id: str) -> Crowd | None:
        """The crowd of a window that is listed and not resolved."""
        live = self.live.get(condition_id)
        return None if live is None else live.crowd

    # --- steps ----------------------------------------------------------------------------------

    def _list(self, window: Window, now_ns: int) -> None:
        venue, settings = self._venue, self._settings
        slug = slug_of(window)
        event = EventListing(
            slug=slug,
            title=question_of(window),
            start_ms=window.start_s * 1000,
            end_ms=window.end_s * 1000,
            description=description_of(window, settings.twap_window_s),
            resolution_source=source_of(window),
            series=series_of(window),
            tags=("Crypto", "Up or Down", window.coin.name),
        )
        market = self._market(window, slug)
        live = Live(
            window,
            market,
            event,
            Crowd(venue.exchange, market, self._makers, self._takers, settings.seed),
            acted_ns=now_ns,
        )
        self.live[market.condition_id] = live
        venue.catalog.describe(market, event)
        venue.publish(venue.exchange.list_market(market, now_ns))
        self._crowd(window, now_ns)
        self._plan(window, "strike", strike_second(window) + _PUBLISHED_AFTER_S)
        self._plan(window, "stop", window.end_s)
        known_s = final_second(window) + _PUBLISHED_AFTER_S
        self._plan(window, "resolve", known_s + settings.resolve_after_s)
        following = next_window(window)
        self._plan(following, "list", listed_at_s(following, settings.series_ahead))

    def _strike(self, window: Window, _now_ns: int) -> None:
        live = self._of(window)
        live.strike_e18 = strike_e18(window, self._feeds[window.coin.symbol], self._settings.twap_window_s)
        live.event.price_to_beat = format_scaled(live.strike_e18, ONE_USD_E18)

    def _stop(self, window: Window, now_ns: int) -> None:
        market = self._of(window).market
        self._venue.publish(self._venue.exchange.accept_orders(market, False, now_ns))

    def _resolve(self, window: Window, now_ns: int) -> None:
        live = self.live.pop(condition_of(self._settings.seed, slug_of(window)))
        final = final_e18(window, self._feeds[window.coin.symbol], self._settings.twap_window_s)
        live.event.final_price = format_scaled(final, ONE_USD_E18)
        strike = live.strike_e18
        if strike is None or live.market.winner is not None:
            # An operator resolved it first.
            return
        winner = winner_of(strike, final, is_tie_split=window.horizon == "daily")
        self._venue.publish(self._venue.exchange.resolve(live.market, winner, now_ns))

    def _crowd(self, window: Window, now_ns: int) -> None:
        live = self.live.get(condition_of(self._settings.seed, slug_of(window)))
        if live is None or not live.market.is_open or now_ns >= window.end_s * _NS_PER_S:
            return
        market = live.market
        quiet_ns = self._venue.faults.quiet_until_ns(market.condition_id)
        if market.accepts_orders and now_ns >= quiet_ns:
            elapsed_s = (now_ns - live.acted_ns) / _NS_PER_S
            live.acted_ns = now_ns
            has_takers = self._settings.takers
            self._venue.publish(
                live.crowd.act(self._view(live, now_ns), elapsed_s, now_ns, has_takers=has_takers)
            )
        self._push(now_ns + self._interval_ns, "crowd", window)

    # --- inside ---------------------------------------------------------------------------------

    def _view(self, live: Live, now_ns: int) -> View:
        now_s = now_ns // _NS_PER_S
        return View(self._probability(live, now_s), self._probability(live, now_s + _LOOKS_AHEAD_S))

    def _probability(self, live: Live, at_s: int) -> float:
        window, feeds = live.window, self._feeds[live.window.coin.symbol]
        read = feeds.binance_e18 if window.is_by_candle else feeds.oracle_e18
        strike = None if live.strike_e18 is None else live.strike_e18 / ONE_USD_E18
        return probability(read(at_s) / ONE_USD_E18, strike, window.coin.volatility, live.window.end_s - at_s)

    def _market(self, window: Window, slug: str) -> ListedMarket:
        settings = self._settings
        return ListedMarket(
            condition_id=condition_of(settings.seed, slug),
            question_id=question_id_of(settings.seed, slug),
            slug=slug,
            question=question_of(window),
            underlying=window.coin.symbol.upper(),
            yes_token=token_of(settings.seed, slug, is_yes=True),
            no_token=token_of(settings.seed, slug, is_yes=False),
            tick_e4=100,
            min_size_e6=_MIN_SIZE_E6,
            fee_rate_e4=settings.taker_fee_rate_e4,
            end_ms=window.end_s * 1000,
            outcomes=("Up", "Down"),
            taker_delay_ms=settings.taker_delay_ms,
            rewards=RewardTerms(
                min_age_s=settings.reward_min_age_s, daily_rate_e6=settings.reward_daily_rate_e6
            ),
            rebates=RebateTerms(maker_share_e4=settings.maker_rebate_e4),
        )

    def _of(self, window: Window) -> Live:
        return self.live[condition_of(self._settings.seed, slug_of(window))]

    def _plan(self, window: Window, step: Step, at_s: int) -> None:
        self._push(at_s * _NS_PER_S, step, window)

    def _push(self, at_ns: int, step: Step, window: Window) -> None:
        self._serial += 1
        heapq.heappush(self._due, (at_ns, self._serial, step, window))


def coin_symbols(settings: SandboxSettings) -> list[str]:
    """Coins whose series a venue runs."""
    return list(dict.fromkeys(parse_series(text)[0].symbol for text in settings.series))
