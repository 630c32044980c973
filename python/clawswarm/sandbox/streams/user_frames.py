"""Records of orders and trades as their owner sees them, on the user channel and in the private reads.

In: exchange events and objects; out: wire dictionaries (polymarket.md §3.6 and §5.3). Sizes and prices are
decimal strings, epoch times decimal strings of seconds.
"""

from clawswarm.model.units import format_e6, format_price
from clawswarm.sandbox.exchange.book import Order
from clawswarm.sandbox.exchange.events import MakerFill, OrderChanged, Trade, TradeUpdated
from clawswarm.sandbox.streams.market_frames import fee_rate_bps

_NS_PER_S = 1_000_000_000
_NS_PER_MS = 1_000_000

Record = dict[str, object]


def order_record(order: Order) -> Record:
    """OpenOrder of the private reads."""
    return {
        "id": order.id,
        "status": order.status,
        "owner": order.owner,
        "maker_address": order.account.address,
        "market": order.market.condition_id,
        "asset_id": order.token,
        "side": order.side,
        "original_size": format_e6(order.size_e6),
        "size_matched": format_e6(order.matched_e6),
        "price": format_price(order.price_e4),
        "outcome": order.market.outcome(order.is_yes),
        "order_type": order.order_type,
        "associate_trades": list(order.trade_ids),
        "created_at": order.created_ns // _NS_PER_S,
        "expiration": str(order.expires_s),
    }


def order_frame(event: OrderChanged) -> Record:
    """`order` event of the user channel, with the values at its instant."""
    frame = order_record(event.order)
    frame |= {
        "event_type": "order",
        "type": event.kind,
        "order_owner": event.order.owner,
        "size_matched": format_e6(event.matched_e6),
        "status": event.status,
        "associate_trades": [] if event.kind == "PLACEMENT" else list(event.order.trade_ids),
        "created_at": str(event.order.created_ns // _NS_PER_S),
        "timestamp": str(event.at_ns // _NS_PER_MS),
    }
    return frame


def _maker_record(fill: MakerFill) -> Record:
    order = fill.order
    return {
        "order_id": order.id,
        "owner": order.owner,
        "maker_address": order.account.address,
        "matched_amount": format_e6(fill.size_e6),
        "price": format_price(fill.price_e4),
        "fee_rate_bps": "0",
        "asset_id": order.token,
        "outcome": order.market.outcome(order.is_yes),
        "outcome_index": 0 if order.is_yes else 1,
        "side": order.side,
    }


def trade_record(trade: Trade, owner: str, address: str) -> Record:
    """Trade as one party sees it; top level is always the taker's order."""
    is_taker = trade.taker.owner == owner
    return {
        "id": trade.id,
        "taker_order_id": trade.taker.id,
        "market": trade.market.condition_id,
        "asset_id": trade.taker.token,
        "side": trade.taker.side,
        "size": format_e6(trade.size_e6),
        "fee_rate_bps": fee_rate_bps(trade.market),
        "price": format_price(trade.price_e4),
        "status": trade.status,
        "match_time": str(trade.matched_ns // _NS_PER_S),
        "match_time_nano": str(trade.matched_ns),
        "last_update": str(trade.updated_ns // _NS_PER_S),
        "outcome": trade.market.outcome(trade.taker.is_yes),
        "bucket_index": 0,
        "owner": owner,
        "maker_address": address,
        "transaction_hash": "" if trade.status == "MATCHED" else trade.tx_hash,
        "trader_side": "TAKER" if is_taker else "MAKER",
        "maker_orders": [_maker_record(fill) for fill in trade.makers],
    }


def trade_frame(event: TradeUpdated, owner: str, address: str) -> Record:
    """`trade` event of the user channel for one party."""
    frame = trade_record(event.trade, owner, address)
    frame |= {
        "event_type": "trade",
        "type": "TRADE",
        "trade_owner": owner,
        "status": event.status,
        "transaction_hash": None if event.status == "MATCHED" else event.trade.tx_hash,
        "timestamp": str(event.at_ns // _NS_PER_MS),
    }
    return frame


def parties(trade: Trade) -> dict[str, str]:
    """Owner key → address of everyone in a trade who has a key."""
    orders = [trade.taker] + [fill.order for fill in trade.makers]
    return {order.owner: order.account.address for order in orders if order.owner}
