"""Which connection carries which market: at most 200 assets on each: beyond 500 the venue sends no books. Pure.

A market stays where it is; one that joins takes the first connection with room.
"""

from collections.abc import Iterable

from clawswarm.model.instruments import Market

ASSETS_A_SOCKET = 200
MARKETS_A_SOCKET = ASSETS_A_SOCKET // 2


class Shards:
    """Markets by connection number."""

    def __init__(self) -> None:
        self._markets: list[dict[str, Market]] = []
        self._shard_of: dict[str, int] = {}

    def join(self, market: Market) -> int:
        """Give a market its connection."""
        shard = next((n for n, held in enumerate(self._markets) if len(held) < MARKETS_A_SOCKET), None)
        if shard is None:
            shard = len(self._markets)
            self._markets.append({})
        self._markets[shard][market.condition_id] = market
        self._shard_of[market.condition_id] = shard
        return shard

    def leave(self, condition_id: str) -> int:
        """Take a market off its connection; which one that was."""
        shard = self._shard_of.pop(condition_id)
        del self._markets[shard][condition_id]
        return shard

    def shard_of(self, condition_id: str) -> int | None:
        """The connection of a market, None when it is not watched."""
        return self._shard_of.get(condition_id)

    def markets(self, shard: int) -> list[str]:
        """Condition ids of one connection."""
        return list(self._markets[shard])

    def token_ids(self, shard: int) -> list[str]:
        """Both tokens of every market of one connection."""
        return tokens_of(self._markets[shard].values())

    @property
    def count(self) -> int:
        """How many connections there are, empty ones included."""
        return len(self._markets)


def tokens_of(markets: Iterable[Market]) -> list[str]:
    """Both tokens of every market."""
    return [token for market in markets for token in (market.yes_token, market.no_token)]
