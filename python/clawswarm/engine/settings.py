"""Settings of the order path; light to import."""

import msgspec


class EngineLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The venue's limits for this account."""

    place_requests_10s: int = 3_500
    place_requests_600s: int = 36_000
    orders_per_s: float = 40.0
    orders_burst: int = 60


class EngineSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Timing and limits of the order path."""

    heartbeat_s: float = 5.0
    reconcile_s: float = 10.0
    withdraw_timeout_s: float = 10.0
    limits: EngineLimits = EngineLimits()
