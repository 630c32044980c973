"""Markets that change under the swarm's hands: a new tick, a pause, an end. Quoters learn each as a message."""

from collections.abc import Callable

from faults.swarm_run import SwarmRun, eventually


def prices_e4(run: SwarmRun, market: str) -> set[int]:
    return {round(float(order["price"]) * 10_000) for order in run.open_orders(market).values()}


def test_a_new_tick_is_quoted_and_no_order_is_refused_for_the_old_one(
    start_swarm: Callable[..., SwarmRun],
) -> None:
    run = start_swarm()
    market = run.until_quoting(markets=6)[0]
    run.control("POST", "/markets/tick", {"market": market, "tick": "0.001"})
    eventually(
        lambda: any(price % 100 for price in prices_e4(run, market)),
        60,
        "a price between two cents is quoted",
    )
    before = run.open_orders(market).keys()
    run.control("POST", "/markets/tick", {"market": market, "tick": "0.01"})

    def is_coarse() -> bool:
        orders = run.open_orders(market)
        return (
            bool(orders) and not orders.keys() & before and not any(p % 100 for p in prices_e4(run, market))
        )

    eventually(is_coarse, 30, "only whole cents are quoted")
    # What was on its way when the tick changed may be refused, nothing after that.
    refused = logs(run).count("minimum tick size")
    quoted = run.open_orders(market).keys()

    def is_anew() -> bool:
        run.hit_bids(market)
        return bool(run.open_orders(market).keys() - quoted)

    eventually(is_anew, 60, "it is quoted anew")
    code, _ = run.finish()
    assert code == 0, run.output()
    assert logs(run).count("minimum tick size") == refused
    assert "outside the tick grid" not in logs(run)


def logs(run: SwarmRun) -> str:
    return "".join(path.read_text() for path in (run.run_dir / "logs").glob("*.log"))


def test_a_pause_takes_the_quotes_away_and_its_end_brings_them_back(
    start_swarm: Callable[..., SwarmRun],
) -> None:
    run = start_swarm()
    paused, other = run.until_quoting(markets=6)[:2]
    run.control("POST", "/markets/pause", {"market": paused, "accepts_orders": False})
    eventually(lambda: paused not in run.owners(), 30, "the mandate of the paused market is withdrawn")
    eventually(lambda: run.open_orders(paused) == {}, 30, "its quotes are")
    eventually(lambda: run.open_orders(other) != {}, 30, "another market is quoted all the while")
    run.control("POST", "/markets/pause", {"market": paused, "accepts_orders": True})
    eventually(lambda: run.open_orders(paused) != {}, 30, "it is quoted again")
    code, _ = run.finish()
    assert code == 0, run.output()
