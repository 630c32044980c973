"""What the venue says of an account, by the official client: balances, and our parts of trades.

Collateral comes from the trading engine; tokens from the index of positions, which lags, or, where it names none
of them, from the trading engine too. A part that we took instead of made is left out: this system never takes, and
the price of such a part is not told.
"""

from collections.abc import Iterable
from decimal import Decimal

from polymarket import AsyncSecureClient
from polymarket.errors import PolymarketError
from polymarket.models.clob.account import ClobTrade
from polymarket.models.data.portfolio import Position

from clawswarm.model.errors import Retry
from clawswarm.model.fills import FillReport, token_asset
from clawswarm.model.instruments import Side, mirror_price_e4
from clawswarm.model.messages import Evidence, Outcome
from clawswarm.model.positions import AccountBalances
from clawswarm.model.units import MICRO, PRICE_ONE_E4

_OUTCOMES = {"Yes": Outcome.YES, "Up": Outcome.YES, "No": Outcome.NO, "Down": Outcome.NO}
_BY_INDEX = (Outcome.YES, Outcome.NO)


class VenueAccount:
    """One wallet as the venue sees it."""

    def __init__(self, client: AsyncSecureClient) -> None:
        self._client = client
        self._tokens: dict[str, str] = {}

    @property
    def wallet(self) -> str:
        """The wallet's address."""
        return str(self._client.wallet)

    async def fills(self, after_s: int | None) -> list[FillReport]:
        """Our parts of the trades since a unix second, None for all. Raises Retry when the venue does not say."""
        after = None if after_s is None else str(after_s)
        try:
            trades = [item async for item in self._client.list_account_trades(after=after).iter_items()]
        except PolymarketError as fault:
            raise Retry(f"the account's trades are not to be had: {fault}") from fault
        for trade in trades:
            for part in trade.maker_orders:
                if part.outcome in _OUTCOMES:
                    self._tokens[token_asset(str(trade.condition_id), _OUTCOMES[part.outcome])] = (
                        part.asset_id
                    )
        return fills_of(trades, self.wallet)

    async def balances(self, wanted: Iterable[str] = ()) -> AccountBalances:
        """Collateral and tokens. Raises Retry.

        `wanted` are assets of which a missing position is not taken for nothing: they are asked for one by one,
        as far as their tokens are known.
        """
        try:
            collateral = await self._client.get_balance_allowance(asset_type="COLLATERAL")
            positions = [item async for item in self._client.list_positions().iter_items()]
            tokens_e6 = sizes_of(positions)
            for position in positions:
                if position.outcome_index in (0, 1):
                    asset = token_asset(position.condition_id, _BY_INDEX[position.outcome_index])
                    self._tokens[asset] = position.asset_id
            for asset in wanted:
                if asset not in tokens_e6 and asset in self._tokens:
                    token = await self._client.get_balance_allowance(
                        asset_type="CONDITIONAL", token_id=self._tokens[asset]
                    )
                    tokens_e6[asset] = token.balance
        except PolymarketError as fault:
            raise Retry(f"the account's balances are not to be had: {fault}") from fault
        return AccountBalances(cash_e6=collateral.balance, tokens_e6=tokens_e6)


def sizes_of(positions: Iterable[Position]) -> dict[str, int]:
    """Shares by asset, in 1e-6; a position that fits no binary market is left out."""
    return {
        token_asset(position.condition_id, _BY_INDEX[position.outcome_index]): _e6(position.current_size)
        for position in positions
        if position.outcome_index in (0, 1)
    }


def fills_of(trades: Iterable[ClobTrade], wallet: str) -> list[FillReport]:
    """The wallet's parts as a maker, in the YES frame."""
    reports = []
    for trade in trades:
        for part in trade.maker_orders:
            outcome = _OUTCOMES.get(part.outcome)
            if outcome is None or part.maker_address.lower() != wallet.lower():
                continue
            side, price_e4 = Side(part.side), round(part.price * PRICE_ONE_E4)
            if outcome is Outcome.NO:
                side, price_e4 = side.opposite, mirror_price_e4(price_e4)
            reports.append(
                FillReport(
                    trade_id=trade.id,
                    order_id=part.order_id,
                    bucket_index=trade.bucket_index,
                    evidence=evidence_of(str(trade.status)),
                    matched_ms=round(trade.matched_at.timestamp() * 1_000),
                    market=str(trade.condition_id),
                    outcome=outcome,
                    side=side,
                    price_e4=price_e4,
                    size_e6=_e6(part.matched_amount),
                    fee_e6=0,
                )
            )
    return reports


def evidence_of(status: str) -> Evidence:
    """The venue's word; what is not known to be on the chain is not (MATCHED_NOT_BROADCASTED)."""
    return Evidence(status) if status in Evidence.__members__ else Evidence.MATCHED


def _e6(size: Decimal) -> int:
    return round(size * MICRO)
