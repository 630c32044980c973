"""The simulated venue as one object: exchange, keys, heartbeats, faults and streams behind one set of verbs.

Nothing here awaits. Each verb takes the time, changes the exchange and publishes what happened; `server.py`
and the participants are its only callers.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from clawswarm.sandbox.chain.chain import Chain
from clawswarm.sandbox.chain.relayer import Relayer, RelayerDelays
from clawswarm.sandbox.event_journal import EventJournal
from clawswarm.sandbox.exchange import refusals
from clawswarm.sandbox.exchange.accounts import Account
from clawswarm.sandbox.exchange.book import Order
from clawswarm.sandbox.exchange.events import (
    Event,
    LevelChanged,
    MarketEvent,
    MarketListed,
    MarketResolved,
    OrderChanged,
    Trade,
    TradeUpdated,
)
from clawswarm.sandbox.exchange.matching import Exchange, Placed
from clawswarm.sandbox.exchange.payouts import Payouts
from clawswarm.sandbox.exchange.refusals import VenueRefusal
from clawswarm.sandbox.exchange.rules import ExchangeRules, SettlementDelay
from clawswarm.sandbox.faults import FaultSwitchboard
from clawswarm.sandbox.gamma.catalog import Catalog
from clawswarm.sandbox.identity.access import AccessList
from clawswarm.sandbox.identity.builder_keys import BuilderKeyRing
from clawswarm.sandbox.identity.heartbeats import HeartbeatRegister
from clawswarm.sandbox.identity.keys import ApiKey, KeyRing
from clawswarm.sandbox.identity.order_proof import OrderMessage, OrderProver
from clawswarm.sandbox.identity.sessions import SessionRegister
from clawswarm.sandbox.identity.wallets import wallets_of
from clawswarm.sandbox.notices import NoticeBoard
from clawswarm.sandbox.order_log import OrderLog
from clawswarm.sandbox.price_history import PriceHistory
from clawswarm.sandbox.prices.board import PriceBoard
from clawswarm.sandbox.prices.polybolt import PolyBoltHub
from clawswarm.sandbox.prices.rtds import RtdsHub
from clawswarm.sandbox.rest.buckets import SignerBuckets
from clawswarm.sandbox.rest.modes import EngineModes
from clawswarm.sandbox.rest.windows import WINDOW_SETS, RequestWindows
from clawswarm.sandbox.rewards.program import RewardProgram
from clawswarm.sandbox.rewards.rebates import RebateBook
from clawswarm.sandbox.settings import SandboxSettings
from clawswarm.sandbox.streams.hubs import MarketHub, UserHub
from clawswarm.sandbox.streams.outbox import Connections
from clawswarm.sandbox.trading import CancelReport, Trading

_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000
_HOUSE_GRANT_E6 = 1_000_000_000
_is_order_id = re.compile("0x[0-9a-fA-F]{64}").fullmatch

_decode_order = msgspec.json.Decoder(OrderMessage).decode


class Venue:
    """All state of the simulated Polymarket."""

    def __init__(self, settings: SandboxSettings) -> None:
        delay = SettlementDelay(
            mined_ns=settings.mined_after_ms * _NS_PER_MS,
            confirmed_ns=settings.confirmed_after_ms * _NS_PER_MS,
            retried_ns=settings.retried_after_ms * _NS_PER_MS,
            retry_share=settings.settlement_retry_share,
            fail_share=settings.settlement_fail_share,
        )
        rules = ExchangeRules(
            self_trade=settings.self_trade,
            proceeds_at=settings.proceeds_at,
            market_buy_share_decimals=settings.market_buy_share_decimals,
        )
        self.settings = settings
        self.exchange = Exchange(settings.seed, delay, rules)
        self.exchange.ledger.fund_house(_HOUSE_GRANT_E6)
        self.rewards = RewardProgram(self.exchange, settings.seed)
        self.rebates = RebateBook(self.exchange.ledger)
        self.keys = KeyRing(settings.seed, settings.clock_tolerance_s, single_key=settings.single_key)
        self.sessions = SessionRegister()
        self.access = AccessList(self.keys, self.sessions, settings.heartbeat_scope)
        self.trading = Trading(
            self.exchange, self.keys, self.access, OrderProver(self.sessions), settings.faucet_e6
        )
        self.chain = Chain(self.exchange, self.trading.account, settings.chain_lag_ms * _NS_PER_MS)
        self.relayer = Relayer(
            self.chain,
            RelayerDelays(
                executed_ns=settings.relayer_executed_after_ms * _NS_PER_MS,
                mined_ns=settings.relayer_mined_after_ms * _NS_PER_MS,
                confirmed_ns=settings.relayer_confirmed_after_ms * _NS_PER_MS,
            ),
            settings.relayer_tier,
            is_bare=settings.wallet_setup == "bare",
            seed=settings.seed,
        )
        self.builder_keys = BuilderKeyRing(settings.seed, settings.clock_tolerance_s)
        self.notices = NoticeBoard()
        self.history = PriceHistory()
        self.heartbeats = HeartbeatRegister(
            round(settings.heartbeat_timeout_s * _NS_PER_S),
            round(settings.heartbeat_sweep_s * _NS_PER_S),
            settings.seed,
        )
        self.faults = FaultSwitchboard(settings.seed)
        self.modes = EngineModes()
        self.windows = RequestWindows(WINDOW_SETS[settings.windows])
        self.buckets = SignerBuckets(settings.default_tier, settings.signer_limits)
        self.journal = EventJournal()
        self.order_log = None if settings.order_log is None else OrderLog(Path(settings.order_log))
        self.market_hub = MarketHub(settings.disorder_share, settings.seed)
        self.user_hub = UserHub(settings.seed)
        self.prices = PriceBoard()
        self.rtds = RtdsHub(self.prices)
        self.polybolt = PolyBoltHub(self.prices)
        self.connections = Connections()
        self.catalog = Catalog()
        self.payouts = Payouts(self.exchange, is_everyone=settings.auto_redeem == "everyone")
        self.on_trade: Callable[[Trade], None] | None = None
        self.on_events: Callable[[list[Event]], None] | None = None
        """Hears of everything, after the streams."""

    def publish(self, events: list[Event]) -> None:
        """Tell everyone what happened that concerns them."""
        for event in events:
            self.journal.add(event)
            if isinstance(event, LevelChanged):
                self._publish_level(event)
            elif isinstance(event, OrderChanged):
                if self.order_log is not None:
                    self.order_log.note(event)
                self.user_hub.publish(event)
                self.notices.note(event)
            elif isinstance(event, TradeUpdated):
                self.user_hub.publish(event)
                self.notices.note(event)
                self.rebates.note(event)
            else:
                self._publish_market(event)
        if events and self.on_events is not None:
            self.on_events(events)

    def _publish_level(self, event: LevelChanged) -> None:
        self.market_hub.publish(event)
        condition_id = event.market.condition_id
        bid, ask = self.market_hub.frames.books[condition_id].touch(is_yes=True)
        self.history.note(condition_id, event.at_ns // _NS_PER_S, bid, ask)
        if self.on_trade is not None and event.trade is not None:
            self.on_trade(event.trade)

    def _publish_market(self, event: MarketEvent) -> None:
        self.market_hub.publish(event)
        self.notices.note(event)
        if isinstance(event, MarketListed):
            self.catalog.note(event.market)
        elif isinstance(event, MarketResolved):
            self.payouts.note(event.market)

    def advance(self, now_ns: int) -> None:
        """Settle, pay, release, expire; cancel the orders of whose heartbeat stopped and of revoked sessions."""
        self.publish(self.exchange.advance(now_ns))
        self._recheck(self.relayer.advance(now_ns), now_ns)
        self.chain.advance(now_ns)
        self.rewards.advance(now_ns)
        self.rebates.advance(now_ns)
        self.payouts.pay_settled()
        self.trading.release()
        for scope in self.heartbeats.sweep(now_ns):
            self.publish(self.trading.cancel_scope(scope, now_ns))
        for signer in self.sessions.due_sweeps(now_ns):
            self.publish(self.trading.cancel_signer(signer.address, now_ns))
        self.market_hub.release(now_ns)
        self.user_hub.release(now_ns)

    def next_due_ns(self) -> int | None:
        """When `advance` has something to do."""
        return earliest_ns(
            self.exchange.next_due_ns(),
            self.relayer.next_due_ns(),
            self.chain.next_due_ns(),
            self.rewards.next_due_ns(),
            self.rebates.next_due_ns(),
            self.heartbeats.next_sweep_ns(),
            self.sessions.next_sweep_ns(),
            self.market_hub.disturbance.due_ns(),
            self.user_hub.disturbance.due_ns(),
        )

    # --- accounts -------------------------------------------------------------------------------

    def create_key(self, headers: Mapping[str, str], now_ns: int) -> ApiKey:
        """Issue a signer's API key; its own address and its deposit wallet are funded with its first."""
        key = self.keys.create(headers, now_ns // _NS_PER_S)
        self.trading.account(key.address)
        deposit = wallets_of(key.address).deposit
        self.trading.account(deposit)
        self.deploy_wallet(deposit)
        return key

    def deploy_wallet(self, wallet: str) -> None:
        """Put a deposit wallet on the chain, unless its owner shall do that."""
        if self.settings.wallet_setup == "ready":
            self.chain.deploy(wallet, is_bare=False)

    def refresh_balance(self, account: Account, token: str, now_ns: int) -> None:
        """Let the trading engine read a balance and the approvals of a wallet from the chain."""
        self.chain.refresh(account, token)
        self._recheck([account], now_ns)

    def beat(self, key: ApiKey, heartbeat_id: str, now_ns: int) -> str:
        """Accept a heartbeat of a key and return the id of the next one. Raises BeatRefused."""
        return self.heartbeats.beat(self.access.heartbeat_scope(key.key), heartbeat_id, now_ns)

    def revoke_session(self, address: str, now_ns: int) -> bool:
        """Take a session signer's grant and keys; its orders go a few seconds later. False when unknown."""
        sweep_ns = now_ns + round(self.settings.session_sweep_s * _NS_PER_S)
        signer = self.sessions.revoke(address, sweep_ns)
        if signer is None:
            return False
        self.keys.revoke_signer(signer.address)
        return True

    # --- orders ---------------------------------------------------------------------------------

    def place(self, key: ApiKey, body: bytes | msgspec.Raw, now_ns: int) -> Placed:
        """Check and enter one signed order."""
        if self.faults.is_geoblocked:
            raise refusals.region_restricted()
        try:
            message = _decode_order(body)
        except (msgspec.MsgspecError, RecursionError) as fault:
            raise refusals.invalid_order_payload() from fault
        self.modes.check_order(message.postOnly, now_ns)
        if self.faults.engine_errors:
            text = self.faults.engine_errors.popleft()
            raise VenueRefusal(refusals.ENGINE_FAULTS[text], text)
        placed = self.trading.place(key, message, now_ns)
        self.publish(placed.events)
        return placed

    def cancel_ids(self, key: ApiKey, order_ids: list[str], now_ns: int) -> CancelReport:
        """Cancel orders of this key by id."""
        return self._reported(self.trading.cancel_ids(key, order_ids, now_ns))

    def cancel_where(self, key: ApiKey, now_ns: int, wanted: Callable[[Order], bool]) -> CancelReport:
        """Cancel every open order of this key that `wanted` picks."""
        return self._reported(self.trading.cancel_where(key, now_ns, wanted))

    def cancel_wallet(self, key: ApiKey, order_ids: list[str] | None, now_ns: int) -> CancelReport:
        """Cancel orders of the owner's deposit wallet, None for all; owners only."""
        if order_ids is None:
            return self._reported(self.trading.cancel_wallet(key, now_ns))
        return self._reported(self.trading.cancel_wallet_ids(key, order_ids, now_ns))

    def open_customer_orders(self) -> list[Order]:
        """Open orders of everyone who is no participant."""
        return self.trading.open_customer_orders()

    def _recheck(self, accounts: list[Account], now_ns: int) -> None:
        for account in accounts:
            self.publish(self.exchange.recheck_funds(account, now_ns))

    def _reported(self, done: tuple[CancelReport, list[Event]]) -> CancelReport:
        report, events = done
        self.publish(events)
        return report


def earliest_ns(*dues: int | None) -> int | None:
    """The first of some times, None for never."""
    earliest: int | None = None
    for due in dues:
        if due is not None and (earliest is None or due < earliest):
            earliest = due
    return earliest


def check_order_id(text: object) -> str:
    """An order id as the venue accepts it in a cancel."""
    if not isinstance(text, str) or not _is_order_id(text):
        raise refusals.invalid_order_id()
    return text.lower()


def refusal_of_leg(refusal: VenueRefusal) -> dict[str, object]:
    """A rejected leg of a batch: `success` true, an error text and no id (§3.2, the live variant)."""
    return {
        "success": True,
        "errorMsg": refusal.text,
        "orderID": "",
        "status": "",
        "makingAmount": "",
        "takingAmount": "",
    }
