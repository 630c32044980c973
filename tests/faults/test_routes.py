"""What breaks between the engine and the venue: the swarm withdraws, goes on, or halts, by cause."""

import re
from collections.abc import Callable

import pytest

from faults.swarm_run import SwarmRun, claw, eventually

PLACES = {"method": "POST", "path": "/order"}


def engine_log(run: SwarmRun) -> str:
    """What the engine has logged so far."""
    return next((run.run_dir / "logs").glob("engine*")).read_text()


def causes(report: dict) -> list[str]:
    return [event["cause"] for event in report["deadman"]]


def place_until(run: SwarmRun, is_seen: Callable[[], bool], what: str) -> None:
    """Wait for what one more place brings about: a bid that was filled is placed anew."""
    market = min(run.owners())

    def has_placed() -> bool:
        run.hit_bids(market)
        return is_seen()

    eventually(has_placed, 30, what)


def meet_cdn_page(run: SwarmRun, times: int) -> None:
    """The next place is answered by the CDN; returns once the engine has moved so often."""
    run.control("POST", "/faults/cdn-page", {**PLACES, "requests": 1, "seconds": 60})
    place_until(run, lambda: engine_log(run).count("engine.route.quarantined") == times, "the route is left")


def test_a_reset_moves_to_the_standby_and_quoting_goes_on(start_swarm: Callable[..., SwarmRun]) -> None:
    run = start_swarm()
    run.until_quoting()
    pid = run.pid("engine")
    before = run.open_orders().keys()
    run.control("POST", "/faults/reset", {**PLACES, "requests": 1, "seconds": 60})
    place_until(run, lambda: "engine.route.switched" in engine_log(run), "the reset is noticed")
    eventually(lambda: not before & run.open_orders().keys(), 30, "what was open on the route is gone")
    run.until_quoting()
    assert run.pid("engine") == pid
    code, report = run.finish()
    assert code == 0, run.output()
    assert any(cause.startswith("route: ") for cause in causes(report))
    assert report["orders"]["open_at_end"] == 0


def test_a_black_hole_is_found_without_an_order_under_way(start_swarm: Callable[..., SwarmRun]) -> None:
    # Shorter than any request may take: probes find it first.
    run = start_swarm(silence_s=0.1, pause_s=0.5)
    run.until_quoting()
    run.control("POST", "/faults/black-hole", {"channel": "rest", "seconds": 4})
    eventually(lambda: "no answer to a probe" in engine_log(run), 30, "silence is noticed")
    eventually(lambda: "route: " in engine_log(run), 30, "and what was open withdrawn")
    run.until_quoting()
    code, report = run.finish()
    assert code == 0, run.output()
    assert report["orders"]["open_at_end"] == 0


def test_the_second_page_of_the_cdn_halts(start_swarm: Callable[..., SwarmRun]) -> None:
    run = start_swarm()
    run.until_quoting()
    meet_cdn_page(run, times=1)
    run.until_quoting()
    assert (run.state_dir / "route_switches.json").exists(), "the allowance outlives the run"
    run.control("POST", "/faults/cdn-page", {**PLACES, "requests": 1, "seconds": 60})
    place_until(run, lambda: run.status()["state"] == "halted", "the halt")
    eventually(lambda: run.open_orders() == {}, 30, "nothing is open")
    assert claw("resume", "--config", str(run.config)).returncode == 0
    run.until_quoting()
    code, _ = run.finish()
    assert code == 0


def test_a_larger_allowance_moves_more_often(start_swarm: Callable[..., SwarmRun]) -> None:
    run = start_swarm(switches_per_day=3)
    run.until_quoting()
    for times in (1, 2):
        meet_cdn_page(run, times)
        run.until_quoting()
    assert run.status()["state"] == "running"
    code, _ = run.finish()
    assert code == 0


def test_a_refused_region_ends_quoting_and_no_route_moves(start_swarm: Callable[..., SwarmRun]) -> None:
    run = start_swarm(switches_per_day=3)
    run.until_quoting()
    run.control("POST", "/faults/geoblock", {"blocked": True})
    eventually(lambda: run.open_orders() == {}, 30, "cancels are still sent")
    eventually(lambda: run.status()["state"] == "halted", 30, "the halt is seen")
    assert "engine.route.quarantined" not in engine_log(run)
    assert not (run.state_dir / "route_switches.json").exists()
    code, _ = run.finish()
    assert code == 0


def test_a_restart_of_the_venue_is_waited_for(start_swarm: Callable[..., SwarmRun]) -> None:
    run = start_swarm()
    run.until_quoting()
    run.control("POST", "/engine/restart", {"seconds": 3, "post_only_seconds": 60})
    eventually(lambda: "mode=restarting" in engine_log(run), 30, "the restart is seen")
    eventually(lambda: run.status()["route"] == "post-only", 40, "and its end")
    run.until_quoting()
    code, report = run.finish()
    assert code == 0
    assert report["orders"]["open_at_end"] == 0


def test_in_cancel_only_mode_nothing_is_placed(start_swarm: Callable[..., SwarmRun]) -> None:
    run = start_swarm()
    run.until_quoting()
    run.control("POST", "/engine/mode", {"mode": "cancel-only"})
    place_until(run, lambda: run.status()["route"] == "cancel-only", "the mode is seen")
    run.control("POST", "/engine/mode", {"mode": "normal"})
    place_until(run, lambda: run.status()["route"] == "open", "one place tries, and it works again")
    run.until_quoting()
    code, report = run.finish()
    assert code == 0
    assert report["orders"]["open_at_end"] == 0


def test_a_run_without_tls_trades_too(start_swarm: Callable[..., SwarmRun]) -> None:
    run = start_swarm(tls=False)
    run.until_quoting()
    code, report = run.finish()
    assert code == 0
    assert report["orders"]["open_at_end"] == 0


@pytest.mark.parametrize(("offset_s", "way"), [(60, "behind"), (-60, "ahead of")])
def test_a_deposit_wallet_wants_a_clock_that_is_right(
    start_swarm: Callable[..., SwarmRun], offset_s: int, way: str
) -> None:
    # The relayer's client signs by the local clock: the venue would refuse it without a word on why.
    run = start_swarm(clock_offset_s=offset_s, signature_type=3)
    code, report = run.finish(None)
    assert code == 1
    # The venue tells its time in whole seconds.
    said = " ".join(run.output().split())
    assert re.search(rf"this machine's clock is (59|60|61) s {way} the venue's", said), said
    assert "Traceback" not in run.output()
    assert report["orders"]["placed"] == report["orders"]["open_at_end"] == 0


def test_a_local_clock_that_is_a_minute_off_still_cancels(start_swarm: Callable[..., SwarmRun]) -> None:
    # Without a deposit wallet, whose relayer's client signs by the local clock.
    run = start_swarm(clock_offset_s=60, signature_type=0)
    run.until_quoting(markets=1)
    assert claw("halt", "--config", str(run.config)).returncode == 0
    assert run.open_orders() == {}, "the venue took the cancels, whose times may be 30 s off"
    code, report = run.finish()
    assert code == 0
    assert report["orders"]["open_at_end"] == 0
