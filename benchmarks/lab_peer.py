"""hftbacktest on the flow of benchmarks/lab.py: `lab_peer.py NAME EVENTS ROUNDS` prints its events a second.

A program of its own: it runs in whatever environment has hftbacktest.
"""

import sys
import time

try:
    import numpy as np
    from hftbacktest import (
        BUY_EVENT,
        DEPTH_EVENT,
        EXCH_EVENT,
        GTX,
        LIMIT,
        LOCAL_EVENT,
        SELL_EVENT,
        BacktestAsset,
        HashMapMarketDepthBacktest,
        ROIVectorMarketDepthBacktest,
        event_dtype,
    )
    from numba import njit
except ImportError as fault:
    print(f"hftbacktest is not installed ({fault.name}): make bench-peers", file=sys.stderr)
    raise SystemExit(1) from fault

MS = 1_000_000


@njit  # type: ignore[untyped-decorator]
def read_best(backtest: object) -> int:
    seen, total = 0, 0.0
    while backtest.wait_next_feed(True, 10**15) in (2, 3):  # type: ignore[attr-defined]
        depth = backtest.depth(0)  # type: ignore[attr-defined]
        total += depth.best_bid + depth.best_ask
        seen += 1
    return seen


@njit  # type: ignore[untyped-decorator]
def cancel_submit(backtest: object) -> int:
    seen, order = 0, 0
    while backtest.wait_next_feed(False, 10**15) == 2:  # type: ignore[attr-defined]
        backtest.clear_inactive_orders(0)  # type: ignore[attr-defined]
        if order:
            backtest.cancel(0, order, False)  # type: ignore[attr-defined]
        order += 1
        backtest.submit_buy_order(0, order, 0.40, 5.0, GTX, LIMIT, False)  # type: ignore[attr-defined]
        seen += 1
    return seen


def events_of(count: int) -> object:
    """The flow of benchmarks/lab.py."""
    levels = [(0, n / 100, 50.0, 0) for n in range(40, 50)] + [(1, n / 100, 50.0, 0) for n in range(51, 61)]
    for number in range(1, count):
        side, away = number % 2, number % 5
        price = (49 - away if side == 0 else 51 + away) / 100
        levels.append((side, price, 10.0 + number % 37, number * MS))
    rows = np.zeros(len(levels), event_dtype)
    both = DEPTH_EVENT | EXCH_EVENT | LOCAL_EVENT
    for row, (side, price, size, at_ns) in zip(rows, levels, strict=True):
        row["ev"] = both | (BUY_EVENT if side == 0 else SELL_EVENT)
        # Half a millisecond from the venue to the strategy, as ours; 0 would read as no time.
        row["exch_ts"], row["local_ts"] = at_ns + MS, at_ns + MS + MS // 2
        row["px"], row["qty"] = price, size
    return rows


def main() -> None:
    """Best of both depth implementations, warmed up; the median of the rounds."""
    name, count, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    work = read_best if name == "lab.read_best" else cancel_submit
    rows = events_of(count)
    medians = []
    for make in (ROIVectorMarketDepthBacktest, HashMapMarketDepthBacktest):
        rates = []
        for _ in range(rounds + 1):
            asset = (
                BacktestAsset()
                .data([rows])
                .linear_asset(1.0)
                .constant_order_latency(MS // 4, MS // 4)
                .risk_adverse_queue_model()
                .no_partial_fill_exchange()
                .trading_value_fee_model(0.0, 0.0)
                .tick_size(0.01)
                .lot_size(0.01)
                .roi_lb(0.0)
                .roi_ub(1.0)
            )
            backtest = make([asset])
            began = time.process_time()
            seen = work(backtest)
            rates.append(seen / (time.process_time() - began))
            backtest.close()
        # The first round compiles.
        medians.append(sorted(rates[1:])[rounds // 2])
    print(max(medians))


if __name__ == "__main__":
    main()
