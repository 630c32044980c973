"""The orchestrator's shell over a real bus, the official client and the sandbox: it merges and redeems."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
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
) -> Record:
    """Run an orchestrator until the venue and its record are as wanted; the record."""
    place = StorePlace(folder / "standing.json", folder / "record.json")

    async def open_wallet(_term: int) -> Wallet:
        return await WalletRelayer.open(*with_key(venue))

    async def run() -> None:
        process = Process("orchestrator", SystemClock())
        with TemporaryDirectory(prefix="claw") as sockets:
            bus = ZenohBus("orchestrator", ("orchestrator",), Path(sockets))
            gamma, chain = venue.url + "/gamma", Chain(settings, open_wallet)
            orchestrator = Orchestrator(
                process, bus, MONEY, ("quoter-1",), RolloverSettings(), gamma, place, chain
            )
            working = asyncio.create_task(orchestrator.run())
            while not working.done() and not is_done():
                await asyncio.wait((working,), timeout=0.05)
            process.request_stop("test")
            await working
            bus.close()

    asyncio.run(asyncio.wait_for(run(), timeout=9 * LIMIT_S))
    return msgspec.json.decode(place.record.read_bytes(), type=Record)


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
    record = conduct(two, tmp_path, settings, lambda: not shares(two))
    assert record.merged_e6 == {first: 30 * SHARE}
    assert record.allowance.used == 1
    assert two.look(lambda server: server.venue.exchange.ledger.imbalance_e6()) == 0


def test_a_batch_that_fails_gives_its_pairs_back_and_is_tried_alone(
    two: RunningVenue, tmp_path: Path
) -> None:
    first, _ = two.look(lambda server: list(server.venue.exchange.markets))
    give_pairs(two, first, 30)
    two.steer("/relayer/fate", fate="fail")
    settings = UnwindingSettings(daily_batches=0, look_s=0.1, least_interval_s=2.4)
    record = conduct(two, tmp_path, settings, lambda: not shares(two))
    assert record.merged_e6 == {first: 30 * SHARE}
    failed, _ = batches(two)
    assert failed == "STATE_FAILED"


def test_the_days_allowance_outlives_the_orchestrator(two: RunningVenue, tmp_path: Path) -> None:
    first, second = two.look(lambda server: list(server.venue.exchange.markets))
    settings = UnwindingSettings(daily_batches=1, batch_actions=1, look_s=0.1)
    give_pairs(two, first, 30)
    give_pairs(two, second, 20)
    conduct(two, tmp_path, settings, lambda: bool(batches(two)))
    looks = iter(range(20))
    record = conduct(two, tmp_path, settings, lambda: next(looks, None) is None)
    assert record.allowance.used == 1
    assert len(batches(two)) == 1
