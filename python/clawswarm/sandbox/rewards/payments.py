"""What is paid at midnight UTC, and to whom: the records of rewards and rebates."""

from collections.abc import MutableMapping
from typing import Literal, TypeVar

import msgspec

NS_PER_DAY = 86_400_000_000_000
MINIMUM_E6 = 1_000_000
"""A maker whose day comes to less is not paid (polymarket.md §7, §8)."""
KEPT_DAYS = 35

_Record = TypeVar("_Record")
PaymentKind = Literal["reward", "maker-rebate", "taker-rebate"]


class Payment(msgspec.Struct, frozen=True):
    """pUSD that a wallet got for a day (days since 1970)."""

    kind: PaymentKind
    address: str
    day: int
    amount_e6: int
    at_ns: int


class Earning(msgspec.Struct, frozen=True):
    """What a wallet earned in one market on one day, paid or not."""

    condition_id: str
    address: str
    day: int
    amount_e6: int


def day_of(at_ns: int) -> int:
    """Days since 1970 in UTC."""
    return at_ns // NS_PER_DAY


def forget_old(days: MutableMapping[int, _Record], day: int) -> None:
    """Drop records that nobody reads any more."""
    for old in [known for known in days if known <= day - KEPT_DAYS]:
        del days[old]
