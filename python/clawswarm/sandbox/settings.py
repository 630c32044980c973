"""Settings of the simulated venue."""

from typing import Annotated, Literal

import msgspec

CA_FILE = "ca.pem"
"""The authority that signed its certificate, in the folder that was named for it."""


class SandboxSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the sandbox serves and how; port 0 takes a free one, `speed` plays recordings faster.

    `start_at_s` is where in each recording the replay begins: its book stands from the first moment.
    """

    data: str
    host: str = "127.0.0.1"
    port: int
    control_port: int
    tls: bool = False
    """Whether `claw up` serves it over https and wss; `claw sandbox` has --tls."""
    clock_offset_s: Annotated[float, msgspec.Meta(ge=-86_400, le=86_400)] = 0
    """How far the clock of `claw up`'s venue is ahead of this machine's, as if the latter were wrong."""
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
    windows: Literal["older", "2026-09", "off"] = "older"
    """Which published set of request windows the edge counts."""
    window_wait_s: Annotated[float, msgspec.Meta(ge=0, le=60)] = 1.0
    """How long the edge holds an over-limit request back before it answers 429."""
    signer_limits: Literal["enforce", "warn", "off"] = "enforce"
    """What an over-limit order or cancel meets: 429, a warning header, or nothing."""
    default_tier: Literal[
        "standard", "copper", "bronze", "silver", "gold", "platinum", "diamond", "elite"
    ] = "standard"
    """Of signers that the control port gave no other."""
    disorder_share: Annotated[float, msgspec.Meta(ge=0, le=0.4)] = 0
    """Share of neighbouring market frames that step back in server time; 0.185 was recorded."""
    subscribe_timeout_s: Annotated[float, msgspec.Meta(ge=0)] = 30
    """A stream client that has not subscribed by then is dropped; 0 waits for ever."""
    variant: Literal["live", "documented"] = "live"
    """Where the venue's documentation and its behaviour differ."""
    clock_tolerance_s: Annotated[int, msgspec.Meta(ge=0)] = 30
    """How far the time in a request's headers may be off."""
    order_log: str | None = None
    """File for the venue's own log of its customers' orders and their requests."""
    single_key: bool = True
    """A second API key of a signer revokes its first."""
    heartbeat_scope: Literal["account", "key"] = "account"
    """What a heartbeat keeps alive and its end cancels: everything of the owner, or the orders of one key."""
    session_sweep_s: Annotated[float, msgspec.Meta(ge=0)] = 5
    """How long after a session signer is revoked its orders are cancelled."""
    is_wallet_cancel_routed: bool = False
    """Whether DELETE /cancel-wallet-orders exists; the live venue documents it but answers nginx's 404 page."""
    self_trade: Literal["allow", "cancel-newest", "cancel-oldest"] = "allow"
    """What happens when orders of one wallet meet; the venue documents no rule."""
    market_buy_share_decimals: int | None = None
    proceeds_at: Literal["mined", "matched"] = "mined"
    """When the proceeds of a trade can be used: live, a sale right after a purchase is refused."""
    taker_delay_ms: Annotated[int, msgspec.Meta(ge=0, le=60_000)] = 250
    """How long up/down markets hold marketable orders; 0 and 50 are rumoured, 250 is documented."""
    retried_after_ms: Annotated[int, msgspec.Meta(ge=0)] = 1000
    """How long a trade is RETRYING before it is mined or fails."""
    settlement_retry_share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0
    """Share of trades that are retried once."""
    settlement_fail_share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0
    """Share of trades that are retried and fail."""
    reward_min_age_s: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Orders younger than this do not score for rewards."""
    reward_daily_rate_e6: Annotated[int, msgspec.Meta(ge=0)] = 120_000_000
    """Liquidity rewards of each market a day, paid for the minutes it is open."""
    maker_rebate_e4: Annotated[int, msgspec.Meta(ge=0, le=5_000)] = 2_000
    """Share of a market's taker fees that goes to its makers."""
    chain_lag_ms: Annotated[int, msgspec.Meta(ge=0)] = 2000
    """When the trading engine sees by itself what a batch brought; GET /balance-allowance/update shows it now."""
    wallet_setup: Literal["ready", "bare"] = "ready"
    """Deposit wallets are deployed and approved from the start, or the relayer must do both."""
    relayer_tier: Literal["unverified", "verified", "partner"] = "unverified"
    """Transactions a day: 100, 3,000, any number; of accounts that the control port gave no other."""
    relayer_executed_after_ms: Annotated[int, msgspec.Meta(ge=0)] = 500
    relayer_mined_after_ms: Annotated[int, msgspec.Meta(ge=0)] = 2000
    relayer_confirmed_after_ms: Annotated[int, msgspec.Meta(ge=0)] = 4000
    series: tuple[str, ...] = ()
    """Up/down series that roll by themselves: COIN-HORIZON, such as "btc-5m", "eth-15m", "btc-1h", "btc-daily"."""
    series_ahead: Annotated[int, msgspec.Meta(ge=1, le=288)] = 1
    """How many windows before its own a window is listed and trades."""
    twap_window_s: Literal[0, 30, 60] = 60
    """Chainlink's average that settles; 0 is the report itself, as before August 2026."""
    resolve_after_s: Annotated[int, msgspec.Meta(ge=0, le=86_400)] = 15
    """From the closing price's publication to the resolution; the recorded ones took 15 s or so."""
    crowd_interval_ms: Annotated[int, msgspec.Meta(ge=10, le=3_600_000)] = 500
    """How often rival makers of a series requote."""
    standing: tuple[Literal["neg-risk", "long-dated"], ...] = ()
    """Markets without a window: an event of several outcomes that exclude each other, one that ends in years."""
    price_recordings: dict[str, str] = {}
    """Coin → CSV file of a recorded settlement feed that its series follow instead of a seeded path."""
    price_gaps: bool = True
    """Whether Chainlink's streams miss seconds and minutes, as recorded."""
    auto_redeem: Literal["participants", "everyone"] = "participants"
    """Who is paid for winning tokens without asking; customers of the live venue redeem by the relayer."""
    price_side: Literal["book", "taker"] = "book"
    """GET /price?side=BUY answers the best bid (`book`), or what a buyer would pay (`taker`)."""
