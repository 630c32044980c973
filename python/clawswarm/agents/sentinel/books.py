"""Frames of the market channel → BookState messages. Pure around `_core.Books`.

The mathematics (decode, unified YES-frame book, features) is Rust; here is only the naming of things.
"""

from collections.abc import Iterable

from clawswarm._core import Books, BookTop
from clawswarm.model.instruments import Market
from clawswarm.model.messages import BookState


class SentinelBooks:
    """All books of one sentinel."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._books = Books()
        self._markets: dict[str, Market] = {}

    def watch(self, markets: Iterable[Market]) -> tuple[list[str], list[str]]:
        """Make `markets` the watched set; the tokens that joined and those that left."""
        wanted = {market.condition_id: market for market in markets}
        gone = [market for key, market in self._markets.items() if key not in wanted]
        new = [market for key, market in wanted.items() if key not in self._markets]
        for market in gone:
            self._books.remove_market(market.condition_id)
        for market in new:
            self._books.add_market(market.condition_id, market.yes_token, market.no_token, market.tick_e4)
        self._markets = wanted
        return _tokens(new), _tokens(gone)

    @property
    def token_ids(self) -> list[str]:
        """Both tokens of every watched market."""
        return _tokens(self._markets.values())

    @property
    def markets(self) -> list[str]:
        """Condition ids of the watched markets."""
        return list(self._markets)

    @property
    def count(self) -> int:
        """How many markets are watched."""
        return len(self._markets)

    def apply(self, frame: bytes, received_ns: int) -> list[BookState]:
        """Take one frame; the states it changed. Raises ValueError when it is no frame of the venue."""
        changed = self._books.apply(frame, received_ns)
        return [self._state(top) for top in changed if isinstance(top, BookTop)]

    def disconnect(self) -> list[BookState]:
        """The connection is gone: every book is invalid until its next snapshot; the states that say so."""
        self._books.reset()
        return [self._state(self._books.top(market)) for market in self._markets]

    def _state(self, top: BookTop) -> BookState:
        return BookState(
            market=top.market,
            source=self._source,
            sequence=top.sequence,
            epoch=top.epoch,
            received_ns=top.received_ns,
            server_ms=top.server_ms,
            tick_e4=top.tick_e4,
            bid_e4=top.bid_e4,
            bid_size_e6=top.bid_size_e6,
            ask_e4=top.ask_e4,
            ask_size_e6=top.ask_size_e6,
            microprice=top.microprice,
            imbalance=top.imbalance,
            is_valid=top.is_valid,
            reason=top.reason,
        )


def _tokens(markets: Iterable[Market]) -> list[str]:
    return [token for market in markets for token in (market.yes_token, market.no_token)]
