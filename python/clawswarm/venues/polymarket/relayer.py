"""A deposit wallet's positions, and the batches that unwind them, by the official client (polymarket.md §9).

In: the account and someone who signs for it; out: `Holding`s, income, and the outcome of each batch. The client
submits, retries what the relayer calls busy, and polls; its exceptions are translated here, once. Only what is
CONFIRMED and not offered by an open order counts as held.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Protocol, Self

import msgspec
from polymarket import AsyncSecureClient
from polymarket.auth import ApiKey, RelayerApiKey
from polymarket.calls import TransactionCall, ctf_merge_positions_call, ctf_redeem_positions_call
from polymarket.environments import Environment
from polymarket.errors import PolymarketError, RateLimitError, RequestRejectedError, TransactionFailedError
from polymarket.models.clob.account import ClobTrade, OpenOrder
from polymarket.models.data.portfolio import Position
from polymarket.types import EvmAddress

from clawswarm.kernel.clock import NS_PER_MS, NS_PER_S, Clock
from clawswarm.model.errors import ClosedFor, Retry, UserFault
from clawswarm.model.messages import AccountOpened
from clawswarm.model.positions import (
    AccountBalances,
    BatchOutcome,
    DayIncome,
    Holding,
    OrdersScoring,
    Unwinding,
    UnwindingKind,
)
from clawswarm.model.units import MICRO
from clawswarm.venues.polymarket.account import VenueAccount
from clawswarm.venues.polymarket.income import read_income, read_scoring
from clawswarm.venues.polymarket.keyless import (
    ChainAddresses,
    environment_of,
    keyless_client,
    next_nonce,
    submit_batch,
    wait_for_batch,
)

# A trade that is not settled after this long is not going to be: its tokens are where the venue says.
UNSETTLED_S = 3_600
_SETTLED = ("CONFIRMED", "FAILED")
CLOSED_PAUSE_S = 600.0
# The venue refuses what was signed 30 s before or after its own time (polymarket.md §2.2).
MOST_CLOCK_OFF_S = 20


class RelayerKey(msgspec.Struct, frozen=True):
    """A key for the relayer and the address it was given to; the key never prints."""

    address: str
    key: str

    def __repr__(self) -> str:
        return f"RelayerKey(address={self.address!r})"


class Signs(Protocol):
    """Whoever holds the key (kernel/account_port.py)."""

    async def open_account(self) -> AccountOpened:
        """Whose account it is. Raises Retry."""

    async def sign(self, nonce: int, deadline_s: int, batch: Sequence[Unwinding]) -> str:
        """The owner's signature of a batch. Raises Retry."""


class WalletRelayer:
    """One deposit wallet."""

    def __init__(self, client: AsyncSecureClient, environment: Environment, owner: Signs) -> None:
        self._client, self._owner = client, owner
        self.account = VenueAccount(client)
        self._config = environment._config

    @classmethod
    async def open(
        cls,
        owner: Signs,
        addresses: ChainAddresses | None,
        clock: Clock,
        relayer_key: RelayerKey | None = None,
    ) -> Self:
        """Get ready; without a relayer key the account's own builder key is made.

        Raises:
            Retry: the venue does not answer, or not as it should.
            UserFault: this machine's clock is too far off for what the official client signs by it.
        """
        account, environment = await owner.open_account(), environment_of(addresses)
        _see_clock(account, clock)
        key: ApiKey
        if relayer_key is None:
            client = keyless_client(account, environment, None)
            try:
                key = await client.create_builder_api_key()
            except PolymarketError as fault:
                raise Retry(f"the relayer's client cannot log in: {fault}") from fault
            finally:
                await client.close()
        else:
            key = RelayerApiKey(key=relayer_key.key, address=EvmAddress(relayer_key.address))
        return cls(keyless_client(account, environment, key), environment, owner)

    @property
    def wallet(self) -> str:
        """The wallet's address."""
        return str(self._client.wallet)

    async def close(self) -> None:
        """Close its connections."""
        await self._client.close()

    async def holdings(self, now_s: int) -> list[Holding]:
        """What the wallet holds for certain, market by market. Raises Retry when the venue does not say."""
        try:
            positions = [item async for item in self._client.list_positions().iter_items()]
            orders = [item async for item in self._client.list_open_orders().iter_items()]
            recent = self._client.list_account_trades(after=str(now_s - UNSETTLED_S))
            trades = [item async for item in recent.iter_items()]
        except PolymarketError as fault:
            raise Retry(f"the wallet's positions are not to be had: {fault}") from fault
        taken = unsettled(trades, self.wallet)
        for token, size in offered(orders).items():
            taken[token] += size
        return holdings_of(positions, taken)

    async def next_nonce(self) -> int:
        """The nonce that the wallet's next batch carries: it grows when one has happened. Raises Retry."""
        try:
            return await next_nonce(self._client)
        except PolymarketError as fault:
            raise Retry(f"the relayer does not tell the wallet's nonce: {fault}") from fault

    async def submit(self, batch: Sequence[Unwinding]) -> str | None:
        """Have one batch signed and submit it; the relayer's id of it, None when nobody says whether it was taken.

        Raises:
            ClosedFor: 429 again and again; the day's batches may be used up.
            Retry: refused or not signed, nothing happened.
        """
        calls = [self._call(action) for action in batch]
        try:
            handle = await submit_batch(
                self._client, calls, lambda nonce, deadline_s: self._owner.sign(nonce, deadline_s, batch)
            )
        except RateLimitError as fault:
            # The client has tried eleven times, and does not hand on the relayer's words about its quota.
            raise ClosedFor("the relayer", fault.retry_after or CLOSED_PAUSE_S) from fault
        except RequestRejectedError as fault:
            raise Retry(f"the relayer did not take the batch: {fault}") from fault
        except PolymarketError:
            return None
        return str(handle.transaction_id)

    async def outcome(self, transaction_id: str) -> BatchOutcome:
        """Wait for the end of a batch that the relayer took; UNKNOWN when nobody says how it ended."""
        try:
            await wait_for_batch(self._client, transaction_id)
        except TransactionFailedError:
            return BatchOutcome.FAILED
        except PolymarketError:
            return BatchOutcome.UNKNOWN
        return BatchOutcome.CONFIRMED

    async def income(self, day: int) -> DayIncome:
        """Rewards and rebates of a UTC day (days since 1970), so far. Raises Retry."""
        return await read_income(self._client, day)

    async def scoring(self) -> OrdersScoring:
        """How many open orders earn rewards now. Raises Retry."""
        return await read_scoring(self._client)

    def _call(self, action: Unwinding) -> TransactionCall:
        config = self._config
        adapter = EvmAddress(
            config.neg_risk_collateral_adapter if action.neg_risk else config.collateral_adapter
        )
        collateral = EvmAddress(config.collateral_token)
        if action.kind is UnwindingKind.MERGE:
            return ctf_merge_positions_call(
                target=adapter, collateral=collateral, condition_id=action.market, amount=action.amount_e6
            )
        return ctf_redeem_positions_call(ctf=adapter, collateral=collateral, condition_id=action.market)


async def balances_of(account: AccountOpened, addresses: ChainAddresses | None) -> AccountBalances:
    """What the venue says an account holds, asked by whoever may only read. Raises Retry."""
    client = keyless_client(account, environment_of(addresses), None)
    try:
        return await VenueAccount(client).balances()
    finally:
        await client.close()


def holdings_of(positions: Iterable[Position], taken: dict[str, Decimal]) -> list[Holding]:
    """Positions by market, less what is taken of each token; one that fits no binary market is left out."""
    sides: dict[str, dict[int, Position]] = defaultdict(dict)
    for position in positions:
        if position.outcome_index in (0, 1):
            sides[position.condition_id][position.outcome_index] = position
    return [_holding(market, found, taken) for market, found in sides.items()]


def offered(orders: Iterable[OpenOrder]) -> dict[str, Decimal]:
    """Shares of each token that open orders offer."""
    sizes: dict[str, Decimal] = defaultdict(Decimal)
    for order in orders:
        if order.side == "SELL":
            sizes[order.asset_id] += order.original_size - order.size_matched
    return sizes


def unsettled(trades: Iterable[ClobTrade], wallet: str) -> defaultdict[str, Decimal]:
    """Shares of each token that were bought by trades which are not confirmed yet."""
    sizes: defaultdict[str, Decimal] = defaultdict(Decimal)
    for trade in trades:
        if str(trade.status) in _SETTLED:
            continue
        if trade.trader_side == "TAKER" and trade.side == "BUY":
            sizes[trade.asset_id] += trade.size
        for maker in trade.maker_orders:
            if maker.maker_address.lower() == wallet.lower() and maker.side == "BUY":
                sizes[maker.asset_id] += maker.matched_amount
    return sizes


def _holding(market: str, sides: dict[int, Position], taken: dict[str, Decimal]) -> Holding:
    free = [_free_e6(sides.get(index), taken) for index in (0, 1)]
    known = next(iter(sides.values()))
    payouts: tuple[int | None, int | None] = (None, None)
    if known.redeemable:
        paid = round(known.current_price * MICRO)
        payouts = (paid, MICRO - paid) if known.outcome_index == 0 else (MICRO - paid, paid)
    return Holding(
        market=market,
        neg_risk=known.negative_risk,
        yes_e6=free[0],
        no_e6=free[1],
        yes_payout_e6=payouts[0],
        no_payout_e6=payouts[1],
    )


def _free_e6(position: Position | None, taken: dict[str, Decimal]) -> int:
    if position is None:
        return 0
    free = position.current_size - taken.get(position.asset_id, Decimal(0))
    return max(0, int(free * MICRO))


def _see_clock(account: AccountOpened, clock: Clock) -> None:
    venue_ms = account.venue_ms + (clock.now_ns() - account.venue_at_ns) // NS_PER_MS
    behind_s = (venue_ms - clock.wall_ms()) * NS_PER_MS / NS_PER_S
    if abs(behind_s) > MOST_CLOCK_OFF_S:
        way = "behind" if behind_s > 0 else "ahead of"
        raise UserFault(
            f"this machine's clock is {abs(behind_s):.0f} s {way} the venue's, which refuses what is signed 30 s "
            "off: set it (timedatectl set-ntp true) and start again"
        )
