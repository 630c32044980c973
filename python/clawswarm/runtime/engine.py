"""The execution engine and its guard (Rust) as their supervisor sees them: settings and commands."""

import sys
from pathlib import Path
from typing import Literal

import msgspec

from clawswarm.egress.routes import DIRECT
from clawswarm.kernel.journal import scan
from clawswarm.model.errors import UserFault
from clawswarm.model.messages import DeadmanFired
from clawswarm.venues.polymarket.settings import SocketSettings

ENGINE_BINARY = "claw-engine"
GUARD_BINARY = "claw-guard"
Tier = Literal["standard", "copper", "bronze", "silver", "gold", "platinum", "diamond", "elite"]


class EngineLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The venue's limits for this account; the tier until the venue names it."""

    place_requests_10s: int = 3_500
    place_requests_600s: int = 36_000
    tier: Tier = "standard"
    send_jitter_ms: int = 50


class EngineSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Account, timing and limits of the order path: the table [engine] of a configuration.

    Without `keystore` a throw-away key is made; without `funder` type 3 trades with the key's own deposit wallet.
    A session signer trades for the deposit wallet of another key, its `funder`.
    """

    heartbeat_s: float = 5.0
    reconcile_s: float = 10.0
    withdraw_timeout_s: float = 10.0
    probe_s: float = 0.05
    silence_s: float = 0.1
    pause_s: float = 0.5
    region_s: float = 60.0
    routes: tuple[str, ...] = (DIRECT,)
    country: str | None = None
    proxy_passwords: str | None = None
    switches_per_day: int = 1
    touch_timeout_s: float = 0.5
    sentinel_timeout_s: float = 0.5
    guard_timeout_s: float = 3.0
    guard_silence_s: float = 0.3
    keystore: str | None = None
    passphrase_fd: int | None = None
    signature_type: Literal[0, 1, 2, 3] = 0
    funder: str | None = None
    session_signer: bool = False
    limits: EngineLimits = EngineLimits()


class EngineWatch(msgspec.Struct, frozen=True, kw_only=True):
    """Who watches the engine and whom it watches; what is None is not watched (an engine alone on a bench)."""

    guard: str | None = None
    guard_timeout_s: float | None = None
    touch_timeout_s: float | None = None
    sentinel_timeout_s: float | None = None


class EngineAccount(msgspec.Struct, frozen=True, kw_only=True):
    """Whose orders they are, and where its key is."""

    signature_type: int = 0
    funder: str | None = None
    is_session: bool = False
    keystore: str | None = None


class EngineFile(msgspec.Struct, frozen=True, kw_only=True):
    """What the binary reads (rust/engine/src/settings.rs): places and numbers, never a secret."""

    name: str
    earlier_peers: tuple[str, ...]
    socket_dir: str
    port: str
    folder: str
    counters: str | None = None
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
    pause_s: float
    region_s: float
    routes: tuple[str, ...]
    country: str | None
    proxy_passwords: str | None = None
    switches_per_day: int
    switches_file: str
    limits: EngineLimits
    feed: SocketSettings
    account: EngineAccount = EngineAccount()
    watch: EngineWatch = EngineWatch()


class GuardFile(msgspec.Struct, frozen=True, kw_only=True):
    """What the guard reads (rust/engine/src/settings.rs); engines bring their API key themselves."""

    name: str
    socket: str
    folder: str
    clob_url: str
    ca_file: str | None
    silence_s: float


def engine_command(file: EngineFile) -> list[str]:
    """Write the engine's settings; the command that runs it. Raises UserFault without a binary."""
    return _command(ENGINE_BINARY, "execution engine", file)


def guard_command(file: GuardFile) -> list[str]:
    """Write the guard's settings; the command that runs it. Raises UserFault without a binary."""
    return _command(GUARD_BINARY, "engine's guard", file)


def guard_withdrawals(folder: Path) -> list[DeadmanFired]:
    """What the guard of a run has withdrawn, from its journal."""
    decode = msgspec.msgpack.Decoder(DeadmanFired).decode
    return [decode(record) for _, record in scan(folder / "deadman.journal")]


def _command(name: str, what: str, file: EngineFile | GuardFile) -> list[str]:
    binary = Path(sys.executable).with_name(name)
    if not binary.exists():
        raise UserFault(f"the {what} {binary} is missing; build it with `make`")
    folder = Path(file.folder)
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "settings.json"
    settings.write_bytes(msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n")
    return [str(binary), str(settings)]
