"""The orchestrator's shell over a real bus, the official client and the sandbox: it merges and redeems."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from key_holder import WALLET, with_key
from test_wallet_relayer import SHARE, give_pairs, two
from venue_thread import RunningVenue
from wire_client import LIMIT_S

from clawswarm.agents.orchestrator.agent import Chain, Orchestrator, StorePlace, Wallet
from clawswarm.agents.orchestrator.allocator import OrchestratorSettings
from clawswarm.agents.orchestrator.record import Record
from clawswarm.agents.orchestrator.rollover import RolloverSettings
from clawswarm.agents.orchestrator.unwinding import UnwindingSettings
from clawswarm.kernel.bus import ZenohBus
from clawswarm.kernel.clock import SystemClock
from clawswarm.kernel.process import Process
from clawswarm.ledger.entries import BatchEnded, Opened
from clawswarm.ledger.journals import LedgerFiles
from clawswarm.ledger.keeper import LedgerKeeper
from clawswarm.ledger.projection import Balance
from clawswarm.ledger.relaying import DEADLINE_MS, carry_out, settle_batches, verdict
from clawswarm.ledger.settings import LedgerSettings
from clawswarm.ledger.store import LedgerStore
from clawswarm.ledger.verify import verify
from clawswarm.model.positions import BatchOutcome, Unwinding, UnwindingKind
from clawswarm.venues.polymarket.relayer import WalletRelayer

__all__ = ["two"]  # the fixture
MONEY = OrchestratorSettings(
    capital_usd=1_000,
    max_position_shares=100,
    order_size_shares=10,
    max_loss_usd=500.0,
    max_drawdown_usd=500.0,
    mandate_life_s=10,
    renew_s=1,
)


def conduct(
    venue: RunningVenue, folder: Path, settings: UnwindingSettings, is_done: Callable[[Record], bool]
) -> tuple[Record, dict[str, int]]:
    """Run an orchestrator until the venue is as wanted; its record, and the pairs that were merged."""
    place = StorePlace(folder / "standing.json", folder / "record.json")

    async def open_wallet(_term: int) -> Wallet:
        return await WalletRelayer.open(*with_key(venue))

    async def run() -> dict[str, int]:
        process = Process("orchestrator", SystemClock())
        with TemporaryDirectory(prefix="claw") as sockets:
            bus = ZenohBus("orchestrator", ("orchestrator",), Path(sockets))
            gamma, chain = venue.url + "/gamma", Chain(settings, open_wallet)
            ledger = LedgerKeeper(folder, LedgerSettings(), process.clock)
            orchestrator = Orchestrator(
                process, bus, MONEY, ("quoter-1",), RolloverSettings(), gamma, place, ledger, chain
            )
            working = asyncio.create_task(orchestrator.run())
            while not working.done() and not is_done():
                await asyncio.wait((working,), timeout=0.05)
            process.request_stop("test")
            await working
            bus.close()
        return ledger.merged_e6

    merged_e6 = asyncio.run(asyncio.wait_for(run(), timeout=9 * LIMIT_S))
    return msgspec.json.decode(place.record.read_bytes(), type=Record), merged_e6


def shares(venue: RunningVenue) -> dict[str, int]:
    held = venue.look(lambda server: dict(server.venue.trading.account(WALLET).tokens_e6))
    return {token: size for token, size in held.items() if size}


def batches(venue: RunningVenue) -> list[str]:
    """States of the relayer's transactions."""
    return venue.look(lambda server: [t.state for t in server.venue.relayer.transactions.values()])


def test_pairs_are_merged_and_winnings_redeemed(two: RunningVenue, tmp_path: Path) -> None:
    first, second = two.look(lambda server: list(server.venue.exchange.markets))
    give_pairs(two, first, 30)
    give_pairs(two, second, 20)
    two.steer("/markets/close", market=second, winner="NO")
    settings = UnwindingSettings(daily_batches=100, look_s=0.1)
    record, merged_e6 = conduct(two, tmp_path, settings, lambda: not shares(two))
    assert merged_e6 == {first: 30 * SHARE}
    assert record.allowance.used == 1
    assert two.look(lambda server: server.venue.exchange.ledger.imbalance_e6()) == 0


def test_a_batch_that_fails_gives_its_pairs_back_and_is_tried_alone(
    two: RunningVenue, tmp_path: Path
) -> None:
    first, _ = two.look(lambda server: list(server.venue.exchange.markets))
    give_pairs(two, first, 30)
    two.steer("/relayer/fate", fate="fail")
    settings = UnwindingSettings(daily_batches=0, look_s=0.1, least_interval_s=2.4)
    _, merged_e6 = conduct(two, tmp_path, settings, lambda: not shares(two))
    assert merged_e6 == {first: 30 * SHARE}
    failed, _ = batches(two)
    assert failed == "STATE_FAILED"


def test_the_days_allowance_outlives_the_orchestrator(two: RunningVenue, tmp_path: Path) -> None:
    first, second = two.look(lambda server: list(server.venue.exchange.markets))
    settings = UnwindingSettings(daily_batches=1, batch_actions=1, look_s=0.1)
    give_pairs(two, first, 30)
    give_pairs(two, second, 20)
    conduct(two, tmp_path, settings, lambda: bool(batches(two)))
    looks = iter(range(20))
    record, _ = conduct(two, tmp_path, settings, lambda: next(looks, None) is None)
    assert record.allowance.used == 1
    assert len(batches(two)) == 1


class Killed(BaseException):
    """The process is gone: nobody catches this."""


class MortalRelayer:
    """The real relayer, and a process that dies at a chosen moment."""

    def __init__(self, relayer: WalletRelayer, dies: str) -> None:
        self._relayer, self._dies = relayer, dies

    def _reach(self, moment: str) -> None:
        if moment == self._dies:
            raise Killed

    async def next_nonce(self) -> int:
        self._reach("before the intent")
        return await self._relayer.next_nonce()

    async def submit(self, batch: Sequence[Unwinding]) -> str | None:
        self._reach("after the intent")
        transaction_id = await self._relayer.submit(batch)
        self._reach("after the submission")
        return None if self._dies == "the answer was lost" else transaction_id

    async def outcome(self, transaction_id: str) -> BatchOutcome:
        self._reach("after the record of the submission")
        outcome = await self._relayer.outcome(transaction_id)
        self._reach("after the end")
        return outcome


@pytest.mark.parametrize("fate", ["confirm", "fail"])
@pytest.mark.parametrize(
    "dies",
    [
        "before the intent",
        "after the intent",
        "after the submission",
        "the answer was lost",
        "after the record of the submission",
        "after the end",
    ],
)
def test_a_batch_in_flight_when_the_orchestrator_dies(
    two: RunningVenue, tmp_path: Path, dies: str, fate: str
) -> None:
    """It is asked for and never handed in again; ledger and venue agree to the micro-unit."""
    first, _ = two.look(lambda server: list(server.venue.exchange.markets))
    give_pairs(two, first, 30)
    two.steer("/relayer/fate", fate=fate)
    pairs = 30 * SHARE
    merge = Unwinding(UnwindingKind.MERGE, first, False, pairs, pairs, pairs, pairs)

    async def lives() -> None:
        clock = SystemClock()
        relayer = await WalletRelayer.open(*with_key(two))
        keeper = LedgerKeeper(tmp_path, LedgerSettings(), clock)
        held = await relayer.account.balances()
        await keeper.record(
            Opened(wallet=WALLET, at_ms=clock.wall_ms(), cash_e6=held.cash_e6, tokens_e6=held.tokens_e6)
        )
        with contextlib.suppress(Killed):
            await carry_out(keeper, MortalRelayer(relayer, dies), [merge])
        # The successor, over the same files.
        successor = LedgerKeeper(tmp_path, LedgerSettings(), clock)
        await asyncio.to_thread(until_ended, two)
        await settle_batches(successor, relayer)
        was_told = dies in ("after the record of the submission", "after the end")
        happened, was_intended = bool(batches(two)) and fate == "confirm", dies != "before the intent"
        assert len(batches(two)) == int(dies not in ("before the intent", "after the intent"))
        # Without an id only a nonce that grew is an answer; a failure is known when the deadline is over.
        still_open = successor.open_batches
        assert len(still_open) == int(was_intended and not was_told and not happened)
        later_ms = clock.wall_ms() + DEADLINE_MS + 1
        for batch in list(still_open):
            assert verdict(batch, await relayer.next_nonce(), clock.wall_ms()) is BatchOutcome.UNKNOWN
            assert verdict(batch, await relayer.next_nonce(), later_ms) is BatchOutcome.FAILED
            end = BatchEnded(batch=batch.batch, outcome=BatchOutcome.FAILED, at_ms=later_ms)
            await successor.record(end)
        assert successor.merged_e6 == ({first: pairs} if happened else {})
        await relayer.close()
        keeper.close()
        successor.close()

    asyncio.run(asyncio.wait_for(lives(), timeout=6 * LIMIT_S))
    agree(two, tmp_path)


def until_ended(venue: RunningVenue) -> None:
    while (states := batches(venue)) and states[-1] not in ("STATE_CONFIRMED", "STATE_FAILED"):
        time.sleep(0.02)


def agree(venue: RunningVenue, run_dir: Path) -> None:
    """The ledger is the venue's account."""
    files = LedgerFiles(run_dir)
    store = LedgerStore(files.database)
    cash_e6 = venue.look(lambda server: server.venue.trading.account(WALLET).collateral_e6)
    market = venue.market
    tokens = shares(venue)
    held = store.balances()
    assert held["cash"] == Balance(settled_e6=cash_e6)
    for outcome, token in (("YES", market.yes_token), ("NO", market.no_token)):
        assert held.get(f"{market.condition_id}:{outcome}", Balance()) == Balance(
            settled_e6=tokens.get(token, 0)
        )
    assert verify(store, files, None).is_ok
    store.close()
