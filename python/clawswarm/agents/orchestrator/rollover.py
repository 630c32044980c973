"""Which listed markets are to be quoted at a moment: windows come and go, nothing is quoted past its end. Pure.

A window's market is joined `lead_s` before its window begins (so the next one is quoted while this one still
trades) and left `leave_s` before its end, early enough to see every order gone. A market without a window is
quoted as long as it is open. A time the venue does not tell is no reason to leave, nor to wait.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from clawswarm.model.instruments import Market
from clawswarm.model.messages import Mandate

if TYPE_CHECKING:
    from clawswarm.venues.polymarket.discovery import Listing


class RolloverSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When to join and leave a window's market, in seconds before its begin and its end."""

    lead_s: float = 60.0
    leave_s: float = 3.0


def tradable(listings: Sequence["Listing"], now_ms: int, settings: RolloverSettings) -> list[Market]:
    """The markets to quote now; those that are over or not near yet come out as not open."""
    return [
        listing.market
        if is_due(listing, now_ms, settings)
        else msgspec.structs.replace(listing.market, is_open=False)
        for listing in listings
    ]


def is_due(listing: "Listing", now_ms: int, settings: RolloverSettings) -> bool:
    """Whether a market is to be quoted now."""
    market = listing.market
    if not market.is_open:
        return False
    if listing.starts_ms is not None and now_ms < listing.starts_ms - round(settings.lead_s * 1000):
        return False
    return market.closes_ms is None or now_ms < market.closes_ms - round(settings.leave_s * 1000)


def still_due(table: Sequence[Mandate], now_ms: int, settings: RolloverSettings) -> list[Mandate]:
    """Mandates of a table whose market's window is not over."""
    leave_ms = round(settings.leave_s * 1000)
    return [
        mandate
        for mandate in table
        if mandate.market.closes_ms is None or now_ms < mandate.market.closes_ms - leave_ms
    ]


def next_change_ms(listings: Sequence["Listing"], now_ms: int, settings: RolloverSettings) -> int | None:
    """When `tradable` changes next by the clock alone, None when it never does."""
    lead_ms, leave_ms = round(settings.lead_s * 1000), round(settings.leave_s * 1000)
    moments = [listing.starts_ms - lead_ms for listing in listings if listing.starts_ms is not None]
    moments += [
        listing.market.closes_ms - leave_ms for listing in listings if listing.market.closes_ms is not None
    ]
    return min((moment for moment in moments if moment > now_ms), default=None)
