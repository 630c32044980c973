"""The execution engine (`claw-engine`, Rust) as its supervisor sees it: its settings and its command."""

import sys
from pathlib import Path
from typing import Literal

import msgspec

from clawswarm.model.errors import UserFault
from clawswarm.venues.polymarket.settings import SocketSettings

BINARY = "claw-engine"
Tier = Literal["standard", "copper", "bronze", "silver", "gold", "platinum", "diamond", "elite"]


class EngineLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The venue's limits for this account; the tier until the venue names it."""

    place_requests_10s: int = 3_500
    place_requests_600s: int = 36_000
    tier: Tier = "standard"
    send_jitter_ms: int = 50


class EngineSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Timing and limits of the order path: the table [engine] of a configuration."""

    heartbeat_s: float = 5.0
    reconcile_s: float = 10.0
    withdraw_timeout_s: float = 10.0
    probe_s: float = 0.05
    silence_s: float = 0.1
    switches_per_day: int = 1
    limits: EngineLimits = EngineLimits()


class EngineFile(msgspec.Struct, frozen=True, kw_only=True):
    """What the binary reads (rust/engine/src/settings.rs): places and numbers, never a secret."""

    name: str
    earlier_peers: tuple[str, ...]
    socket_dir: str
    port: str
    folder: str
    clob_url: str
    user_ws_url: str
    region_url: str
    ca_file: str | None
    chain_id: int
    heartbeat_s: float
    reconcile_s: float
    withdraw_timeout_s: float
    probe_s: float
    silence_s: float
    switches_per_day: int
    switches_file: str
    limits: EngineLimits
    feed: SocketSettings


def engine_command(file: EngineFile) -> list[str]:
    """Write the settings into the engine's folder; the command that runs it. Raises UserFault without a binary."""
    binary = Path(sys.executable).with_name(BINARY)
    if not binary.exists():
        raise UserFault(f"the execution engine {binary} is missing; build it with `make`")
    folder = Path(file.folder)
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "settings.json"
    settings.write_bytes(msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n")
    return [str(binary), str(settings)]
