"""Equal seeds and inputs give equal journals: a venue with takers, orders, cancels and failures, twice."""

import hashlib
from pathlib import Path
from random import Random

import pytest

from clawswarm.sandbox.event_journal import EventJournal
from clawswarm.sandbox.exchange.admission import OrderRequest
from clawswarm.sandbox.exchange.refusals import VenueRefusal
from clawswarm.sandbox.pump import Stage, play
from clawswarm.sandbox.recording import (
    LevelsChanged,
    RecordedEvent,
    RecordedMarket,
    TakerArrived,
    write_recording,
)
from clawswarm.sandbox.scenario import load_playbacks
from clawswarm.sandbox.settings import SandboxSettings
from clawswarm.sandbox.venue import Venue

MS = 1_000_000
START_NS = 1_800_000_000 * 10**9
DURATION_MS = 20_000


def recordings(folder: Path) -> None:
    """Two markets with moving books and takers."""
    for number in (1, 2):
        random = Random(number)
        book = tuple(
            (side, price, 50_000_000) for side, price in ((0, 4500), (0, 4400), (1, 4700), (1, 4800))
        )
        events: list[RecordedEvent] = [LevelsChanged(0, book)]
        for at_ms in range(100, DURATION_MS, 100):
            change = (
                random.randrange(2),
                random.choice((4400, 4500, 4700, 4800)),
                random.randrange(1, 90) * MS,
            )
            events.append(LevelsChanged(at_ms, (change,)))
            if at_ms % 700 == 0:
                events.append(TakerArrived(at_ms, random.choice(("BUY", "SELL")), 7 * MS, 5000, True))
        market = RecordedMarket(
            slug=f"btc-updown-{number}",
            underlying="BTC",
            question="Up?",
            tick_e4=100,
            min_size_e6=5_000_000,
            duration_ms=DURATION_MS,
            outcome="YES",
            era="V2",
            depth_levels=2,
            provenance="made by the test",
            synthetic=(),
            seed=1,
        )
        write_recording(folder / f"btc-updown-{number}.claw", market, events)


def journal_of(folder: Path, seed: int = 1, traders_seed: int = 5) -> EventJournal:
    """Play the scenario on virtual time while three traders place and cancel."""
    settings = SandboxSettings(
        data=str(folder), port=0, control_port=0, seed=seed, settlement_fail_share=0.2, disorder_share=0.185
    )
    venue, random = Venue(settings), Random(traders_seed)
    stage = Stage(venue, load_playbacks(settings))
    stage.open(START_NS)
    markets = list(venue.exchange.markets.values())
    for step in range(150):
        now_ns = START_NS + step * 100 * MS
        play(stage, venue, now_ns)
        account = venue.trading.account(f"0x{random.randrange(3):040x}")
        size_e6, price_e4 = random.randrange(5, 40) * MS, random.choice((4400, 4500, 4600, 4700))
        request = OrderRequest(
            order_id="0x" + hashlib.sha256(f"{step}".encode()).hexdigest(),
            owner=account.address,
            token=random.choice(markets).token(is_yes=random.random() < 0.5),
            is_buy=True,
            maker_amount_e6=price_e4 * size_e6 // 10_000,
            taker_amount_e6=size_e6,
        )
        try:
            venue.publish(venue.exchange.place(account, request, now_ns).events)
        except VenueRefusal:
            continue
        if step % 5 == 0:
            swept = venue.exchange.cancel_where(account.address, now_ns, lambda _order: True)
            venue.publish(swept.events)
    play(stage, venue, START_NS + (DURATION_MS + 5_000) * MS)
    assert venue.exchange.ledger.imbalance_e6() == 0
    return venue.journal


def test_the_same_seed_and_inputs_give_the_same_hash(tmp_path: Path) -> None:
    recordings(tmp_path)
    first, second = journal_of(tmp_path), journal_of(tmp_path)
    assert first.count == second.count > 1_000
    assert first.digest() == second.digest()


@pytest.mark.parametrize("change", [{"seed": 2}, {"traders_seed": 6}])
def test_another_seed_or_other_inputs_give_another(tmp_path: Path, change: dict[str, int]) -> None:
    recordings(tmp_path)
    assert journal_of(tmp_path, **change).digest() != journal_of(tmp_path).digest()
