"""Whether an order may enter: every check of the venue before matching, in one pure function.

In: a parsed order and the market; out: nothing, or the VenueRefusal to answer (polymarket.md §3.3 to §3.7).
"""

import msgspec

from clawswarm.model.units import MICRO, PRICE_ONE_E4, notional_e6
from clawswarm.sandbox.exchange import refusals
from clawswarm.sandbox.exchange.accounts import Account, taker_fee_e6
from clawswarm.sandbox.exchange.book import Order, UnifiedBook
from clawswarm.sandbox.exchange.markets import ListedMarket

RESTING_TYPES = ("GTC", "GTD")
KILLED_TYPES = ("FOK", "FAK")
GTD_LEAD_S = 180
GTD_EARLY_S = 60
MARKETABLE_MINIMUM_E6 = MICRO
SHARE_STEP_E6 = 10_000
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


def price_and_size(request: OrderRequest, market: ListedMarket) -> tuple[int, int]:
    """Recompute price (1e-4) and shares from the two amounts and check price range, tick and precision."""
    money, shares = request.maker_amount_e6, request.taker_amount_e6
    if not request.is_buy:
        money, shares = shares, money
    if money <= 0 or shares <= 0:
        raise refusals.invalid_order_payload()
    tick = market.tick_e4
    scaled = money * PRICE_ONE_E4
    steps = (2 * scaled + shares * tick) // (2 * shares * tick)
    price = steps * tick
    slack = shares * tick if request.order_type in KILLED_TYPES else 0
    is_on_tick = abs(scaled - price * shares) * MARKET_PRICE_SLACK <= slack
    if not is_on_tick or not tick <= price <= PRICE_ONE_E4 - tick:
        raise refusals.breaks_tick(request.order_id, f"{money / shares:.6f}".rstrip("0").rstrip("."), tick)
    if request.order_type in RESTING_TYPES and shares % SHARE_STEP_E6:
        raise refusals.invalid_order_payload()
    return price, shares


def check_type(request: OrderRequest, now_s: int) -> None:
    """Order type, post-only and expiration fit together."""
    if request.order_type not in RESTING_TYPES + KILLED_TYPES:
        raise refusals.invalid_order_payload()
    if request.is_post_only and request.order_type in KILLED_TYPES:
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


def takeable(order: Order, book: UnifiedBook) -> tuple[int, bool]:
    """Shares the order would take at once, and whether that is all it wants."""
    taken, spent = 0, 0
    side = book.side(not order.is_bid)
    for level in side.best_first():
        if not side.crosses(level, order.yes_price_e4):
            break
        price = order.leg(level.price_e4).price_e4
        want = wanted_e6(order, spent, price) - (taken if order.budget_e6 is None else 0)
        take = min(level.total_e6, want)
        taken += take
        spent += price * take // PRICE_ONE_E4
        if take == want:
            return taken, True
    return taken, order.budget_e6 is None and taken >= order.size_e6


def check_funds(order: Order, account: Account, taking_e6: int) -> None:
    """Balance minus reservations covers the order, and the fee of what it takes at worst."""
    if not order.is_buy:
        if account.free_tokens_e6(order.token) < order.size_e6:
            raise refusals.no_balance()
        return
    rate = order.market.fee_rate_e4
    need = order.budget_e6 or notional_e6(order.price_e4, order.size_e6)
    if taking_e6:
        need += taker_fee_e6(order.price_e4, taking_e6, rate)
    if account.free_e6 < need:
        raise refusals.no_balance()


def check_market_rules(order: Order, market: ListedMarket, taking_e6: int) -> None:
    """Minimum size of a resting order, minimum worth of a BUY that takes."""
    if order.order_type in RESTING_TYPES and order.size_e6 < market.min_size_e6:
        raise refusals.below_minimum(order.id, order.size_e6, market.min_size_e6)
    if taking_e6 and order.is_buy:
        worth = order.budget_e6 or notional_e6(order.price_e4, order.size_e6)
        if worth < MARKETABLE_MINIMUM_E6:
            raise refusals.marketable_too_small(worth)
