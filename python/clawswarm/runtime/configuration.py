"""TOML → frozen structs. Unknown keys are refused; what can lose money has no default."""

import math
import tomllib
from pathlib import Path
from typing import Literal

import msgspec

from clawswarm._core import QuoterModel
from clawswarm.agents.orchestrator.allocator import OrchestratorSettings
from clawswarm.agents.orchestrator.rollover import RolloverSettings
from clawswarm.agents.orchestrator.unwinding import UnwindingSettings
from clawswarm.agents.quoter.pricing import QuoterSettings
from clawswarm.agents.risk_manager.exposure import RiskSettings
from clawswarm.egress.routes import DIRECT, why_unusable
from clawswarm.ledger.settings import LedgerSettings
from clawswarm.model.errors import UserFault
from clawswarm.runtime.engine import EngineSettings
from clawswarm.sandbox.settings import SandboxSettings
from clawswarm.venues.polymarket.settings import SocketSettings

# The venue's terms bind all the time: a region that closes is noticed within a minute.
LONGEST_REGION_S = 60.0
# Beyond these a unit is wrong. In millionths the largest number still fits every integer on the way.
SHORTEST_S, LONGEST_S = 0.001, 86_400.0
LARGEST = 1e9
# By then the venue's own heartbeat cancels: whoever withdraws later withdraws nothing.
LONGEST_SILENCE_S = 10.0
HIGHEST_PORT = 65_535


class SentinelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a sentinel keeps of what it hears, and where it hears prices."""

    journal_megabytes: int
    prices_dead_after_s: float = 5.0
    polybolt_key: str | None = None


class SupervisionSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When a process counts as hung, and how often it may be restarted."""

    watchdog_s: float
    start_timeout_s: float
    restarts: int
    restart_window_s: float


class Configuration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole of a configuration file."""

    mode: Literal["sandbox"]
    state_dir: str
    orchestrator: OrchestratorSettings
    quoter: QuoterSettings
    risk: RiskSettings
    feed: SocketSettings
    sentinel: SentinelSettings
    engine: EngineSettings
    sandbox: SandboxSettings
    rollover: RolloverSettings = RolloverSettings()
    unwinding: UnwindingSettings = UnwindingSettings()
    ledger: LedgerSettings = LedgerSettings()
    supervision: SupervisionSettings


def load_configuration(path: Path) -> Configuration:
    """Read a configuration. Raises UserFault, naming file and key, when it cannot be used."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as fault:
        raise UserFault(
            f"cannot read the configuration {path} ({fault.strerror}); give one with --config"
        ) from fault
    except UnicodeDecodeError as fault:
        raise UserFault(f"{path} is not UTF-8 text ({fault.reason}); save it as UTF-8") from fault
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise UserFault(f"{path} is not valid TOML: {fault}; mend that line") from fault
    try:
        configuration = msgspec.convert(table, Configuration)
    except msgspec.ValidationError as fault:
        raise UserFault(
            f"{path}: {_in_words(str(fault))}; config/sandbox.toml shows every known key"
        ) from fault
    _check(path, configuration)
    return configuration


def _in_words(message: str) -> str:
    """msgspec's words with TOML's names: "$.quoter" is the table [quoter]."""
    what, _, place = message.partition(" - at `$")
    table, _, key = place.rstrip("`").lstrip(".").rpartition(".")
    what = what.replace("Object contains unknown field", "unknown key")
    what = what.replace("Object missing required field", "missing key")
    if what.startswith(("unknown key", "missing key")):
        table, key = place.rstrip("`").lstrip("."), ""
    where = f"[{table}]" if table else "the top level"
    return f"{what} in {where}" + (f", key {key}" if key else "")


def _check(path: Path, configuration: Configuration) -> None:
    """Refuse values of the right type that make no sense."""
    orchestrator, sandbox = configuration.orchestrator, configuration.sandbox
    quoter, feed, engine = configuration.quoter, configuration.feed, configuration.engine
    positive = {
        "[orchestrator] capital_usd": orchestrator.capital_usd,
        "[orchestrator] max_position_shares": orchestrator.max_position_shares,
        "[orchestrator] order_size_shares": orchestrator.order_size_shares,
        "[orchestrator] max_loss_usd": orchestrator.max_loss_usd,
        "[orchestrator] max_drawdown_usd": orchestrator.max_drawdown_usd,
        "[orchestrator] cautious_share": orchestrator.cautious_share,
        "[orchestrator] window_share": orchestrator.window_share,
        "[orchestrator] mandate_life_s": orchestrator.mandate_life_s,
        "[orchestrator] renew_s": orchestrator.renew_s,
        "[rollover] leave_s": configuration.rollover.leave_s,
        "[ledger] compare_s": configuration.ledger.compare_s,
        "[ledger] settlement_s": configuration.ledger.settlement_s,
        "[quoter] requote_ticks": quoter.requote_ticks,
        "[quoter] feed_timeout_s": quoter.feed_timeout_s,
        "[quoter] widen_factor": quoter.widen_factor,
        "[sentinel] journal_megabytes": configuration.sentinel.journal_megabytes,
        "[sentinel] prices_dead_after_s": configuration.sentinel.prices_dead_after_s,
        "[risk] band": configuration.risk.band,
        "[feed] ping_interval_s": feed.ping_interval_s,
        "[feed] dead_after_s": feed.dead_after_s,
        "[feed] reconnect_min_s": feed.reconnect_min_s,
        "[feed] reconnect_max_s": feed.reconnect_max_s,
        "[engine] heartbeat_s": engine.heartbeat_s,
        "[engine] reconcile_s": engine.reconcile_s,
        "[engine] withdraw_timeout_s": engine.withdraw_timeout_s,
        "[engine] probe_s": engine.probe_s,
        "[engine] silence_s": engine.silence_s,
        "[engine] pause_s": engine.pause_s,
        "[engine] region_s": engine.region_s,
        "[engine] touch_timeout_s": engine.touch_timeout_s,
        "[engine] sentinel_timeout_s": engine.sentinel_timeout_s,
        "[engine] guard_timeout_s": engine.guard_timeout_s,
        "[engine] guard_silence_s": engine.guard_silence_s,
        "[engine.limits] place_requests_10s": engine.limits.place_requests_10s,
        "[engine.limits] place_requests_600s": engine.limits.place_requests_600s,
        "[supervision] watchdog_s": configuration.supervision.watchdog_s,
        "[supervision] start_timeout_s": configuration.supervision.start_timeout_s,
        "[supervision] restart_window_s": configuration.supervision.restart_window_s,
        "[sandbox] speed": sandbox.speed,
    }
    for key, value in positive.items():
        if not 0 < value < math.inf:
            raise UserFault(f"{path}: {key} is {value}; it must be above 0 and finite")
        _check_unit(path, key, value)
    not_negative = {
        "[orchestrator] least_value": orchestrator.least_value,
        "[unwinding] daily_batches": configuration.unwinding.daily_batches,
        "[unwinding] least_usd": configuration.unwinding.least_usd,
        "[rollover] lead_s": configuration.rollover.lead_s,
        "[engine] switches_per_day": engine.switches_per_day,
        "[quoter] pull_below": quoter.pull_below,
        "[engine.limits] send_jitter_ms": engine.limits.send_jitter_ms,
        "[supervision] restarts": configuration.supervision.restarts,
        "[sandbox] start_at_s": sandbox.start_at_s,
    }
    for key, value in not_negative.items():
        if not 0 <= value < math.inf:
            raise UserFault(f"{path}: {key} is {value}; it must be 0 or above and finite")
        _check_unit(path, key, value)
    silences = {
        "[quoter] feed_timeout_s": quoter.feed_timeout_s,
        "[feed] dead_after_s": feed.dead_after_s,
        "[engine] touch_timeout_s": engine.touch_timeout_s,
        "[engine] sentinel_timeout_s": engine.sentinel_timeout_s,
        "[engine] guard_timeout_s": engine.guard_timeout_s,
        "[engine] guard_silence_s": engine.guard_silence_s,
        "[engine] silence_s": engine.silence_s,
        "[engine] pause_s": engine.pause_s,
    }
    for key, value in silences.items():
        if value > LONGEST_SILENCE_S:
            raise UserFault(
                f"{path}: {key} is {value}, in seconds; the venue cancels by itself after "
                f"{LONGEST_SILENCE_S:g} s: set less"
            )
    if not engine.heartbeat_s < sandbox.heartbeat_timeout_s:
        raise UserFault(
            f"{path}: [engine] heartbeat_s is {engine.heartbeat_s}, in seconds; the venue cancels everything "
            f"{sandbox.heartbeat_timeout_s:g} s after the last one: set less"
        )
    if engine.region_s > LONGEST_REGION_S:
        raise UserFault(
            f"{path}: [engine] region_s is {engine.region_s}; ask at least every {LONGEST_REGION_S:g} s"
        )
    if (fault := why_unusable(engine.routes, engine.country)) is not None:
        raise UserFault(f"{path}: [engine] {fault}")
    if engine.proxy_passwords is not None and engine.routes == (DIRECT,):
        raise UserFault(
            f"{path}: [engine] proxy_passwords goes with a route over a proxy; leave it out without one"
        )
    if engine.signature_type in (1, 2) and engine.funder is None:
        raise UserFault(f"{path}: [engine] signature_type {engine.signature_type} needs its funder's address")
    if engine.signature_type == 0 and engine.funder is not None:
        raise UserFault(f"{path}: [engine] funder goes with signature_type 1, 2 or 3; leave it out for 0")
    if engine.session_signer and (engine.signature_type != 3 or engine.funder is None):
        raise UserFault(
            f"{path}: [engine] session_signer goes with signature_type 3 and the wallet it signs for as its funder"
        )
    if engine.passphrase_fd is not None and engine.keystore is None:
        raise UserFault(f"{path}: [engine] passphrase_fd goes with a keystore; name one or leave it out")
    try:
        QuoterModel(**msgspec.structs.asdict(quoter.model))
    except ValueError as fault:
        raise UserFault(f"{path}: [quoter.model] {fault}; config/sandbox.toml shows usual values") from fault
    if not quoter.pull_below <= quoter.widen_below <= 1:
        raise UserFault(f"{path}: [quoter] pull_below, widen_below and 1 must not descend")
    if not quoter.widen_factor >= 1:
        raise UserFault(
            f"{path}: [quoter] widen_factor must be at least 1; quotes are never narrowed by doubt"
        )
    if not feed.ping_interval_s < feed.dead_after_s:
        raise UserFault(f"{path}: [feed] ping_interval_s must be below dead_after_s")
    if not feed.reconnect_min_s <= feed.reconnect_max_s:
        raise UserFault(f"{path}: [feed] reconnect_min_s must not be above reconnect_max_s")
    for key in ("cautious_share", "window_share"):
        if getattr(orchestrator, key) > 1:
            raise UserFault(f"{path}: [orchestrator] {key} is a share; it must not be above 1")
    if configuration.risk.band > 1:
        raise UserFault(
            f"{path}: [risk] band is a share of the capital; it must not be above 1 (0.05 is 5 %)"
        )
    if not orchestrator.renew_s < orchestrator.mandate_life_s:
        raise UserFault(f"{path}: [orchestrator] renew_s must be below mandate_life_s")
    if orchestrator.order_size_shares > orchestrator.max_position_shares:
        raise UserFault(f"{path}: [orchestrator] order_size_shares must not be above max_position_shares")
    for key in ("max_loss_usd", "max_drawdown_usd"):
        if getattr(orchestrator, key) > orchestrator.capital_usd:
            raise UserFault(
                f"{path}: [orchestrator] {key} is above capital_usd and would never act; set less"
            )
    if not configuration.state_dir:
        raise UserFault(f"{path}: state_dir is empty; name a folder for runs, journals and logs")
    for key, port in (("port", sandbox.port), ("control_port", sandbox.control_port)):
        if not 1 <= port <= HIGHEST_PORT:
            raise UserFault(f"{path}: [sandbox] {key} is {port}; it must be from 1 to {HIGHEST_PORT}")
    if sandbox.port == sandbox.control_port:
        raise UserFault(f"{path}: [sandbox] port and control_port are both {sandbox.port}; they must differ")


def _check_unit(path: Path, key: str, value: float) -> None:
    """Refuse what only a wrong unit or a slip of the hand explains."""
    is_time = key.endswith("_s")
    most = LONGEST_S if is_time else LARGEST
    if is_time and 0 < value < SHORTEST_S:
        raise UserFault(f"{path}: {key} is {value:g}; it must be at least {SHORTEST_S:g}: is its unit right?")
    if value > most:
        raise UserFault(f"{path}: {key} is {value:g}; it must be at most {most:,.0f}: is its unit right?")
