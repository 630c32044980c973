"""The whole Rust API on one screen: books out of frames, quotes out of book states, signed bytes out of orders,
and fills out of recorded flow.

Prices are integers in 1e-4 (`_e4`), sizes in 1e-6 shares (`_e6`), both in the YES frame; `_ms` is the venue's
clock. Source: rust/core; the binding in rust/python converts and nothing else, but for the agenda of virtual time.
"""

from asyncio import Handle, TimerHandle
from collections.abc import Callable
from contextvars import Context
from typing import Generic, Self, TypeVar, TypeVarTuple, Unpack, final

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

__all__ = [
    "Agenda",
    "BookTop",
    "Books",
    "Decision",
    "Digital",
    "Due",
    "Engine",
    "Flow",
    "Lane",
    "LetterLane",
    "Letterbox",
    "Limits",
    "MarketQuoter",
    "MarketTerms",
    "MatchingMarket",
    "OrderReport",
    "OrderSigner",
    "QuoterModel",
    "ReferencePath",
    "ReferenceReturn",
    "Replay",
    "ReplayFill",
    "RequestSigner",
    "amounts",
    "average_digital",
    "consistent",
    "digital",
    "microprice_without",
    "reward_income",
    "reward_scores",
]

@final
class BookTop:
    """Top of one book after a frame.

    `sequence` counts the changed states of this market, `epoch` resets and tick changes; `server_ms` is the
    newest server time applied in the epoch, 0 before the first; an empty side is None. `is_valid` False
    means: do not quote, `reason` why ("no snapshot", "tick change", "crossed"); the features of the levels are
    None then. `bids` and `asks` are the best three as (price_e4, size_e6).

    `order_flow` and `trade_flow` are in shares and halve every second, `volatility` is the belief's in logits
    per √s, `sweep` the last one as (aggressor's side, size_e6, received_ns). `fingerprint` is shared by equal
    books alone.
    `touch_doubt_ns` and `hash_doubt_ns` say since when the venue's own best prices and hash differ from this book,
    `proven_ms` the server time at which the hash last agreed, 0 before the first.
    """

    @property
    def market(self) -> str: ...
    @property
    def sequence(self) -> int: ...
    @property
    def epoch(self) -> int: ...
    @property
    def received_ns(self) -> int: ...
    @property
    def server_ms(self) -> int: ...
    @property
    def tick_e4(self) -> int: ...
    @property
    def bids(self) -> list[tuple[int, int]]: ...
    @property
    def asks(self) -> list[tuple[int, int]]: ...
    @property
    def bid_e4(self) -> int | None: ...
    @property
    def bid_size_e6(self) -> int | None: ...
    @property
    def ask_e4(self) -> int | None: ...
    @property
    def ask_size_e6(self) -> int | None: ...
    @property
    def microprice(self) -> float | None: ...
    @property
    def imbalance(self) -> float | None: ...
    @property
    def depth_imbalance(self) -> float | None: ...
    @property
    def order_flow(self) -> float: ...
    @property
    def trade_flow(self) -> float: ...
    @property
    def volatility(self) -> float | None: ...
    @property
    def sweep(self) -> tuple[str, int, int] | None: ...
    @property
    def winner(self) -> str | None: ...
    @property
    def fingerprint(self) -> int: ...
    @property
    def touch_doubt_ns(self) -> int | None: ...
    @property
    def hash_doubt_ns(self) -> int | None: ...
    @property
    def proven_ms(self) -> int: ...
    @property
    def is_valid(self) -> bool: ...
    @property
    def reason(self) -> str | None: ...

@final
class Books:
    """The books of all markets of one feed, fed by its frames."""

    def __new__(cls) -> Self: ...
    def add_market(
        self,
        condition_id: str,
        yes_token: str,
        no_token: str,
        tick_e4: int,
        min_size_e6: int | None = None,
        is_neg_risk: bool = False,
    ) -> None:
        """Hold a market from now on; ValueError when it or a token is held already or the tick is none.

        Its hashes are compared only when its smallest order is given: they cover it, and no frame says it.
        """

    def remove_market(self, condition_id: str) -> None:
        """Stop holding a market; KeyError when it is not held."""

    def reset(self) -> None:
        """The connection is lost: every book waits for its next snapshot in a new epoch."""

    def reset_market(self, condition_id: str) -> None:
        """The same for one market; KeyError when it is not held."""

    def apply(self, frame: bytes, received_ns: int) -> bool:
        """Decode and apply one frame, all of it or nothing; ValueError says what is wrong with it.

        Returns whether it changed the state of a market; `changed` says what it is.
        """

    def changed(self) -> list[BookTop]:
        """The state of every market that changed since the last call, whatever lay between."""

    def apply_listing(self, body: bytes, received_ns: int) -> list[str]:
        """Apply books as REST lists them; the markets that were not as those books say."""

    def compare(self) -> list[str]:
        """Compare the newest hash of every market that changed; the markets whose doubts are others now."""

    def silent(self, now_ns: int, factor: float, least_ns: int) -> list[str]:
        """Markets silent for longer than `factor` times their longest usual gap, and than `least_ns`."""

    def next_silence_ns(self, now_ns: int, factor: float, least_ns: int) -> int | None:
        """Until when no other market will be silent in that sense; None when only those can be that are."""

    def spoke_ns(self, condition_id: str) -> int | None:
        """When the stream last brought a change or a trade of a market; KeyError when it is not held."""

    def book_hash(
        self, condition_id: str, is_yes: bool, server_ms: int, last_trade_e4: int | None
    ) -> str | None:
        """The hash of a token's book as it is now; None when the smallest order is unknown."""

    @property
    def hashes_compared(self) -> tuple[int, int]:
        """How many hashes agreed and how many differed, over the markets held now."""

    def top(self, condition_id: str) -> BookTop:
        """The current top of one book; KeyError when it is not held."""

    def levels(self, condition_id: str, depth: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """The best bids and asks as (price_e4, size_e6), best first; KeyError when the market is not held."""

    @property
    def ignored_events(self) -> int:
        """Events so far of an unknown type or about a market or token that is not held."""

@final
class ReferenceReturn:
    """Log returns of a reference price over a span of its own clock."""

    def __new__(cls, span_ms: int) -> Self: ...
    def take(self, value_e6: int, source_ms: int) -> float | None:
        """Take a price; the return since the last one that is at least the span older, None without one."""

def microprice_without(
    bids: list[tuple[int, int]], asks: list[tuple[int, int]], own: list[tuple[bool, int, int]]
) -> float | None:
    """Microprice of levels (price_e4, size_e6), best first, without own orders (is buy, price_e4, size_e6)."""

@final
class Digital:
    """Probability of YES; `delta` and `gamma` per USD of the spot, `vega` per unit of the volatility given."""

    @property
    def probability(self) -> float: ...
    @property
    def delta(self) -> float: ...
    @property
    def gamma(self) -> float: ...
    @property
    def vega(self) -> float: ...

def digital(spot_usd: float, strike_usd: float, volatility: float, to_close_s: float) -> Digital:
    """Value when the price at the close settles (log-normal); `volatility` is relative, per √s.

    ValueError when a number is not positive or the window has ended. Formula: rust/core/src/quoting/digital.rs.
    """

def average_digital(
    spot_usd: float,
    volatility_usd: float,
    to_close_s: float,
    window_s: float,
    span_s: float | None = None,
    strike_usd: float | None = None,
    final_usd: float | None = None,
) -> Digital:
    """Value when the average over the last `window_s` seconds settles (Bachelier); volatility in USD per √s.

    `span_s` is from the strike's instant to the close, None when the strike is a listed number. `strike_usd` is
    the strike, or its average so far while it forms; `final_usd` the final average so far. ValueError when a
    number is not positive, the window has ended or an average that is needed is None.
    """

def consistent(logits: list[float], variances: list[float]) -> list[float]:
    """Logits of exclusive outcomes, moved by λ·variance so that their probabilities sum to one.

    ValueError with fewer than two, or a number that is not finite or a variance that is not positive.
    """

def reward_income(
    daily_usd: float, score_one: float, score_two: float, others: float, midpoint_e4: float
) -> float:
    """USD per second that the scores Q_one and Q_two earn beside the Q_min of all others (polymarket.md §8)."""

def reward_scores(
    max_spread_e4: float,
    min_size_e6: int,
    midpoint_e4: float,
    bids: list[tuple[int, int]],
    asks: list[tuple[int, int]],
) -> tuple[float, float, float]:
    """Q_one, Q_two and Q_min of orders as (price_e4, size_e6)."""

@final
class ReferencePath:
    """The price of an underlying over its stream's own time, twenty minutes of it."""

    def __new__(cls) -> Self: ...
    def take(self, usd: float, source_ms: int) -> bool:
        """Take a price; False when it is unusable or not newer than the last."""
    @property
    def last(self) -> tuple[int, float] | None:
        """Time and value of the last price."""
    @property
    def volatility(self) -> float | None:
        """Relative, per √s; None before it is known."""
    def at(self, at_ms: int) -> float | None:
        """The price in force at a time."""
    def average(self, from_ms: int, to_ms: int) -> float | None:
        """The average over (from, to]; None when more than a tenth of it was not seen."""
    def log_return(self, span_ms: int) -> float | None:
        """Over the last `span_ms`."""

@final
class QuoterModel:
    """Parameters of the built-in strategy, named as in agents/quoter/pricing.py; ValueError out of range."""

    def __new__(
        cls,
        *,
        risk_aversion: float,
        holding_s: float,
        fill_decay: float,
        fill_rate: float,
        queue_shares: float,
        rest_s: float,
        skew: float,
        widen_linear: float,
        widen_quadratic: float,
        uncertainty_weight: float,
        cost: float,
        pick_off: float,
        presence: float,
        informed_prior: float,
        reduce_only: float,
        change_usd: float,
        widen_s: float,
        withdraw_s: float,
        pull_s: float,
        jump_sigmas: float,
    ) -> Self: ...

@final
class MarketTerms:
    """What does not change about a market; `rule` is "event", "price" or "unknown".

    `rewards` is (USD a day, smallest size_e6, largest distance_e4, least age in s).
    """

    def __new__(
        cls,
        *,
        rule: str,
        closes_ms: int | None,
        min_size_e6: int,
        rebate: float,
        window_s: float = 0.0,
        opens_ms: int | None = None,
        strike_usd: float | None = None,
        rewards: tuple[float, int, float, float] | None = None,
    ) -> Self: ...
    def value(self, path: ReferencePath, venue_ms: int) -> Digital | None:
        """What the underlying says of it; None when the rule, the strike or the price is not known."""

@final
class Decision:
    """Targets as (price_e4, size_e6, whether it rests already, gain in USD), or the reason for neither.

    The gain is what placing it brings over its rest beyond what rests already.

    `fair`, `uncertainty`, `volatility` (per √s), `reservation` and the half-spreads (bid, ask) are in logits and
    None with a reason; `value` and `reward` are USD per second.
    """

    @property
    def bid(self) -> tuple[int, int, bool, float] | None: ...
    @property
    def ask(self) -> tuple[int, int, bool, float] | None: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def fair(self) -> float | None: ...
    @property
    def uncertainty(self) -> float | None: ...
    @property
    def volatility(self) -> float | None: ...
    @property
    def reservation(self) -> float | None: ...
    @property
    def break_even(self) -> tuple[float, float] | None: ...
    @property
    def half_spread(self) -> tuple[float, float] | None: ...
    @property
    def value(self) -> float: ...
    @property
    def reward(self) -> float: ...
    @property
    def keeps_orders(self) -> bool:
        """Whether every order that rests is to stay as it is and none is new."""

@final
class MarketQuoter:
    """The quoter of one market. Formulas: rust/core/src/quoting/{belief,spread,rewards,toxicity,quoter}.rs."""

    def __new__(cls, model: QuoterModel) -> Self: ...
    def take_fill(self, is_buy: bool, now_ns: int) -> None:
        """One of our orders traded."""
    @property
    def informed(self) -> tuple[float, float]:
        """μ̂ of those who meet our bids and our asks."""
    @property
    def weights(self) -> tuple[float, float]:
        """How far flow and the underlying are believed, in [0, 1]."""
    def decide(
        self,
        terms: MarketTerms,
        now_ns: int,
        venue_ms: int,
        bids: tuple[tuple[int, int], ...],
        asks: tuple[tuple[int, int], ...],
        tick_e4: int,
        flow_shares: float,
        sweep: tuple[str, int, int] | None,
        doubt: float,
        net_e6: int,
        max_position_e6: int,
        order_size_e6: int,
        capital_e6: int,
        own: tuple[tuple[bool, int, int], ...],
        reference: ReferencePath | None,
        shift: float,
        order_token_usd: float,
        cancel_token_usd: float,
        is_reduce_only: bool,
    ) -> Decision:
        """What should rest now; ValueError when the tick does not fit its type."""

@final
class OrderSigner:
    """One account that signs orders and logins; no text of it shows its key.

    `signature_type` 0 account, 1 proxy, 2 safe, 3 deposit wallet; `funder` is the wallet, None for type 0;
    `session`: the key is a session signer of the deposit wallet. ValueError when they do not go together.
    """

    def __new__(
        cls,
        private_key: bytes,
        chain_id: int,
        signature_type: int,
        funder: str | None,
        session: bool = False,
    ) -> Self: ...
    @property
    def address(self) -> str:
        """Checksummed address of the key."""

    def sign_order(
        self,
        token_id: str,
        side: str,
        maker_amount: int,
        taker_amount: int,
        salt: int,
        timestamp_ms: int,
        neg_risk: bool,
        api_key: str,
        post_only: bool,
        order_type: str,
        expiration_s: int,
    ) -> tuple[str, bytes]:
        """Order id and body of `POST /order`; amounts in 1e-6, `expiration_s` 0 unless the type is GTD.

        ValueError when the venue would refuse its form, OverflowError when a number is beyond 64 bits.
        """

    def sign_batch(self, nonce: int, deadline_s: int, calls: list[tuple[str, str, bool, int]]) -> str:
        """Signature of a deposit wallet's batch of calls ("merge" or "redeem", condition id, neg-risk, pairs_e6).

        ValueError when the account is no deposit wallet of this key, or the batch is none.
        """

    def login_headers(self, timestamp_s: int, nonce: int) -> dict[str, str]:
        """L1 headers, for the key endpoints alone."""

@final
class RequestSigner:
    """One API key that signs requests, keyed once; no text of it shows secret or passphrase.

    `secret` in either base64 alphabet, padded or not. ValueError when a part cannot stand in a header or the
    secret is not base64.
    """

    def __new__(cls, address: str, api_key: str, secret: str, passphrase: str) -> Self: ...
    def headers(self, method: str, path: str, body: bytes, timestamp_s: int) -> dict[str, str]:
        """L2 headers of one request as the engine sends them; `method` in capitals, `path` without query."""

def amounts(price_e4: int, size_e6: int, side: str, tick_e4: int) -> tuple[int, int]:
    """Maker and taker amount of a limit order in 1e-6, the size rounded down to hundredths of a share.

    ValueError when the price is off the grid, the tick none, or nothing is left of the size.
    """

@final
class Limits:
    """What may still be sent: windows of requests, buckets of orders and cancels, cancels first.

    `place_requests` are the windows of 10 s and 600 s; a request may arrive `jitter_ns` earlier or later than
    planned. What is asked for is paid for when it is allowed; a refusal costs nothing. `open` counts the orders
    open or under way. Rules and sources: rust/core/src/limits.
    """

    def __new__(cls, tier: str, place_requests: tuple[int, int], jitter_ns: int, now_ns: int) -> Self: ...
    def place(self, orders: int, open: int, now_ns: int) -> str | None:
        """Pay for one place request; the limit it meets when it may not be sent."""

    def cancel(self, orders: int, now_ns: int) -> str | None:
        """Pay for one cancel by id in the course of trading; the limit it meets when it may not be sent."""

    def withdraw(self, orders: int, open: int, now_ns: int) -> str | None:
        """Pay for withdrawing orders that must go: "ids", or "all" (a cancel-all) where tokens lack.

        None only with nothing open, in the debt of an earlier cancel-all, or with a window full to the brim.
        """

    def withdraw_all(self, open: int, now_ns: int) -> bool:
        """Pay for one cancel-all; False in debt, or with its window full to the brim."""

    def settle(self, expected: int, cancelled: int, now_ns: int) -> None:
        """A cancel-all that paid for `expected` orders has cancelled so many."""

    def correct(
        self,
        is_cancel: bool,
        remaining: str | None,
        reset: str | None,
        tier: str | None,
        is_refused: bool,
        venue_ms: int,
        now_ns: int,
    ) -> None:
        """Take in the Poly-RateLimit headers of an answer (`is_refused`: 429); unreadable ones are ignored."""

    def shadow_price(self, now_ns: int) -> float:
        """What an order token is worth: 0 when all are left, 1 at half, rising as they go."""

    @property
    def highest_places(self) -> tuple[int, int]:
        """The most place requests counted in 10 s and in 600 s."""

    def tokens(self, now_ns: int) -> tuple[int, int]:
        """Whole order and cancel tokens left, less the headroom; negative in debt."""

    @property
    def tier(self) -> str:
        """The tier in force."""

@final
class Engine:
    """The execution engine's state machine, as `claw-engine` runs it; time is given, nothing is sent.

    Messages are msgpack, typed in lab/engine_machine.py. ValueError when one cannot be read. A key given to it
    is for tests and simulation alone.
    """

    @staticmethod
    def start(private_key: bytes, start: bytes, now_ns: int) -> tuple[Engine, bytes]:
        """The machine of an account that has just logged in, and its first actions."""

    def handle(self, event: bytes, now_ns: int) -> bytes:
        """Take in one event; the actions to carry out, in order."""

    @property
    def next_wake_ns(self) -> int | None:
        """When the next tick must come at the latest; None when the usual ones are enough."""

    def beat(self, name: str, pid: int, now_ns: int) -> bytes:
        """Pulse and counters."""

    def open_orders(self) -> bytes:
        """Every order that is or may be open."""

    def unknown(self, order_ids: list[str]) -> list[str]:
        """Which of these orders it does not know as open, or possibly open."""

    def held(self, market: str) -> bytes:
        """What is held in a market."""

@final
class Guard:
    """The guard's state machine, as `claw-guard` runs it; engines are numbers, time is given, nothing is sent.

    Each call returns what to do, in order: (kind, number, text), where kind is "arm", "echo", "kill" (number: the
    engine), "cancel all", "list", "warn" (text: why), "report" (orders, cause) or "exit" (code).
    """

    def __new__(cls, silence_ns: int) -> Self: ...
    @property
    def state(self) -> str:
        """One word on what it does."""

    def hear(self, word: str, engine: int, now_ns: int) -> list[tuple[str, int, str]]:
        """An engine says hello, tick or leaving, or is closed; ValueError for another word."""

    def look(self, now_ns: int) -> list[tuple[str, int, str]]:
        """Time has passed."""

    def dead(self, now_ns: int) -> list[tuple[str, int, str]]:
        """The killed engine is dead."""

    def cancelled(self, count: int | None, now_ns: int) -> list[tuple[str, int, str]]:
        """The venue cancelled so many orders; None: it did not."""

    def listed(self, count: int | None, now_ns: int) -> list[tuple[str, int, str]]:
        """The venue lists so many open orders; None: it does not."""

@final
class Flow:
    """A recording as the venue meets it, in order of time; ValueError for an older event, a bad price or tick.

    It cannot grow any more while a Replay of it exists.
    """

    def __new__(cls) -> Self: ...
    def levels(self, at_ns: int, changes: list[tuple[int, int, int]]) -> None:
        """Append new aggregates of levels: (side 0 bid or 1 ask, price_e4, size_e6; 0 removes the level)."""

    def taker(self, at_ns: int, side: str, size_e6: int, limit_e4: int) -> None:
        """Append someone who trades at once, up to a limit; `side` is "BUY" or "SELL"."""

    def reference(self, at_ns: int, value_e6: int) -> None:
        """Append a price of the underlying in 1e-6 USD."""

    def tick(self, at_ns: int, tick_e4: int) -> None:
        """Append a change of the tick."""

    def __len__(self) -> int: ...

@final
class OrderReport:
    """What a strategy is told about an order: `state` "live", "filled" (a part), "cancelled" or "refused".

    Price and size are those of the fill, None for the other states; `reason` is set for "refused".
    """

    @property
    def order(self) -> int: ...
    @property
    def state(self) -> str: ...
    @property
    def price_e4(self) -> int | None: ...
    @property
    def size_e6(self) -> int | None: ...
    @property
    def remaining_e6(self) -> int: ...
    @property
    def reason(self) -> str | None: ...

@final
class ReplayFill:
    """One fill, by the venue's time."""

    @property
    def order(self) -> int: ...
    @property
    def side(self) -> str: ...
    @property
    def price_e4(self) -> int: ...
    @property
    def size_e6(self) -> int: ...
    @property
    def is_maker(self) -> bool: ...
    @property
    def venue_ns(self) -> int: ...

@final
class Replay:
    """One run of a flow against one strategy, on virtual time, with latency both ways (rust/core/src/matching)."""

    def __new__(
        cls,
        flow: Flow,
        *,
        tick_e4: int,
        min_size_e6: int,
        ends_ns: int,
        taker_delay_ns: int = 0,
        feed_ns: int = 0,
        order_ns: int = 0,
        jitter_ns: int = 0,
        seed: int = 0,
    ) -> Self: ...
    def step(self) -> int:
        """Let time pass until something is seen: 1 book, 2 own order, 3 trade, 4 reference; 0 at the end."""

    def place(self, side: str, price_e4: int, size_e6: int, is_post_only: bool) -> int:
        """Send an order; returns the number it will have."""

    def cancel(self, order: int) -> None:
        """Send the cancel of an order."""

    @property
    def now_ns(self) -> int:
        """The strategy's time."""

    @property
    def bid_e4(self) -> int | None: ...
    @property
    def ask_e4(self) -> int | None: ...
    @property
    def top(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]], int]:
        """Best bids and asks as (price_e4, size_e6), as many as a sentinel shows, and the tick, as seen."""

    @property
    def features(
        self,
    ) -> tuple[
        float | None, float | None, float | None, float, float, float | None, tuple[str, int, int] | None
    ]:
        """Microprice, imbalances, flows, volatility and sweep of a `BookState`, in its order."""

    @property
    def report(self) -> OrderReport | None:
        """What the last step that returned 2 was about."""

    @property
    def reference_e6(self) -> int | None:
        """The newest price of the underlying."""

    @property
    def fills(self) -> list[ReplayFill]:
        """Every fill so far."""

    @property
    def quoted_ns(self) -> int:
        """How long our orders have rested on both sides."""

    def ahead_e6(self, order: int) -> int | None:
        """Shares that stand before one of our orders at the venue; None when it does not rest."""

@final
class MatchingMarket:
    """The venue's side of one market without latency; calls return what happened, in order, as tuples

    (kind, order, side, price_e4, size_e6, remaining_e6), where kind is "level", "traded", "made", "took",
    "rested", "held", "cancelled" or the reason of a refusal, and what does not apply is 0 or "".
    """

    def __new__(cls, tick_e4: int, min_size_e6: int, taker_delay_ns: int) -> Self: ...
    def follow(self, changes: list[tuple[int, int, int]]) -> list[tuple[str, int, str, int, int, int]]:
        """Make the public book equal to the recorded one."""

    def take(
        self, side: str, size_e6: int, limit_e4: int, now_ns: int
    ) -> list[tuple[str, int, str, int, int, int]]:
        """Someone trades at once, up to a limit."""

    def place(
        self, side: str, price_e4: int, size_e6: int, is_post_only: bool, now_ns: int
    ) -> list[tuple[str, int, str, int, int, int]]:
        """Admit one order of ours; it is numbered by the count of those before it."""

    def cancel(self, order: int) -> list[tuple[str, int, str, int, int, int]]:
        """Withdraw one order of ours."""

    def advance(self, now_ns: int) -> list[tuple[str, int, str, int, int, int]]:
        """Let everything held until a time meet the book."""

    def ahead_e6(self, order: int) -> int | None:
        """Shares that stand before one of our orders; None when it does not rest."""

class Agenda:
    """The half of an asyncio event loop that knows what is to be called when, on virtual time.

    Its clock begins at `began_ns`; equal times keep their order. The handles it gives are each a `Due`.
    """

    def __new__(cls, began_ns: int) -> Self: ...
    @property
    def elapsed_ns(self) -> int:
        """How much time has passed."""

    def time(self) -> float:
        """Seconds since the beginning."""

    def now_ns(self) -> int:
        """The time, on everybody's clock."""

    def wall_ms(self) -> int:
        """The same in ms."""

    def call_soon(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> Handle:
        """Run a callback after everything that is ready already."""

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> TimerHandle:
        """Run a callback at a time."""

    def call_later(
        self,
        delay: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> TimerHandle:
        """Run a callback so many seconds from now."""

    def turn(self) -> None:
        """Run everything that is ready, and whenever nothing is, the next timer, until `end_turn`.

        A callback's failure goes to `call_exception_handler`. RuntimeError when nothing can happen any more.
        """

    def end_turn(self) -> None:
        """End `turn` after the present callback."""

@final
class Due:
    """A callback, its context and its time: what asyncio calls a handle."""

    def cancel(self) -> None:
        """It is left out when its time comes."""

    def cancelled(self) -> bool:
        """Whether it is left out."""

    def when(self) -> float:
        """Its time."""

@final
class Lane(Generic[T]):
    """Items from one to another in their order, each after its delay; they arrive in the receiver's context."""

    def __new__(cls, agenda: Agenda, deliver: Callable[[T], object], context: Context) -> Self: ...
    def put(self, item: T, delay_s: float, not_before_s: float = 0.0) -> None:
        """Send one item."""

@final
class Letterbox(Generic[T]):
    """What is on its way to whom it does not wake: it is handed over when the reader looks.

    Of those who look seldom it keeps the newest 64 items: what has arrived by then is handed over before.
    """

    def __new__(cls, agenda: Agenda) -> Self: ...
    def collect(self) -> None:
        """Hand over everything that has arrived, in that order."""

@final
class LetterLane(Generic[T]):
    """A lane into a letterbox."""

    def __new__(cls, letterbox: Letterbox[T], deliver: Callable[[T], object]) -> Self: ...
    def put(self, item: T, delay_s: float, not_before_s: float = 0.0) -> None:
        """Send one item."""
