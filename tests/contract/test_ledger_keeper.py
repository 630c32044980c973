"""The ledger beside a venue that serves: what it asks for, what it takes for a difference, what it waits for."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from key_holder import WALLET, with_key
from test_orchestrator_unwinding import agree
from test_wallet_relayer import SHARE, give_pairs, two
from venue_thread import RunningVenue
from wire_client import LIMIT_S

from clawswarm.kernel.clock import SystemClock
from clawswarm.ledger.keeper import LedgerKeeper
from clawswarm.ledger.relaying import carry_out
from clawswarm.ledger.settings import LedgerSettings
from clawswarm.model.errors import Retry
from clawswarm.model.positions import BatchOutcome, Unwinding, UnwindingKind
from clawswarm.venues.polymarket.relayer import WalletRelayer

__all__ = ["two"]  # the fixture
SETTLEMENT_S = 0.2
Scene = Callable[[LedgerKeeper, WalletRelayer], Awaitable[None]]


def kept(venue: RunningVenue, folder: Path, scene: Scene) -> None:
    """A ledger that has been opened, and the account it asks."""

    async def run() -> None:
        relayer = await WalletRelayer.open(*with_key(venue))
        keeper = LedgerKeeper(folder, LedgerSettings(settlement_s=SETTLEMENT_S), SystemClock())
        running = asyncio.create_task(keeper.run(relayer.account))
        while not keeper.is_open:
            await asyncio.wait((running,), timeout=0.02)
        running.cancel()
        await asyncio.wait((running,))
        try:
            await scene(keeper, relayer)
        finally:
            await relayer.close()
            keeper.close()

    asyncio.run(asyncio.wait_for(run(), timeout=6 * LIMIT_S))


def test_what_nobody_can_explain_stops_the_swarm_and_is_taken_over(two: RunningVenue, tmp_path: Path) -> None:
    async def scene(keeper: LedgerKeeper, relayer: WalletRelayer) -> None:
        await keeper.look(relayer.account)
        give_pairs(two, two.market.condition_id, 30)
        await keeper.look(relayer.account)
        assert keeper.take_alarm() is None, "one look is none"
        await asyncio.sleep(SETTLEMENT_S)
        await keeper.look(relayer.account)
        alarm = keeper.take_alarm()
        assert alarm is not None
        assert alarm.startswith("ledger: the venue holds")
        assert keeper.take_alarm() is None

    kept(two, tmp_path, scene)
    agree(two, tmp_path)


def test_a_deposit_is_income(two: RunningVenue, tmp_path: Path) -> None:
    async def scene(keeper: LedgerKeeper, relayer: WalletRelayer) -> None:
        two.steer("/accounts/fund", address=WALLET, pusd="12.5")
        await keeper.look(relayer.account)
        await asyncio.sleep(SETTLEMENT_S)
        await keeper.look(relayer.account)
        assert keeper.take_alarm() is None

    kept(two, tmp_path, scene)
    agree(two, tmp_path)


def test_a_lagging_balance_is_no_difference(two: RunningVenue, tmp_path: Path) -> None:
    """What a merge brings is on the chain at once, and in the trading engine's cache later."""

    async def scene(keeper: LedgerKeeper, relayer: WalletRelayer) -> None:
        give_pairs(two, two.market.condition_id, 30)
        await keeper.look(relayer.account)
        await asyncio.sleep(SETTLEMENT_S)
        await keeper.look(relayer.account)
        assert keeper.take_alarm() is not None
        pairs = 30 * SHARE
        merge = Unwinding(UnwindingKind.MERGE, two.market.condition_id, False, *(pairs,) * 4)
        assert await carry_out(keeper, relayer, [merge]) is BatchOutcome.CONFIRMED
        await keeper.look(relayer.account)
        assert keeper.take_alarm() is None

    kept(two, tmp_path, scene)
    agree(two, tmp_path)


def test_a_venue_that_does_not_answer_changes_nothing(two: RunningVenue, tmp_path: Path) -> None:
    async def scene(keeper: LedgerKeeper, relayer: WalletRelayer) -> None:
        two.steer("/faults/status", status=503, text="down", requests=None, seconds=60)
        with pytest.raises(Retry):
            await keeper.look(relayer.account)
        assert keeper.take_alarm() is None

    kept(two, tmp_path, scene)
