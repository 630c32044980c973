"""Take a million fills in, as the orchestrator does: from the engine's journal, a transaction on the disk a batch.

    python -m benchmarks.ledger_child FOLDER FILLS

FOLDER becomes the folder of a run. Prints JSON: fills a second of each tenth, and the most memory used, in MiB.
"""

import json
import resource
import sys
import time
import uuid
from pathlib import Path
from random import Random

import msgspec

from clawswarm.kernel.journal import Journal
from clawswarm.ledger.entries import Opened
from clawswarm.ledger.journals import FILLS, OWN, LedgerFiles, take_in
from clawswarm.ledger.store import Cursor, LedgerStore
from clawswarm.model.instruments import Side
from clawswarm.model.messages import Evidence, Fill, Outcome

DAY_MS = 86_400_000
BEGAN_MS = 1_790_000_000_000
MARKETS = 40
PARTS = 10


def fill_of(number: int, fills: int, random: Random) -> Fill:
    """One of a day's fills, spread over it."""
    return Fill(
        trade_id=str(uuid.UUID(int=random.getrandbits(128))),
        order_id=f"0x{random.getrandbits(256):064x}",
        bucket_index=0,
        evidence=Evidence.CONFIRMED,
        matched_ms=BEGAN_MS + number * DAY_MS // fills,
        outcome=Outcome.YES if number % 2 else Outcome.NO,
        market=f"0x{number % MARKETS:064x}",
        underlying="BTC",
        owner=f"quoter-{1 + number % 6}",
        side=Side.BUY if random.random() < 0.5 else Side.SELL,
        price_e4=100 * random.randrange(1, 100),
        size_e6=1_000_000 * random.randrange(5, 50),
        fee_e6=0,
        fair_e4=5_000.0,
        yes_e6=0,
        no_e6=0,
        seen_ns=number,
    )


def main() -> None:
    """Write the journal, part by part, and take each part in."""
    folder, fills = Path(sys.argv[1]), int(sys.argv[2])
    files, random, encode = LedgerFiles(folder), Random(1), msgspec.msgpack.Encoder().encode
    journal = Journal(files.fills)
    store = LedgerStore(files.database)
    store.take(OWN, [Opened(wallet="", at_ms=BEGAN_MS, cash_e6=0, tokens_e6={})], Cursor())
    cursor, rates = Cursor(), []
    for part in range(PARTS):
        for number in range(part * fills // PARTS, (part + 1) * fills // PARTS):
            journal.append(encode(fill_of(number, fills, random)))
        began = time.perf_counter()
        cursor = take_in(store, files, FILLS, cursor)
        rates.append(fills / PARTS / (time.perf_counter() - began))
    store.close()
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"rates": rates, "peak_mib": peak_mib}))


if __name__ == "__main__":
    main()
