"""The shell that keeps one account's ledger: it follows the journals and compares with the venue.

In: the engine's journal of fills, the venue's word. Out: the database, and a sentence when the swarm must stop.
Start and recovery are the same: read on, ask the venue, settle differences, only then `is_open`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

import msgspec
import structlog

from clawswarm.kernel.clock import Clock, ns
from clawswarm.kernel.journal import Journal
from clawswarm.ledger.entries import CASH, Adjusted, AnyEntry, Opened
from clawswarm.ledger.journals import FILLS, OWN, LedgerFiles, checked, take_in
from clawswarm.ledger.projection import Balance, holds
from clawswarm.ledger.reconciliation import Difference, Reconciler
from clawswarm.ledger.settings import LedgerSettings
from clawswarm.ledger.store import LedgerStore, OpenBatch
from clawswarm.model.errors import Retry, UserFault
from clawswarm.model.fills import FillReport
from clawswarm.model.positions import AccountBalances

FOLLOW_S = 0.5
# A trade is told to the engine, and by it to the journal, within this.
FEED_LAG_S = 0.5
OVERLAP_S = 60
T = TypeVar("T")
InThread = Callable[[Callable[[], Any]], Awaitable[Any]]
log = structlog.get_logger()


class Account(Protocol):
    """What the venue says of the account (venues/polymarket/account.py)."""

    @property
    def wallet(self) -> str:
        """The account's address."""

    async def fills(self, after_s: int | None) -> list[FillReport]:
        """Our parts of the trades since a unix second. Raises Retry."""

    async def balances(self, wanted: Iterable[str] = ()) -> AccountBalances:
        """What it holds. Raises Retry."""


class LedgerKeeper:
    """One account's ledger. Everything that touches the disk runs in a thread, one thing at a time."""

    def __init__(
        self, run_dir: Path, settings: LedgerSettings, clock: Clock, in_thread: InThread = asyncio.to_thread
    ) -> None:
        """Open the journal and the database, and catch up. Raises UserFault."""
        self._in_thread = in_thread
        self._files, self._settings, self._clock = LedgerFiles(run_dir), settings, clock
        self._encode = msgspec.msgpack.Encoder().encode
        try:
            self._journal = Journal(self._files.own)
        except OSError as fault:
            raise _unwritable(self._files.own, fault) from fault
        self._store = LedgerStore(self._files.database)
        self._reconciler = Reconciler(ns(settings.settlement_s))
        self._busy = asyncio.Lock()
        self._listed_s: int | None = None
        self._cursors = {
            journal: checked(self._store.cursor(journal), self._files.path(journal))
            for journal in (OWN, FILLS)
        }
        self.merged_e6: dict[str, int] = {}
        """Pairs by market that were merged, or may have been."""
        self.open_batches: list[OpenBatch] = []
        """Batches of the relayer whose end is not known, the oldest first."""
        self._follow_own()
        self.is_open = self._store.opened() is not None
        self._alarm: str | None = None

    def close(self) -> None:
        """Close the files."""
        self._journal.close()
        self._store.close()

    # --- what others ask ------------------------------------------------------------------------

    async def record(self, *entries: AnyEntry) -> None:
        """Write records; they are on the disk, and in the ledger, when this returns. Raises UserFault."""
        await self._in_turn(lambda: self._write(entries))

    def take_alarm(self) -> str | None:
        """Why the swarm must stop, once."""
        alarm, self._alarm = self._alarm, None
        return alarm

    def now_ms(self) -> int:
        """The venue's clock, as far as this machine's tells it."""
        return self._clock.wall_ms()

    # --- following and comparing ----------------------------------------------------------------

    async def run(self, account: Account | None) -> None:
        """Follow the journals for ever, and compare with the venue every so often. Raises UserFault.

        Without an account that can be asked the ledger knows changes of cash, not its amount.
        """
        if account is None and not self.is_open:
            await self._open("", None, {})
        next_look_ns = 0
        while True:
            if account is not None and (not self.is_open or self._clock.now_ns() >= next_look_ns):
                next_look_ns = self._clock.now_ns() + ns(self._settings.compare_s)
                try:
                    await self._ask(account)
                except Retry as fault:
                    log.warning("ledger.look.put_off", reason=str(fault))
            if self.is_open:
                await self._in_turn(lambda: self._follow(FILLS))
            await asyncio.sleep(FOLLOW_S)

    async def _ask(self, account: Account) -> None:
        if self.is_open:
            await self.look(account)
        else:
            held = await account.balances()
            await self._open(account.wallet, held.cash_e6, held.tokens_e6)

    async def _open(self, wallet: str, cash_e6: int | None, tokens_e6: dict[str, int]) -> None:
        opened = Opened(wallet=wallet, at_ms=self.now_ms(), cash_e6=cash_e6, tokens_e6=tokens_e6)
        await self.record(opened)
        self.is_open = True
        log.info("ledger.opened", cash_e6=cash_e6, tokens=len(tokens_e6))

    async def look(self, account: Account) -> None:
        """Compare once with the venue's trades and balances. Raises Retry, UserFault."""
        listed_s = self.now_ms() // 1_000
        reports = await account.fills(await self._in_turn(self._after_s))
        if news := await self._in_turn(lambda: self._news(reports)):
            await self.record(*news)
        self._listed_s = listed_s
        before = await self._in_turn(self._balances)
        held = await account.balances([asset for asset, balance in before.items() if balance.low_e6 > 0])
        await asyncio.sleep(FEED_LAG_S)
        after = await self._in_turn(self._balances)
        for difference in self._compare(before, after, held):
            await self._adjust(difference)

    def _compare(
        self, before: dict[str, Balance], after: dict[str, Balance], held: AccountBalances
    ) -> list[Difference]:
        assets = {*before, *after}
        known = {asset: (before.get(asset, Balance()), after.get(asset, Balance())) for asset in assets}
        venue_e6 = {**held.tokens_e6, CASH: held.cash_e6}
        return self._reconciler.look(known, venue_e6, self._clock.now_ns())

    async def _adjust(self, difference: Difference) -> None:
        """The venue's word is taken over; what is no income stops the swarm: a person must look."""
        cause = str(difference)
        entry = Adjusted(
            at_ms=self.now_ms(), asset=difference.asset, amount_e6=difference.amount_e6, cause=cause
        )
        await self.record(entry)
        if difference.is_income:
            log.info("ledger.income", amount_e6=difference.amount_e6)
            return
        log.error("ledger.differs", asset=difference.asset, amount_e6=difference.amount_e6)
        self._alarm = f"ledger: {cause}"

    # --- on the disk ----------------------------------------------------------------------------

    def _write(self, entries: Sequence[AnyEntry]) -> None:
        try:
            for entry in entries:
                self._journal.append(self._encode(entry))
            self._journal.sync()
        except OSError as fault:
            raise _unwritable(self._files.own, fault) from fault
        self._follow_own()

    def _follow_own(self) -> None:
        self._follow(OWN)
        self.merged_e6, self.open_batches = self._store.merged_e6(), self._store.open_batches()

    def _follow(self, journal: str) -> None:
        self._cursors[journal] = take_in(self._store, self._files, journal, self._cursors[journal])

    def _balances(self) -> dict[str, Balance]:
        self._follow(FILLS)
        return self._store.balances()

    def _after_s(self) -> int | None:
        """Since when trades are to be listed: what may be new, and what has no end yet."""
        if self._listed_s is None:
            opened = self._store.opened()
            return None if opened is None else opened.at_ms // 1_000
        oldest_ms = self._store.oldest_pending_ms()
        since_s = self._listed_s if oldest_ms is None else min(self._listed_s, oldest_ms // 1_000)
        return max(0, since_s - OVERLAP_S)

    def _news(self, reports: Sequence[FillReport]) -> list[FillReport]:
        """What the venue reports beyond what is known."""
        self._follow(FILLS)
        known = self._store.evidence(report.key for report in reports)
        return [report for report in reports if holds(known.get(report.key), report.evidence)]

    async def _in_turn(self, work: Callable[[], T]) -> T:
        async with self._busy:
            return cast(T, await self._in_thread(work))


def _unwritable(path: Path, fault: OSError) -> UserFault:
    return UserFault(f"{path} cannot be written ({fault.strerror}); free or repair the disk and start again")
