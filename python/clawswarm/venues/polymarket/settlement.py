"""How a market settles, read from its own description (polymarket.md §11.3). Pure.

| description | strike and final price | feed |
|---|---|---|
| "price at the end of the time range … the beginning of that range", Chainlink | the price itself | chainlink |
| "60-second TWAP at the end …" | the average of so many seconds before | chainlink |
| "Binance 1 hour candle … its open" | open and close | binance |
| "Binance 1 minute candle … the day before" | the price of two noons (closes of a minute: 60 s late) | binance |
| "… higher than the price specified in the title" | the number in the question | binance |

An up/down market that says anything else has a rule that is not known: nobody guesses one.
"""

import re
from functools import lru_cache

import msgspec

from clawswarm.model.instruments import PriceSettlement

_RANGE = re.compile(
    r"if the (?:[A-Z]\w*) (?:(?P<seconds>\d+)-second TWAP|price) at the end of the time range .*?"
    r"greater than or equal to",
    re.DOTALL,
)
_HOUR = re.compile(r"close of the Binance 1 hour candle .*?greater than or equal to its open", re.DOTALL)
_NOON = re.compile(
    r"Binance 1 minute candle .*?12:00 ET is higher than at 12:00 ET of the day before", re.DOTALL
)
_TITLE = re.compile(r"Binance 1 minute candle .*?higher than the price specified in the title", re.DOTALL)
_DOLLARS = re.compile(r"\$(\d[\d,]*(?:\.\d+)?)")
_WINDOWS_S = (30, 60)


class Settles(msgspec.Struct, frozen=True):
    """What a description says: a price rule, no price at all (`rule` None), or something nobody can read."""

    rule: PriceSettlement | None
    is_known: bool


UNKNOWN = Settles(None, False)


@lru_cache(1_024)
def read_settlement(
    description: str, question: str, starts_ms: int | None, strike_usd: float | None, *, is_up_down: bool
) -> Settles:
    """Read a market's rule; `strike_usd` is the price to beat once the venue tells it."""
    text = " ".join(description.split())
    if found := _RANGE.search(text):
        window_s = int(found["seconds"] or 0)
        if "chainlink" not in text.lower() or (window_s and window_s not in _WINDOWS_S):
            return UNKNOWN
        return Settles(PriceSettlement(window_s=window_s, opens_ms=starts_ms, strike_usd=strike_usd), True)
    if _HOUR.search(text) or _NOON.search(text):
        rule = PriceSettlement(window_s=0, opens_ms=starts_ms, strike_usd=strike_usd, feed="binance")
        return Settles(rule, True)
    if _TITLE.search(text) and (dollars := _DOLLARS.search(question)):
        strike_usd = float(dollars[1].replace(",", ""))
        return Settles(
            PriceSettlement(window_s=0, opens_ms=None, strike_usd=strike_usd, feed="binance"), True
        )
    return UNKNOWN if is_up_down else Settles(None, True)
