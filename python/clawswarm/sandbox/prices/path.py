"""A coin's price at any second, as a seeded random walk that can be asked in any order. Pure.

Lévy's construction of Brownian motion: the walk's value at the ends of a block of 2^16 s is a running sum, every
value between by halving, each middle the mean of its ends plus a Gaussian of variance σ²·span/4. The Gaussians are
hashes of seed, coin and second, so the same seed gives the same path whatever is asked first.
Volatility is what was measured: the median of |final − strike| of BTC 5m windows, 32 USD at 65,000 USD.
"""

import hashlib
from math import exp, sqrt
from statistics import NormalDist

import msgspec

EPOCH_S = 1_767_225_600
"""2026-01-01 00:00:00 UTC: every path starts there at its coin's base price."""

_BLOCK_S = 1 << 16
_REMEMBERED = 1 << 18
_SPAN = 1 << 64
_normal = NormalDist().inv_cdf


class Coin(msgspec.Struct, frozen=True):
    """What a coin is called, where its path starts and how much it moves in a second."""

    symbol: str
    name: str
    base_usd: float
    volatility: float


COINS = {
    coin.symbol: coin
    for coin in (
        Coin("btc", "Bitcoin", 65_000.0, 0.42e-4),
        Coin("eth", "Ethereum", 3_000.0, 0.55e-4),
        Coin("sol", "Solana", 150.0, 0.70e-4),
        Coin("xrp", "XRP", 2.2, 0.65e-4),
        Coin("bnb", "BNB", 600.0, 0.45e-4),
        Coin("doge", "Dogecoin", 0.20, 0.80e-4),
        Coin("hype", "Hyperliquid", 30.0, 0.90e-4),
    )
}


def hash_unit(*words: object) -> float:
    """A number in (0, 1) that depends on nothing but the words."""
    digest = hashlib.blake2b(":".join(map(str, words)).encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") + 0.5) / _SPAN


class SeededPath:
    """The price of one coin."""

    def __init__(self, seed: int, coin: Coin) -> None:
        self.coin = coin
        self._root = f"{seed}:{coin.symbol}"
        self._ends: list[float] = [0.0]
        self._known: dict[int, float] = {}
        self._values: dict[int, int] = {}

    def value_e18(self, at_s: int) -> int:
        """Price at a second from the epoch on, in 1e-18 USD; before it the base price."""
        value = self._values.get(at_s)
        if value is None:
            if len(self._values) >= _REMEMBERED:
                self._values.clear()
            # A report has 13 significant digits or so; a double has them.
            value = self._values[at_s] = round(self._usd(at_s) * 1e8) * 10**10
        return value

    def _usd(self, at_s: int) -> float:
        if at_s <= EPOCH_S:
            return self.coin.base_usd
        return self.coin.base_usd * exp(self._log(at_s - EPOCH_S))

    def _log(self, offset_s: int) -> float:
        block = offset_s // _BLOCK_S
        while len(self._ends) <= block + 1:
            step = self._gauss("block", len(self._ends)) * self.coin.volatility * sqrt(_BLOCK_S)
            self._ends.append(self._ends[-1] + step)
        low, high = block * _BLOCK_S, (block + 1) * _BLOCK_S
        at_low, at_high = self._ends[block], self._ends[block + 1]
        while low < offset_s:
            middle = (low + high) // 2
            at_middle = self._middle(middle, high - low, at_low, at_high)
            if offset_s < middle:
                high, at_high = middle, at_middle
            else:
                low, at_low = middle, at_middle
        return at_low

    def _middle(self, at: int, span: int, at_low: float, at_high: float) -> float:
        known = self._known.get(at)
        if known is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            deviation = self.coin.volatility * sqrt(span) / 2
            known = (at_low + at_high) / 2 + self._gauss("middle", at) * deviation
            self._known[at] = known
        return known

    def _gauss(self, *words: object) -> float:
        return _normal(hash_unit(self._root, *words))
