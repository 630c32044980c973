"""Who is paid for the tokens of resolved markets without asking for it; everyone else redeems by the relayer.

A market pays once its last trade is settled: until then a failing trade may still take tokens back. Pure.
"""

from clawswarm.sandbox.exchange.markets import ListedMarket
from clawswarm.sandbox.exchange.matching import Exchange


class Payouts:
    """Resolved markets that still owe their participants, or everyone."""

    def __init__(self, exchange: Exchange, *, is_everyone: bool) -> None:
        self._exchange = exchange
        self._is_everyone = is_everyone
        self._owing: list[ListedMarket] = []

    def note(self, market: ListedMarket) -> None:
        """A market resolved."""
        self._owing.append(market)

    def pay_settled(self) -> None:
        """Redeem for whoever is due, in markets whose trades are all settled."""
        if not self._owing:
            return
        ready = [market for market in self._owing if self._exchange.is_settled(market)]
        self._owing = [market for market in self._owing if not self._exchange.is_settled(market)]
        for market in ready:
            for account in self._exchange.ledger.accounts.values():
                if account.is_participant or self._is_everyone:
                    self._exchange.redeem(account, market)
