"""Routes about the relayer: tiers, ordered fates and busy answers, what was submitted and paid."""

import msgspec

from clawswarm.model.units import format_e6
from clawswarm.sandbox.chain.relayer import DAILY_QUOTA, RelayerBusy, RelayerFate, RelayerTier
from clawswarm.sandbox.control.route import Nothing, Unusable, route
from clawswarm.sandbox.identity.eip712 import Malformed, checksum_address
from clawswarm.sandbox.venue import Venue

_OK = {"ok": True}
_MOST = 1_000


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Unknown keys are refused."""


class Tier(_Body, frozen=True, kw_only=True):
    """Which quota an account has."""

    address: str
    tier: RelayerTier


class Fate(_Body, frozen=True, kw_only=True):
    """What becomes of the next transactions."""

    fate: RelayerFate
    transactions: int = 1


class Busy(_Body, frozen=True, kw_only=True):
    """What the next submissions meet."""

    answer: RelayerBusy
    submissions: int = 1


def tier(venue: Venue, _now_ns: int, body: Tier) -> object:
    """Move an account to a tier."""
    try:
        venue.relayer.tiers[checksum_address(body.address)] = body.tier
    except Malformed as fault:
        raise Unusable("an address is 0x and 40 hexadecimal digits") from fault
    return _OK


def fate(venue: Venue, _now_ns: int, body: Fate) -> object:
    """Order fates."""
    venue.relayer.fates.extend([body.fate] * _count(body.transactions))
    return _OK


def busy(venue: Venue, _now_ns: int, body: Busy) -> object:
    """Order refusals."""
    venue.relayer.busy.extend([body.answer] * _count(body.submissions))
    return _OK


def relayer(venue: Venue, now_ns: int, _body: Nothing) -> object:
    """Transactions, and what is left of each account's quota."""
    transactions = venue.relayer.transactions.values()
    used = {t.account: venue.relayer.used(t.account, now_ns) for t in transactions}
    return {
        "transactions": [
            {"id": t.id, "wallet": t.wallet, "state": t.state, "calls": len(t.calls), "error": t.error}
            for t in transactions
        ],
        "used": used,
        "quota": {account: DAILY_QUOTA[venue.relayer.tier(account)] for account in used},
    }


def payments(venue: Venue, _now_ns: int, _body: Nothing) -> object:
    """Everything paid at midnight so far."""
    return [
        {"kind": p.kind, "address": p.address, "day": p.day, "amount": format_e6(p.amount_e6)}
        for p in (*venue.rewards.payments, *venue.rebates.payments)
    ]


def _count(number: int) -> int:
    if not 1 <= number <= _MOST:
        raise Unusable(f"the number must be between 1 and {_MOST}")
    return number


ROUTES = (
    route("GET", "/relayer", Nothing(), "transactions of the relayer, and the quota used today", relayer),
    route(
        "POST",
        "/relayer/tier",
        Tier(address="0x<address>", tier="verified"),
        "the daily quota of the address behind a relayer or builder key: unverified 100, verified 3000, "
        "partner none",
        tier,
    ),
    route(
        "POST",
        "/relayer/fate",
        Fate(fate="fail"),
        "the next accepted transactions end STATE_FAILED (fail) or STATE_INVALID (invalid) and change nothing",
        fate,
    ),
    route(
        "POST",
        "/relayer/busy",
        Busy(answer="busy"),
        "the next submissions are refused: the wallet is busy, has an action in flight, or 429 (rate-limit)",
        busy,
    ),
    route("GET", "/payments", Nothing(), "rewards and rebates paid so far", payments),
)
