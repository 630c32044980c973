"""Whether an order may enter: every check of the venue before matching, as pure functions.

In: a parsed order, its market and book; out: nothing, or the VenueRefusal to answer (polymarket.md §3.3 to §3.7).
"""

import msgspec

from clawswarm.model.units import MICRO, PRICE_ONE_E4, notional_e6
from clawswarm.sandbox.exchange import refusals
from clawswarm.sandbox.exchange.accounts import Account, taker_fee_e6
from clawswarm.sandbox.exchange.book import Level, Order, UnifiedBook
from clawswarm.sandbox.exchange.markets import ListedMarket
from clawswarm.sandbox.exchange.rules import ExchangeRules

RESTING_TYPES = ("GTC", "GTD")
KILLED_TYPES = ("FOK", "FAK")
GTD_LEAD_S = 180
GTD_EARLY_S = 60
MARKETABLE_MINIMUM_E6 = MICRO
SHARE_DECIMALS = 2
MONEY_DECIMALS = {1000: 3, 100: 4, 50: 5, 25: 6, 10: 5, 1: 6}
"""Decimals of an amount of money by tick (1e-4); the size always has two (polymarket.md §3.4)."""
# A market BUY is sized in money, its shares are cut here.
BUDGET_SHARE_STEP_E6 = 100
# The implied price of a market order may miss the tick by the rounding of its amounts.
MARKET_PRICE_SLACK = 50


class OrderRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An order as its sender states it, amounts in 1e-6."""

    order_id: str
    owner: str
    token: str
    is_buy: bool
    maker_amount_e6: int
    taker_amount_e6: int
    order_type: str = "GTC"
    is_post_only: bool = False
    expires_s: int = 0

    @property
    def is_market(self) -> bool:
        """FOK and FAK: filled at once or killed."""
        return self.order_type in KILLED_TYPES


def price_and_size(request: OrderRequest, market: ListedMarket, rules: ExchangeRules) -> tuple[int, int]:
    """Recompute price (1e-4) and shares from the two amounts; check precision, price range and tick."""
    money, shares = request.maker_amount_e6, request.taker_amount_e6
    if not request.is_buy:
        money, shares = shares, money
    if money <= 0 or shares <= 0:
        raise refusals.invalid_order_payload()
    check_accuracy(request, market, rules)
    tick = market.tick_e4
    scaled = money * PRICE_ONE_E4
    steps = (2 * scaled + shares * tick) // (2 * shares * tick)
    price = steps * tick
    slack = shares * tick if request.is_market else 0
    is_on_tick = abs(scaled - price * shares) * MARKET_PRICE_SLACK <= slack
    if not is_on_tick or not tick <= price <= PRICE_ONE_E4 - tick:
        raise refusals.breaks_tick(request.order_id, f"{money / shares:.6f}".rstrip("0").rstrip("."), tick)
    return price, shares


def check_accuracy(request: OrderRequest, market: ListedMarket, rules: ExchangeRules) -> None:
    """The amounts have no more decimals than their kind of order takes."""
    money_decimals = MONEY_DECIMALS[market.tick_e4]
    if request.is_buy and request.is_market:
        by_tick = rules.market_buy_share_decimals is None
        shares = money_decimals if by_tick else rules.market_buy_share_decimals or 0
        kind, maker, taker = "market buy", SHARE_DECIMALS, shares
    elif request.is_buy:
        kind, maker, taker = "buy", money_decimals, SHARE_DECIMALS
    else:
        kind, maker, taker = "sell", SHARE_DECIMALS, money_decimals
    if request.maker_amount_e6 % 10 ** (6 - maker) or request.taker_amount_e6 % 10 ** (6 - taker):
        raise refusals.inaccurate_amounts(kind, maker, taker)


def check_type(request: OrderRequest, now_s: int) -> None:
    """Order type, post-only and expiration fit together."""
    if request.order_type not in RESTING_TYPES + KILLED_TYPES:
        raise refusals.invalid_order_payload()
    if request.is_post_only and request.is_market:
        raise refusals.invalid_order_payload()
    if request.order_type == "GTD":
        if request.expires_s < now_s + GTD_LEAD_S:
            raise refusals.invalid_expiration()
    elif request.expires_s != 0:
        raise refusals.invalid_expiration()


def wanted_e6(order: Order, spent_e6: int, price_e4: int) -> int:
    """Shares the taker still wants at this price of its own token."""
    if order.budget_e6 is None:
        return order.size_e6 - order.matched_e6
    if price_e4 == 0:
        return 0
    affordable = (order.budget_e6 - spent_e6) * PRICE_ONE_E4 // price_e4
    return affordable - affordable % BUDGET_SHARE_STEP_E6


def offered_e6(level: Level, taker: Account, rules: ExchangeRules) -> tuple[int, bool]:
    """Shares of a level that a taker may have under the self-trade rule, and whether its own order stops it."""
    if rules.self_trade == "allow":
        return level.total_e6, False
    offered = 0
    for order in level.orders.values():
        if order.account is not taker:
            offered += order.remaining_e6
        elif rules.self_trade == "cancel-newest":
            return offered, True
    return offered, False


def takeable(order: Order, book: UnifiedBook, rules: ExchangeRules) -> tuple[int, bool]:
    """Shares the order would take at once, and whether that is all it wants."""
    taken, spent = 0, 0
    side = book.side(not order.is_bid)
    for level in side.best_first():
        if not side.crosses(level, order.yes_price_e4):
            break
        price = order.leg(level.price_e4).price_e4
        want = wanted_e6(order, spent, price) - (taken if order.budget_e6 is None else 0)
        offered, is_stopped = offered_e6(level, order.account, rules)
        take = min(offered, want)
        taken += take
        spent += price * take // PRICE_ONE_E4
        if take == want:
            return taken, True
        if is_stopped:
            break
    return taken, order.budget_e6 is None and taken >= order.size_e6


def crosses(order: Order, book: UnifiedBook) -> bool:
    """Whether the order would meet anyone at once."""
    side = book.side(not order.is_bid)
    best = side.best()
    return best is not None and side.crosses(best, order.yes_price_e4)


def needed_e6(order: Order, taking_e6: int) -> int:
    """What the account must have free: shares of a sale; money of a purchase and the fee at worst."""
    if not order.is_buy:
        return order.size_e6
    need = order.budget_e6 or notional_e6(order.price_e4, order.size_e6)
    if taking_e6:
        market = order.market
        need += taker_fee_e6(order.price_e4, taking_e6, market.fee_rate_e4, market.fee_exponent)
    return need


def check_funds(order: Order, taking_e6: int) -> None:
    """Balance minus reservations covers the order."""
    account = order.account
    free = account.free_e6 if order.is_buy else account.free_tokens_e6(order.token)
    if free < needed_e6(order, taking_e6):
        raise refusals.no_balance()


def check_market_rules(order: Order, taking_e6: int) -> None:
    """Minimum size of a resting order, minimum worth of a BUY that takes."""
    market = order.market
    if order.order_type in RESTING_TYPES and order.size_e6 < market.min_size_e6:
        raise refusals.below_minimum(order.id, order.size_e6, market.min_size_e6)
    if taking_e6 and order.is_buy:
        worth = order.budget_e6 or notional_e6(order.price_e4, order.size_e6)
        if worth < MARKETABLE_MINIMUM_E6:
            raise refusals.marketable_too_small(worth)


def check_against_book(order: Order, book: UnifiedBook, rules: ExchangeRules) -> int:
    """Everything that depends on the moment; returns the shares it would take. Run again after a delay."""
    market = order.market
    if not market.accepts_orders:
        raise refusals.market_not_ready()
    if order.price_e4 % market.tick_e4:
        raise refusals.breaks_tick(order.id, f"{order.price_e4 / PRICE_ONE_E4:g}", market.tick_e4)
    if order.is_post_only and crosses(order, book):
        raise refusals.crosses_book()
    taking, is_all = takeable(order, book, rules)
    check_market_rules(order, taking)
    check_funds(order, taking)
    if order.order_type == "FOK" and not (taking and is_all):
        raise refusals.fok_killed()
    if order.order_type == "FAK" and not taking:
        raise refusals.fak_killed()
    return taking
