"""Settings of the simulated venue."""

import msgspec


class SandboxSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the sandbox serves and how; port 0 takes a free one, `speed` plays recordings faster.

    `start_at_s` is where in each recording the replay begins: its book stands from the first moment.
    """

    data: str
    host: str = "127.0.0.1"
    port: int
    control_port: int
    seed: int = 1
    start_at_s: float = 0
    speed: float = 1.0
    faucet_e6: int = 10_000_000_000
    taker_fee_rate_e4: int = 700
    mined_after_ms: int = 200
    confirmed_after_ms: int = 500
    takers: bool = True
    heartbeat_timeout_s: float = 10
    heartbeat_sweep_s: float = 5
