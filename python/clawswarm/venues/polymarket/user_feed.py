"""User channel: subscription, and frames → order and trade events."""

import msgspec

from clawswarm.model.errors import WireFault
from clawswarm.venues.polymarket.wire import UNREADABLE, ApiKey, Trade, UserOrder


def user_subscription(key: ApiKey) -> bytes:
    """First frame on the user channel (all markets). Holds secrets: never log it."""
    return msgspec.json.encode(
        {
            "type": "user",
            "auth": {"apiKey": key.api_key, "secret": key.secret, "passphrase": key.passphrase},
            "markets": [],
        }
    )


class _Envelope(msgspec.Struct, frozen=True):
    event_type: str = ""


_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_order = msgspec.json.Decoder(UserOrder).decode
_decode_trade = msgspec.json.Decoder(Trade).decode


def read_user_events(frame: bytes) -> list[UserOrder | Trade]:
    """Read a frame (object or array); events of unknown type are left out. Raises WireFault on nonsense."""
    events: list[UserOrder | Trade] = []
    try:
        items = _decode_items(frame) if frame.lstrip()[:1] == b"[" else [frame]
        for item in items:
            kind = _decode_envelope(item).event_type
            if kind == "order":
                events.append(_decode_order(item))
            elif kind == "trade":
                events.append(_decode_trade(item))
    except UNREADABLE as fault:
        raise WireFault(f"user channel: {fault}") from fault
    return events
