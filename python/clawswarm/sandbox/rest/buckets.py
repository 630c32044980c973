"""Token buckets per signer: orders and cancels, by tier (polymarket.md §6.2). Pure: time is given.

Balances are integers in 1e-9 tokens, so a rate of r tokens a second earns exactly r of them a nanosecond and no
rounding ever lets a token too many through.
"""

from typing import Literal

import msgspec

_UNIT = 1_000_000_000
_NS_PER_S = 1_000_000_000

BucketKind = Literal["order", "cancel"]
Enforcement = Literal["enforce", "warn", "off"]


class Tier(msgspec.Struct, frozen=True):
    """Rates a second and bursts; `may_owe`: cancels counted after the fact may leave a debt."""

    name: str
    volume_usd: int
    orders_per_s: int
    order_burst: int
    cancels_per_s: int
    cancel_burst: int
    may_owe: bool


TIERS: dict[str, Tier] = {
    tier.name: tier
    for tier in (
        Tier("standard", 0, 40, 60, 80, 120, True),
        Tier("copper", 30_000, 60, 90, 120, 180, True),
        Tier("bronze", 50_000, 80, 120, 160, 240, True),
        Tier("silver", 100_000, 200, 300, 400, 600, True),
        Tier("gold", 500_000, 400, 600, 800, 1_200, True),
        Tier("platinum", 2_500_000, 450, 675, 900, 1_350, False),
        Tier("diamond", 5_000_000, 525, 787, 1_050, 1_575, False),
        Tier("elite", 10_000_000, 600, 900, 1_200, 1_800, False),
    )
}


class TokenBucket:
    """Earns `rate` tokens a second up to `burst`; starts full."""

    __slots__ = ("_balance", "_burst", "_filled_ns", "_may_owe", "_rate")

    def __init__(self, rate: int, burst: int, may_owe: bool, now_ns: int) -> None:
        self._rate = rate
        self._burst = burst
        self._may_owe = may_owe
        self._balance = burst * _UNIT
        self._filled_ns = now_ns

    def remaining(self, now_ns: int) -> int:
        """Whole tokens left, below zero while in debt."""
        self._fill(now_ns)
        return self._balance // _UNIT

    def is_full(self, now_ns: int) -> bool:
        """Whether nothing was taken that has not come back."""
        self._fill(now_ns)
        return self._balance == self._burst * _UNIT

    def wait_ns(self, cost: int, now_ns: int) -> int:
        """How long until `cost` tokens are there; the time to a full bucket when they never will be."""
        self._fill(now_ns)
        missing = min(cost, self._burst) * _UNIT - self._balance
        return max(0, -(-missing // self._rate))

    def take(self, cost: int, now_ns: int) -> bool:
        """Take `cost` tokens, all or none."""
        self._fill(now_ns)
        if self._balance < cost * _UNIT:
            return False
        self._balance -= cost * _UNIT
        return True

    def give_back(self, cost: int) -> None:
        """Undo a `take`."""
        self._balance = min(self._balance + cost * _UNIT, self._burst * _UNIT)

    def debit(self, cost: int, now_ns: int) -> None:
        """Take tokens for what has happened already; a tier that may not owe stops at zero."""
        self._fill(now_ns)
        self._balance -= cost * _UNIT
        if not self._may_owe:
            self._balance = max(self._balance, 0)

    def _fill(self, now_ns: int) -> None:
        earned = max(0, now_ns - self._filled_ns) * self._rate
        self._balance = min(self._balance + earned, self._burst * _UNIT)
        self._filled_ns = max(self._filled_ns, now_ns)


class Charge(msgspec.Struct, frozen=True):
    """What a request met: the bucket's state after it, and how long to wait when it was refused."""

    tier: str
    remaining: int
    wait_ns: int
    is_refused: bool
    is_warning: bool

    def headers(self, now_ns: int) -> dict[str, str]:
        """The `Poly-RateLimit-*` headers; Reset is the unix second in which the wait ends."""
        named = {
            "Poly-RateLimit-Remaining": str(self.remaining),
            "Poly-RateLimit-Reset": str(-(-(now_ns + self.wait_ns) // _NS_PER_S)),
            "Poly-RateLimit-Tier": self.tier,
        }
        if self.is_warning:
            named["Poly-RateLimit-Warning"] = "true"
        return named


class _Signer:
    def __init__(self, tier: Tier, now_ns: int) -> None:
        self.tier = tier
        self.buckets: dict[BucketKind, TokenBucket] = {
            "order": TokenBucket(tier.orders_per_s, tier.order_burst, False, now_ns),
            "cancel": TokenBucket(tier.cancels_per_s, tier.cancel_burst, tier.may_owe, now_ns),
        }


class SignerBuckets:
    """Both buckets of every signer; signers are lower-case addresses."""

    def __init__(self, default_tier: str, enforcement: Enforcement) -> None:
        self.enforcement: Enforcement = enforcement
        self._default = TIERS[default_tier]
        self._signers: dict[str, _Signer] = {}

    def tier(self, signer: str) -> Tier:
        """The tier of a signer."""
        known = self._signers.get(signer)
        return known.tier if known else self._default

    def set_tier(self, signer: str, tier: str, now_ns: int) -> None:
        """Move a signer to a tier, with full buckets."""
        self._signers[signer] = _Signer(TIERS[tier], now_ns)

    def charge(self, signer: str, kind: BucketKind, cost: int, now_ns: int) -> Charge:
        """Take what a request costs, or refuse it (in warning mode: let it pass and say so)."""
        held = self._held(signer, now_ns)
        bucket = held.buckets[kind]
        wait_ns = 0 if bucket.take(cost, now_ns) else max(1, bucket.wait_ns(cost, now_ns))
        is_over = wait_ns > 0
        return Charge(
            tier=held.tier.name,
            remaining=bucket.remaining(now_ns),
            wait_ns=wait_ns,
            is_refused=is_over and self.enforcement == "enforce",
            is_warning=is_over and self.enforcement == "warn",
        )

    def give_back(self, signer: str, kind: BucketKind, cost: int, now_ns: int) -> None:
        """Undo a charge: the request proved to be someone else's. A signer without a history is forgotten."""
        held = self._held(signer, now_ns)
        held.buckets[kind].give_back(cost)
        if held.tier is self._default and all(bucket.is_full(now_ns) for bucket in held.buckets.values()):
            del self._signers[signer]

    def debit_cancels(self, signer: str, count: int, now_ns: int) -> int:
        """Count the orders that a sweeping cancel withdrew; return the tokens left."""
        bucket = self._held(signer, now_ns).buckets["cancel"]
        bucket.debit(count, now_ns)
        return bucket.remaining(now_ns)

    def state(self, signer: str, now_ns: int) -> dict[str, object]:
        """Tier, rates and balances, as GET /v1/user/rate-limit-tier answers (its schema is not published)."""
        held = self._held(signer, now_ns)
        tier = held.tier
        return {
            "tier": tier.name,
            "order_rate": tier.orders_per_s,
            "order_burst": tier.order_burst,
            "order_remaining": held.buckets["order"].remaining(now_ns),
            "cancel_rate": tier.cancels_per_s,
            "cancel_burst": tier.cancel_burst,
            "cancel_remaining": held.buckets["cancel"].remaining(now_ns),
        }

    def _held(self, signer: str, now_ns: int) -> _Signer:
        held = self._signers.get(signer)
        if held is None:
            held = self._signers[signer] = _Signer(self._default, now_ns)
        return held
