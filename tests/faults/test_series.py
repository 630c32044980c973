"""A swarm on a series that rolls by itself: windows that pause, windows that close, and those that go on."""

from collections.abc import Callable

from faults.swarm_run import SwarmRun, eventually


def see_pause(run: SwarmRun, market: str) -> None:
    """A market that takes no orders for a while: none is left in it, and it is quoted again afterwards."""
    run.control("POST", "/markets/pause", {"market": market, "accepts_orders": False})
    eventually(lambda: market not in run.owners(), 30, "the orchestrator sees that the market pauses")
    eventually(lambda: not run.open_orders(market), 30, "no order is left in it")
    run.control("POST", "/markets/pause", {"market": market, "accepts_orders": True})
    eventually(lambda: bool(run.open_orders(market)), 30, "the market is quoted again")


def test_a_window_that_closes_early_does_not_touch_the_next(start_swarm: Callable[..., SwarmRun]) -> None:
    # Joined ten minutes ahead, so that two windows are quoted at once wherever in a window the test runs.
    run = start_swarm(data="", series=["btc-5m"], lead_s=600.0)
    closing, staying = run.until_quoting(markets=2)[:2]
    see_pause(run, staying)
    run.control("POST", "/markets/close", {"market": closing, "winner": "YES"})

    def is_left() -> bool:
        assert run.process.poll() is None, run.output()
        return closing not in run.owners() and run.open_orders(closing) == {}

    eventually(is_left, 30, "the orchestrator sees that the market closed")
    eventually(lambda: staying in run.quoted_markets(), 30, "the other window is quoted")
    fills = run.run_dir / "engine/fills.journal"

    def is_filled() -> bool:
        run.hit_bids()
        return fills.stat().st_size > 0

    eventually(is_filled, 30, "the engine hears of a fill")
    code, report = run.finish()
    assert code == 0, run.output()
    assert report["orders"]["open_at_end"] == 0
    # Fills are valued by the books of the bus, income is read from the venue.
    assert None not in (report["pnl_usd"][part] for part in ("spread", "rebates", "rewards"))
    assert any("btc-5m" in warning for warning in report["warnings"])
