"""Histories of an account as records, and what they come to, added up the plain way."""

from collections.abc import Sequence

import msgspec
from hypothesis import strategies as st

from clawswarm.ledger.entries import (
    CASH,
    Adjusted,
    AnyEntry,
    BatchEnded,
    BatchIntended,
    BatchSent,
    Opened,
)
from clawswarm.model.fills import FillReport
from clawswarm.model.instruments import Side
from clawswarm.model.messages import Evidence, Outcome
from clawswarm.model.positions import BatchOutcome, Unwinding, UnwindingKind

SHARE = 1_000_000
encode = msgspec.msgpack.Encoder().encode
MARKETS = ("0xa", "0xb")
OPENED_MS = 1_700_000_000_500
OPENED = Opened(wallet="0x1", at_ms=OPENED_MS, cash_e6=100 * SHARE, tokens_e6={"0xa:YES": 3 * SHARE})
WAYS = (
    (Evidence.MATCHED,),
    (Evidence.MATCHED, Evidence.MINED, Evidence.CONFIRMED),
    (Evidence.MATCHED, Evidence.RETRYING, Evidence.MINED, Evidence.CONFIRMED),
    (Evidence.MATCHED, Evidence.RETRYING, Evidence.FAILED),
    (Evidence.CONFIRMED,),
    (Evidence.FAILED,),
)


def report(number: int = 1, **changed: object) -> FillReport:
    """A fill: 10 YES of market 0xa bought at 0.48."""
    plain = FillReport(
        trade_id=f"t{number}",
        order_id=f"0x{number}",
        bucket_index=0,
        evidence=Evidence.MATCHED,
        matched_ms=OPENED_MS + 1_000,
        market="0xa",
        outcome=Outcome.YES,
        side=Side.BUY,
        price_e4=4_800,
        size_e6=10 * SHARE,
        fee_e6=0,
        owner="quoter-1",
        fair_e4=4_900.0,
    )
    return msgspec.structs.replace(plain, **changed)


@st.composite
def lives(draw: st.DrawFn) -> list[list[AnyEntry]]:
    """The opening, fills with their evidence, batches, adjustments: each a list in its own order."""
    found: list[list[AnyEntry]] = [[OPENED]]
    for number in range(draw(st.integers(0, 12))):
        fill = report(
            number,
            bucket_index=number % 2,
            matched_ms=OPENED_MS + draw(st.sampled_from([-2_000, 0, 5_000])),
            market=draw(st.sampled_from(MARKETS)),
            outcome=draw(st.sampled_from(list(Outcome))),
            side=draw(st.sampled_from(list(Side))),
            price_e4=draw(st.integers(1, 9_999)),
            size_e6=draw(st.integers(1, 50 * SHARE)),
            fee_e6=draw(st.sampled_from([0, 17])),
        )
        way = draw(st.sampled_from(WAYS))
        found.append([msgspec.structs.replace(fill, evidence=evidence) for evidence in way])
    for number in range(draw(st.integers(0, 3))):
        batch, pairs = f"b{number}", draw(st.integers(1, 9 * SHARE))
        merge = Unwinding(UnwindingKind.MERGE, "0xa", False, pairs, pairs, pairs, pairs)
        life: list[AnyEntry] = [BatchIntended(batch=batch, nonce=number, at_ms=OPENED_MS, actions=(merge,))]
        if draw(st.booleans()):
            life.append(BatchSent(batch=batch, transaction_id=f"x{number}"))
        if (
            outcome := draw(st.sampled_from([None, BatchOutcome.CONFIRMED, BatchOutcome.FAILED]))
        ) is not None:
            life.append(BatchEnded(batch=batch, outcome=outcome, at_ms=OPENED_MS))
        found.append(life)
    if draw(st.booleans()):
        found.append([Adjusted(at_ms=OPENED_MS, asset=CASH, amount_e6=5, cause="a reward")])
    return found


def plain_sum(found: Sequence[Sequence[AnyEntry]]) -> dict[str, tuple[int, int]]:
    """By asset (what is settled, what is settled or pending), from the last word of every life."""
    sums: dict[str, list[int]] = {}

    def add(asset: str, amount_e6: int, *, is_settled: bool) -> None:
        both = sums.setdefault(asset, [0, 0])
        both[0] += amount_e6 if is_settled else 0
        both[1] += amount_e6

    for life in found:
        first, last = life[0], life[-1]
        if isinstance(first, Opened):
            add(CASH, first.cash_e6 or 0, is_settled=True)
            for asset, size_e6 in first.tokens_e6.items():
                add(asset, size_e6, is_settled=True)
        elif isinstance(first, Adjusted):
            add(first.asset, first.amount_e6, is_settled=True)
        elif isinstance(first, BatchIntended):
            outcome = last.outcome if isinstance(last, BatchEnded) else None
            if outcome is not BatchOutcome.FAILED:
                is_settled = outcome is BatchOutcome.CONFIRMED
                (merge,) = first.actions
                for asset, amount_e6 in (("0xa:YES", -1), ("0xa:NO", -1), (CASH, 1)):
                    add(asset, amount_e6 * merge.worth_e6, is_settled=is_settled)
        else:
            assert isinstance(last, FillReport)
            if last.evidence is Evidence.FAILED or last.matched_ms < OPENED_MS - 500:
                continue
            is_settled = last.evidence is Evidence.CONFIRMED
            is_bought = (last.side is Side.BUY) == (last.outcome is Outcome.YES)
            price_e4 = last.price_e4 if last.outcome is Outcome.YES else 10_000 - last.price_e4
            money = price_e4 * last.size_e6 // 10_000
            size_e6, money = (last.size_e6, -money) if is_bought else (-last.size_e6, money)
            add(f"{last.market}:{last.outcome.value}", size_e6, is_settled=is_settled)
            add(CASH, money - last.fee_e6, is_settled=is_settled)
    return {asset: (settled, whole) for asset, (settled, whole) in sums.items()}
