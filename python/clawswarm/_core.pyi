"""The whole Rust API on one screen: books out of frames, quotes out of book states.

Prices are integers in 1e-4 (`_e4`), sizes in 1e-6 shares (`_e6`), both in the YES frame; `_ms` is the venue's
clock. Source: rust/core; the binding in rust/python converts and nothing else.
"""

from typing import Self, final

__all__ = ["BookTop", "Books", "MarketResolved", "Quote", "TradePrint", "quote"]

@final
class BookTop:
    """Top of one book after a frame.

    `sequence` counts the changed states of this market, `epoch` resets and tick changes; `server_ms` is the
    newest server time applied in the epoch, 0 before the first; an empty side is None. `is_valid` False
    means: do not quote, `reason` why ("no snapshot", "tick change", "crossed"); both features are None then.
    """

    @property
    def market(self) -> str: ...
    @property
    def sequence(self) -> int: ...
    @property
    def epoch(self) -> int: ...
    @property
    def received_ns(self) -> int: ...
    @property
    def server_ms(self) -> int: ...
    @property
    def tick_e4(self) -> int: ...
    @property
    def bid_e4(self) -> int | None: ...
    @property
    def bid_size_e6(self) -> int | None: ...
    @property
    def ask_e4(self) -> int | None: ...
    @property
    def ask_size_e6(self) -> int | None: ...
    @property
    def microprice(self) -> float | None: ...
    @property
    def imbalance(self) -> float | None: ...
    @property
    def is_valid(self) -> bool: ...
    @property
    def reason(self) -> str | None: ...

@final
class TradePrint:
    """A trade; `side` ("BUY" or "SELL") is the aggressor's."""

    @property
    def market(self) -> str: ...
    @property
    def side(self) -> str: ...
    @property
    def price_e4(self) -> int: ...
    @property
    def size_e6(self) -> int: ...
    @property
    def server_ms(self) -> int: ...
    @property
    def received_ns(self) -> int: ...

@final
class MarketResolved:
    """A decided market; `winner` is "YES" or "NO"."""

    @property
    def market(self) -> str: ...
    @property
    def winner(self) -> str: ...
    @property
    def server_ms(self) -> int: ...

@final
class Books:
    """The books of all markets of one feed, fed by its frames."""

    def __new__(cls) -> Self: ...
    def add_market(self, condition_id: str, yes_token: str, no_token: str, tick_e4: int) -> None:
        """Hold a market from now on; ValueError when it or a token is held already or the tick is none."""

    def remove_market(self, condition_id: str) -> None:
        """Stop holding a market; KeyError when it is not held."""

    def reset(self) -> None:
        """The connection is lost: every book waits for its next snapshot in a new epoch."""

    def apply(self, frame: bytes, received_ns: int) -> list[BookTop | TradePrint | MarketResolved]:
        """Decode and apply one frame, all of it or nothing; ValueError says what is wrong with it.

        Returns the state after the frame of each market it changed, then its trades and resolutions in order.
        """

    def top(self, condition_id: str) -> BookTop:
        """The current top of one book; KeyError when it is not held."""

    def levels(self, condition_id: str, depth: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """The best bids and asks as (price_e4, size_e6), best first; KeyError when the market is not held."""

    @property
    def ignored_events(self) -> int:
        """Events so far of an unknown type or about a market or token that is not held."""

@final
class Quote:
    """Target prices of one market, None where the side should not be quoted; the floats are in logits."""

    @property
    def bid_e4(self) -> int | None: ...
    @property
    def ask_e4(self) -> int | None: ...
    @property
    def reservation(self) -> float: ...
    @property
    def half_spread(self) -> float: ...

def quote(
    microprice: float,
    half_spread_base: float,
    inventory_ratio: float,
    skew: float,
    widen_linear: float,
    widen_quadratic: float,
    tick_e4: int,
    bid_e4: int | None,
    ask_e4: int | None,
) -> Quote:
    """Price both sides: S(logit(microprice) − skew·q ∓ (base + linear·|q| + quadratic·q²)), rounded outwards.

    Never crosses the given touch. ValueError when a number is not finite or out of range or the touch is
    crossed. Formula and sources: rust/core/src/quoting.rs.
    """
