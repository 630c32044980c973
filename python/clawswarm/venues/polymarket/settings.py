"""Settings of the venue's adapter; light to import."""

import msgspec


class SocketSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How often to ask and when to give up, in seconds."""

    ping_interval_s: float
    dead_after_s: float
    reconnect_min_s: float
    reconnect_max_s: float
