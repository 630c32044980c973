"""Rewards and rebates as the venue reports them (polymarket.md §7, §8): programmes, earnings, shares."""

from datetime import UTC, date, datetime

from aiohttp import web

from clawswarm.model.units import MICRO, PRICE_ONE_E4, format_e6
from clawswarm.sandbox.chain.contracts import COLLATERAL_TOKEN
from clawswarm.sandbox.exchange import refusals
from clawswarm.sandbox.exchange.markets import ListedMarket
from clawswarm.sandbox.exchange.refusals import VenueRefusal
from clawswarm.sandbox.identity.eip712 import Malformed, checksum_address
from clawswarm.sandbox.identity.keys import is_uint
from clawswarm.sandbox.rest.caller import Caller
from clawswarm.sandbox.rest.lookup import Lookup
from clawswarm.sandbox.rest.market_records import Record, iso_time
from clawswarm.sandbox.rest.wire import answer, page, page_body
from clawswarm.sandbox.rewards.payments import NS_PER_DAY, Earning, day_of

PAGE = 500
_EPOCH = date(1970, 1, 1)
_NO_END = "2500-12-31"
_DEFAULT_PAGE = 100


class RewardsRest:
    """Handlers of `/rewards` and `/rebates`."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._venue = caller.venue
        self._lookup = Lookup(caller.venue)

    def routes(self) -> list[web.RouteDef]:
        """Method and path of every handler."""
        return [
            web.get("/rewards/markets/current", self.current),
            web.get("/rewards/markets/multi", self.multi),
            web.get("/rewards/markets/{condition_id}", self.market),
            web.get("/rewards/user", self.earnings),
            web.get("/rewards/user/total", self.total),
            web.get("/rewards/user/percentages", self.percentages),
            web.get("/rewards/user/markets", self.user_markets),
            web.get("/rebates/current", self.rebates),
        ]

    # --- programmes -----------------------------------------------------------------------------

    async def current(self, request: web.Request) -> web.Response:
        """Every market that pays rewards now."""
        return self._page(request, [self._programme(market) for market in self._paying()])

    async def market(self, request: web.Request) -> web.Response:
        """The programme of one market; an empty page when it has none."""
        market = self._lookup.condition(request.match_info["condition_id"])
        paying = [market] if market in self._paying() else []
        return self._page(request, [self._described(market) for market in paying])

    async def multi(self, request: web.Request) -> web.Response:
        """Programmes to choose from: by words of the question, by spread and price, in an order."""
        query = request.query
        found = [market for market in self._paying() if query.get("q", "").lower() in market.question.lower()]
        found = [market for market in found if self._is_within(market, request)]
        if query.get("order_by") == "rate_per_day":
            found.sort(key=lambda market: market.rewards.daily_rate_e6)
        if query.get("position") == "DESC":
            found.reverse()
        return self._page(request, [self._discovered(market) for market in found])

    def _paying(self) -> list[ListedMarket]:
        markets = self._venue.exchange.markets.values()
        return [m for m in markets if m.is_open and m.rewards.is_on and m.rewards.daily_rate_e6]

    def _is_within(self, market: ListedMarket, request: web.Request) -> bool:
        """Bounds are above `min` and up to `max`; zero is none."""
        mid = self._lookup.mids(market)[0]
        measured = {"price": mid, "spread": self._spread(market), "volume_24hr": 0.0}
        for name, value in measured.items():
            above, most = (_number(request.query.get(f"{end}_{name}")) for end in ("min", "max"))
            if (above and value <= above) or (most and value > most):
                return False
        return True

    def _spread(self, market: ListedMarket) -> float:
        bid, ask = self._lookup.text(market).touch(is_yes=True)
        return ((PRICE_ONE_E4 if ask is None else ask) - (bid or 0)) / PRICE_ONE_E4

    def _config(self, market: ListedMarket) -> Record:
        return {
            "asset_address": COLLATERAL_TOKEN,
            "start_date": iso_time(market.listed_ns // 1_000_000)[:10],
            "end_date": _NO_END,
            "rate_per_day": _number_e6(market.rewards.daily_rate_e6),
            "total_rewards": 0,
        }

    def _terms(self, market: ListedMarket) -> Record:
        return {
            "condition_id": market.condition_id,
            "rewards_max_spread": market.rewards.max_spread_e4 / 100,
            "rewards_min_size": _number_e6(market.rewards.min_size_e6),
        }

    def _programme(self, market: ListedMarket) -> Record:
        rate = _number_e6(market.rewards.daily_rate_e6)
        return self._terms(market) | {
            "rewards_config": [{"id": 0} | self._config(market)],
            "sponsored_daily_rate": 0,
            "sponsors_count": 0,
            "native_daily_rate": rate,
            "total_daily_rate": rate,
        }

    def _described(self, market: ListedMarket) -> Record:
        mids, day = self._lookup.mids(market), day_of(self._caller.now_ns())
        return self._terms(market) | {
            "question": market.question,
            "market_slug": market.slug,
            "event_slug": market.slug,
            "image": "",
            "market_competitiveness": float(self._venue.rewards.competitors(day, market.condition_id)),
            "tokens": [
                {"token_id": market.token(is_yes), "outcome": market.outcome(is_yes), "price": mid}
                for is_yes, mid in zip((True, False), mids, strict=True)
            ],
            "rewards_config": [self._config(market)],
        }

    def _discovered(self, market: ListedMarket) -> Record:
        number = str(1 + list(self._venue.exchange.markets).index(market.condition_id))
        return self._described(market) | {
            "market_id": number,
            "event_id": number,
            "spread": self._spread(market),
            "group_item_title": "",
            "volume_24hr": 0,
            "created_at": iso_time(market.listed_ns // 1_000_000),
            "one_day_price_change": 0,
            "end_date": iso_time(market.end_ms),
        }

    # --- earnings -------------------------------------------------------------------------------

    async def earnings(self, request: web.Request) -> web.Response:
        """What the wallet earned in each market on a day."""
        day, wallet = await self._asked(request)
        earned = self._venue.rewards.earnings(day, wallet)
        return self._page(request, [_earning(earning) | _made_by(earning) for earning in earned])

    async def total(self, request: web.Request) -> web.Response:
        """What the wallet earned on a day."""
        day, wallet = await self._asked(request)
        amount = _number_e6(sum(earning.amount_e6 for earning in self._venue.rewards.earnings(day, wallet)))
        split = {"native_earnings": amount, "sponsored_earnings": 0}
        asset = {"asset_address": COLLATERAL_TOKEN, "asset_rate": 1}
        return answer([{"date": _midnight(day), "maker_address": wallet, "earnings": amount} | asset | split])

    async def percentages(self, request: web.Request) -> web.Response:
        """The wallet's share of each market's rewards today, in per cent."""
        key, _ = await self._caller.authorize(request)
        wallet = self._venue.access.wallet_of_type(key, request.query.get("signature_type", "0"))
        day = day_of(self._caller.now_ns())
        return answer(
            {m.condition_id: percent for m in self._paying() if (percent := self._percent(m, day, wallet))}
        )

    async def user_markets(self, request: web.Request) -> web.Response:
        """Every programme with what the wallet earned in it on a day."""
        day, wallet = await self._asked(request)
        earned = {e.condition_id: e for e in self._venue.rewards.earnings(day, wallet)}
        markets = self._paying()
        if request.query.get("no_competition", "").lower() == "true":
            markets = [m for m in markets if not self._venue.rewards.competitors(day, m.condition_id)]
        records = [
            self._described(market)
            | {
                "maker_address": wallet,
                "earning_percentage": self._percent(market, day, wallet),
                "earnings": [_breakdown(earned[market.condition_id])]
                if market.condition_id in earned
                else [],
            }
            for market in markets
        ]
        return self._page(request, records, has_total=True)

    def _percent(self, market: ListedMarket, day: int, wallet: str) -> float:
        return round(100 * self._venue.rewards.share(day, market.condition_id, wallet), 6)

    async def _asked(self, request: web.Request) -> tuple[int, str]:
        key, _ = await self._caller.authorize(request)
        wallet = self._venue.access.wallet_of_type(key, request.query.get("signature_type", "0"))
        return _day(request.query.get("date", "")), wallet

    # --- rebates --------------------------------------------------------------------------------

    async def rebates(self, request: web.Request) -> web.Response:
        """A maker's rebates of a day by market; null when there are none."""
        try:
            maker = checksum_address(request.query.get("maker_address", ""))
        except Malformed as fault:
            raise VenueRefusal(400, "Invalid maker address") from fault
        earned = self._venue.rebates.maker_rebates(_day(request.query.get("date", "")), maker)
        records = [
            {
                "date": _midnight(earning.day),
                "condition_id": earning.condition_id,
                "asset_address": COLLATERAL_TOKEN,
                "maker_address": maker,
                "rebated_fees_usdc": format_e6(earning.amount_e6),
            }
            for earning in earned
        ]
        return answer(records or None)

    def _page(self, request: web.Request, records: list[Record], has_total: bool = False) -> web.Response:
        size = request.query.get("page_size", str(_DEFAULT_PAGE))
        if not is_uint(size) or not 1 <= int(size) <= PAGE:
            raise refusals.invalid_payload()
        chosen, next_cursor = page(records, request.query.get("next_cursor", ""), int(size))
        body = page_body(list[object](chosen), next_cursor, int(size))
        return answer(body | ({"total_count": len(records)} if has_total else {}))


def _earning(earning: Earning) -> Record:
    return {"date": _midnight(earning.day), "condition_id": earning.condition_id} | _breakdown(earning)


def _breakdown(earning: Earning) -> Record:
    return {
        "asset_address": COLLATERAL_TOKEN,
        "earnings": _number_e6(earning.amount_e6),
        "asset_rate": 1,
    }


def _made_by(earning: Earning) -> Record:
    return {"maker_address": earning.address}


def _day(text: str) -> int:
    try:
        return (date.fromisoformat(text) - _EPOCH).days
    except ValueError as fault:
        raise VenueRefusal(400, "Invalid date") from fault


def _midnight(day: int) -> str:
    return datetime.fromtimestamp(day * NS_PER_DAY // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _number_e6(value_e6: int) -> int | float:
    whole, rest = divmod(value_e6, MICRO)
    return value_e6 / MICRO if rest else whole


def _number(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return float(text)
    except ValueError as fault:
        raise refusals.invalid_payload() from fault
