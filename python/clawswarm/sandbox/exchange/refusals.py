"""The venue's refusals: HTTP status and text, word for word (polymarket.md §3.7).

Texts that the venue documents nowhere are marked; they are our closest reading.
"""

from clawswarm.model.units import format_e6, format_price

_WORDS = {"not found": 404, "unauthorized": 401, "context canceled": 400}


class VenueRefusal(Exception):
    """The venue says no; nothing has changed. `status` is the HTTP status, the text goes under `error`.

    A quirk of the venue: a text with "not found" is always 404, "unauthorized" 401, "context canceled" 400.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = next((code for word, code in _WORDS.items() if word in text.lower()), status)
        self.text = text


def unauthorized() -> VenueRefusal:
    """L2 headers do not prove an active key."""
    return VenueRefusal(401, "Unauthorized/Invalid api key")


def invalid_l1_headers() -> VenueRefusal:
    """L1 headers do not prove the wallet."""
    return VenueRefusal(401, "Invalid L1 Request headers")


def region_restricted() -> VenueRefusal:
    """Geoblock on order entry."""
    return VenueRefusal(403, "Trading restricted in your region")


def invalid_order_payload() -> VenueRefusal:
    """The body of an order or a cancel is not what it must be."""
    return VenueRefusal(400, "Invalid order payload")


def wrong_owner() -> VenueRefusal:
    """`owner` is not the API key of the headers."""
    return VenueRefusal(400, "the order owner has to be the owner of the API KEY")


def wrong_signer() -> VenueRefusal:
    """`signer` is not the address behind the API key."""
    return VenueRefusal(400, "the order signer address has to be the address of the API KEY")


def invalid_signature() -> VenueRefusal:
    """The order's signature is not its signer's (text undocumented)."""
    return VenueRefusal(400, "invalid signature")


def order_version_mismatch() -> VenueRefusal:
    """The order is signed for another version of the exchange; clients read /version and sign again."""
    return VenueRefusal(400, "order_version_mismatch")


def address_banned(address: str) -> VenueRefusal:
    """The account may not trade at all."""
    return VenueRefusal(400, f"'{address}' address banned")


def closed_only(address: str) -> VenueRefusal:
    """The account may only reduce its positions."""
    return VenueRefusal(400, f"'{address}' address in closed only mode")


def no_api_key() -> VenueRefusal:
    """The wallet has this key already, or cannot have it."""
    return VenueRefusal(400, "Could not create api key")


def no_derived_key() -> VenueRefusal:
    """No key under this nonce."""
    return VenueRefusal(400, "Could not derive api key!")


def owner_only() -> VenueRefusal:
    """A session signer asks for what only the wallet's owner may do (text undocumented)."""
    return VenueRefusal(403, "only the wallet owner can cancel wallet orders")


def invalid_signature_type() -> VenueRefusal:
    """A wallet kind this venue does not serve."""
    return VenueRefusal(400, "Invalid signature_type")


def too_many_orders(count: int, limit: int) -> VenueRefusal:
    """A batch of places is too long."""
    return VenueRefusal(400, f"Too many orders in payload: {count}, max allowed: {limit}")


def too_many_cancels(limit: int) -> VenueRefusal:
    """A batch of cancels is too long."""
    return VenueRefusal(400, f"Too many orders in payload, max allowed: {limit}")


def invalid_token() -> VenueRefusal:
    """The token id is missing or no number."""
    return VenueRefusal(400, "Invalid token id")


def no_orderbook() -> VenueRefusal:
    """No open market trades this token."""
    return VenueRefusal(404, "No orderbook exists for the requested token id")


def market_not_found() -> VenueRefusal:
    """No such condition id."""
    return VenueRefusal(404, "market not found")


def order_not_found() -> VenueRefusal:
    """No such order of this key."""
    return VenueRefusal(404, "Order not found")


def market_not_ready() -> VenueRefusal:
    """The market takes no orders now."""
    return VenueRefusal(400, "the market is not yet ready to process new orders")


def crosses_book() -> VenueRefusal:
    """A post-only order would take."""
    return VenueRefusal(400, "invalid post-only order: order crosses book")


def breaks_tick(order_id: str, price_text: str, tick_e4: int) -> VenueRefusal:
    """The price is no multiple of the tick inside [tick, 1 − tick]."""
    tick = format_price(tick_e4)
    return VenueRefusal(
        400, f"order {order_id} is invalid. Price ({price_text}) breaks minimum tick size rule: {tick}"
    )


def below_minimum(order_id: str, size_e6: int, minimum_e6: int) -> VenueRefusal:
    """The size is below the market's minimum."""
    size, minimum = format_e6(size_e6), format_e6(minimum_e6)
    return VenueRefusal(400, f"order {order_id} is invalid. Size ({size}) lower than the minimum: {minimum}")


def duplicated(order_id: str) -> VenueRefusal:
    """The same signed order was seen before."""
    return VenueRefusal(400, f"order {order_id} is invalid. Duplicated.")


def no_balance() -> VenueRefusal:
    """Balance minus open orders does not cover the order (never "allowance is not enough": clients react)."""
    return VenueRefusal(400, "not enough balance / allowance")


def marketable_too_small(notional_e6: int) -> VenueRefusal:
    """A BUY that takes must be worth a dollar."""
    return VenueRefusal(
        400, f"invalid amount for a marketable BUY order (${format_e6(notional_e6)}), min size: $1"
    )


def inaccurate_amounts(kind: str, maker: int, taker: int) -> VenueRefusal:
    """The amounts have more decimals than the venue takes (seen live, documented nowhere)."""
    return VenueRefusal(
        400,
        f"invalid amounts, the {kind} orders maker amount supports a max accuracy of {maker} decimals, "
        f"taker amount a max of {taker} decimals",
    )


def invalid_expiration() -> VenueRefusal:
    """An expiration too near, or on an order that has none."""
    return VenueRefusal(400, "invalid expiration")


def fok_killed() -> VenueRefusal:
    """A FOK order found too little."""
    return VenueRefusal(400, "order couldn't be fully filled. FOK orders are fully filled or killed.")


def fak_killed() -> VenueRefusal:
    """A FAK order found nothing."""
    return VenueRefusal(
        400,
        "no orders found to match with FAK order. "
        "FAK orders are partially filled or killed if no match is found.",
    )


def invalid_order_id() -> VenueRefusal:
    """A cancel names no order."""
    return VenueRefusal(400, "Invalid orderID")


def invalid_market() -> VenueRefusal:
    """A condition id is malformed."""
    return VenueRefusal(400, "Invalid market")


def bad_cursor() -> VenueRefusal:
    """The last page's cursor was sent back, or one that never was given out."""
    return VenueRefusal(400, "next item should be greater than or equal to 0")


def invalid_side() -> VenueRefusal:
    """Neither BUY nor SELL."""
    return VenueRefusal(400, "Invalid side")


def invalid_asset_type() -> VenueRefusal:
    """Neither collateral nor conditional."""
    return VenueRefusal(400, "Invalid asset type")


def invalid_order_params() -> VenueRefusal:
    """The filters of an order read are wrong."""
    return VenueRefusal(400, "invalid order params payload")


def invalid_trade_params() -> VenueRefusal:
    """The filters of a trade read are wrong."""
    return VenueRefusal(400, "Invalid trade params payload")


def invalid_history_filter(what: str) -> VenueRefusal:
    """The filters of a price history are wrong (texts seen live)."""
    return VenueRefusal(400, f"invalid filters: {what}")


def invalid_payload() -> VenueRefusal:
    """A body that is not what the route takes."""
    return VenueRefusal(400, "Invalid payload")


def payload_too_large() -> VenueRefusal:
    """A body beyond the venue's limit."""
    return VenueRefusal(400, "Payload exceeds the limit")


ENGINE_FAULTS = {
    "invalid nonce": 400,
    "order canceled in the CTF exchange contract": 400,
    "order match delayed due to market conditions": 400,
    "there are no matching orders": 500,
    "FOK orders are filled or killed": 500,
    "the trade contains rounding issues": 500,
    "the price of the taker's order has a discrepancy greater than allowed with the worst maker order": 500,
    "could not insert order": 500,
    "context canceled": 400,
}
"""Answers to an order that come from the venue's own trouble; the control port orders them."""
