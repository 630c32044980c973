"""Frames of the market channel → BookState messages, with how far each may be believed. Pure around `_core.Books`.

The mathematics (decode, unified YES-frame book, witnesses, features) is Rust; here is the naming of things, the
evidence of each market and what to ask the venue.
"""

from collections.abc import Iterable, Sequence

import msgspec

from clawswarm._core import Books, BookTop
from clawswarm.agents.sentinel.integrity import (
    DEAF_GRACE_NS,
    QUIET_AFTER_DEAF_NS,
    SILENCE_FACTOR,
    SILENCE_LEAST_NS,
    Evidence,
    Verdict,
    are_hashes_known,
    judge,
    must_ask,
)
from clawswarm.agents.sentinel.shards import Shards, tokens_of
from clawswarm.model.instruments import Market
from clawswarm.model.messages import BookState

RESOLVED = "resolved"
CROSSED = "crossed"
TICK_CHANGE = "tick change"


class ShardChange(msgspec.Struct, frozen=True):
    """Tokens that join and leave one connection."""

    joined: list[str]
    left: list[str]


class SentinelBooks:
    """All books of one sentinel."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._books = Books()
        self._shards = Shards()
        self._markets: dict[str, Market] = {}
        self._evidence: dict[str, Evidence] = {}
        self._open: set[str] = set()
        self._are_hashes_known = True
        self.losses = 0
        """Connections lost so far; an answer to what was asked before the last one is not for these books."""
        self.is_urgent = False
        """Whether there is something to ask at once."""

    # --- what is watched ------------------------------------------------------------------------

    def watch(self, markets: Iterable[Market]) -> dict[int, ShardChange]:
        """Make `markets` the watched set; what changes on which connection."""
        wanted = {market.condition_id: market for market in markets}
        changes: dict[int, ShardChange] = {}
        for key in [key for key in self._markets if key not in wanted]:
            gone = self._markets.pop(key)
            self._books.remove_market(key)
            del self._evidence[key]
            self._open.discard(key)
            change = changes.setdefault(self._shards.leave(key), ShardChange([], []))
            change.left.extend(tokens_of([gone]))
        for key, market in wanted.items():
            if key in self._markets:
                continue
            self._books.add_market(
                key, market.yes_token, market.no_token, market.tick_e4, market.min_size_e6, market.neg_risk
            )
            self._markets[key], self._evidence[key] = market, Evidence()
            change = changes.setdefault(self._shards.join(market), ShardChange([], []))
            change.joined.extend(tokens_of([market]))
        return changes

    def token_ids(self, shard: int) -> list[str]:
        """Both tokens of every market of one connection."""
        return self._shards.token_ids(shard)

    def tokens_of(self, markets: Iterable[str]) -> list[str]:
        """Both tokens of some watched markets."""
        return tokens_of(self._markets[key] for key in markets if key in self._markets)

    def shards_of(self, markets: Iterable[str]) -> dict[int, list[str]]:
        """Some watched markets by connection."""
        found: dict[int, list[str]] = {}
        for key in markets:
            if (shard := self._shards.shard_of(key)) is not None:
                found.setdefault(shard, []).append(key)
        return found

    @property
    def shard_count(self) -> int:
        """How many connections are needed."""
        return self._shards.count

    @property
    def markets(self) -> list[str]:
        """Condition ids of the watched markets."""
        return list(self._markets)

    @property
    def count(self) -> int:
        """How many markets are watched."""
        return len(self._markets)

    @property
    def counters(self) -> dict[str, float]:
        """Running totals of the witnesses."""
        agreed, differed = self._books.hashes_compared
        return {"hashes_agreed": float(agreed), "hashes_differed": float(differed)}

    # --- what comes -----------------------------------------------------------------------------

    def apply(self, frame: bytes, received_ns: int) -> bool:
        """Take one frame; whether `changed` has something to say. Raises ValueError on what is no frame."""
        return self._books.apply(frame, received_ns)

    def changed(self, now_ns: int) -> list[BookState]:
        """The newest state of every market that changed since the last call, whatever lay between."""
        states = []
        for top in self._books.changed():
            self._note(top, now_ns)
            states.append(self._state(top, now_ns))
        return states

    def apply_listing(self, body: bytes, asked: Sequence[str], now_ns: int) -> list[BookState]:
        """Take the books that were asked for; the states that change. Raises ValueError when they are none.

        What differs from a silent stream's book was missed by it: such a market is deaf until the stream speaks,
        or until nothing has differed for a second.
        """
        differing = self._books.apply_listing(body, now_ns)
        for key in asked:
            if (evidence := self._evidence.get(key)) is not None:
                if evidence.is_unheard and key in differing:
                    evidence.differed_ns, evidence.asks = now_ns, 0
                    if evidence.deaf_ns is None:
                        evidence.deaf_ns = now_ns
                elif evidence.deaf_ns is not None and now_ns - evidence.differed_ns >= QUIET_AFTER_DEAF_NS:
                    evidence.deaf_ns = None
                evidence.silent_ns = None
                if not evidence.is_open:
                    evidence.asked_ns, evidence.asks = None, 0
        return self.changed(now_ns) + self.review(now_ns)

    def disconnect(self, shard: int) -> list[BookState]:
        """A connection is gone: its books are invalid until their next snapshot; the states that say so."""
        states = []
        self.losses += 1
        for key in self._shards.markets(shard):
            self._books.reset_market(key)
            self._evidence[key] = Evidence()
            states.append(self._state(self._books.top(key), 0))
        return states

    def review(self, now_ns: int) -> list[BookState]:
        """Weigh the evidence again; the states that are believed more or less than was last said.

        Call it every few milliseconds: doubts ripen by time alone.
        """
        for key in self._books.compare():
            self._note(self._books.top(key), now_ns)
        self._are_hashes_known = are_hashes_known(*self._books.hashes_compared)
        for key in self._books.silent(now_ns, SILENCE_FACTOR, SILENCE_LEAST_NS):
            evidence = self._evidence[key]
            if not evidence.is_unheard and self._books.top(key).winner is None:
                evidence.silent_ns = now_ns
                self._open.add(key)
        states = []
        for key in list(self._open):
            evidence = self._evidence[key]
            self._hear(key)
            if self._verdict(evidence, now_ns) != evidence.said:
                states.append(self._state(self._books.top(key), now_ns))
            if not evidence.is_open:
                self._open.discard(key)
                evidence.asked_ns, evidence.asks = None, 0
        return states

    def to_ask(self, now_ns: int) -> list[str]:
        """Markets whose book the venue should be asked for now; they count as asked."""
        self.is_urgent = False
        asked = []
        for key in self._open:
            evidence = self._evidence[key]
            if must_ask(evidence, now_ns, self._are_hashes_known):
                evidence.asked_ns, evidence.asks = now_ns, evidence.asks + 1
                asked.append(key)
        return asked

    def want_snapshot(self, market: str, now_ns: int) -> bool:
        """Someone else doubts this book: whether it is watched, and so will be asked for."""
        evidence = self._evidence.get(market)
        if evidence is None:
            return False
        if not evidence.is_unheard:
            # Like a silence: doubtful until the venue's own book says otherwise.
            evidence.silent_ns = now_ns
        self._open.add(market)
        return True

    def deaf(self, now_ns: int) -> list[str]:
        """Markets whose stream misses what the venue's own book shows."""
        return [key for key in self._open if self._is_deaf(key, now_ns)]

    def _is_deaf(self, key: str, now_ns: int) -> bool:
        deaf_ns = self._evidence[key].deaf_ns
        return deaf_ns is not None and now_ns - deaf_ns >= DEAF_GRACE_NS

    def is_mostly_deaf(self, shard: int, now_ns: int) -> bool:
        """Whether a connection misses most of what its markets do."""
        held = self._shards.markets(shard)
        return 2 * sum(self._is_deaf(key, now_ns) for key in held) > len(held)

    @property
    def has_doubts(self) -> bool:
        """Whether time alone can change what is believed of a market."""
        return bool(self._open)

    def next_silence_ns(self, now_ns: int) -> int | None:
        """Until when no market falls silent that is not; None when none can."""
        return self._books.next_silence_ns(now_ns, SILENCE_FACTOR, SILENCE_LEAST_NS)

    @property
    def doubtful(self) -> int:
        """How many markets are not wholly believed."""
        said = (evidence.said for evidence in self._evidence.values())
        return sum(verdict is not None and verdict.reason is not None for verdict in said)

    def _hear(self, key: str) -> None:
        """Silence and deafness end with the stream's next word."""
        evidence = self._evidence[key]
        since_ns = evidence.deaf_ns if evidence.deaf_ns is not None else evidence.silent_ns
        spoke_ns = self._books.spoke_ns(key) if since_ns is not None else None
        if since_ns is not None and spoke_ns is not None and spoke_ns > since_ns:
            evidence.silent_ns = evidence.deaf_ns = None

    def _note(self, top: BookTop, now_ns: int) -> None:
        evidence = self._evidence[top.market]
        evidence.touch_doubt_ns, evidence.hash_doubt_ns = top.touch_doubt_ns, top.hash_doubt_ns
        if top.reason != CROSSED:
            evidence.crossed_ns = None
        elif evidence.crossed_ns is None:
            evidence.crossed_ns = now_ns
        if top.reason != TICK_CHANGE:
            evidence.void_ns = None
        elif evidence.void_ns is None:
            evidence.void_ns, evidence.asked_ns, evidence.asks = now_ns, None, 0
            self.is_urgent = True
        if evidence.is_open:
            self._open.add(top.market)

    def _verdict(self, evidence: Evidence, now_ns: int) -> Verdict:
        return judge(evidence, now_ns, self._are_hashes_known)

    def _state(self, top: BookTop, now_ns: int) -> BookState:
        key = top.market
        evidence = self._evidence[key]
        verdict = evidence.said = self._verdict(evidence, now_ns)
        is_resolved = top.winner is not None
        is_valid = top.is_valid and not is_resolved
        reason = RESOLVED if is_resolved else top.reason if not top.is_valid else verdict.reason
        sweep = top.sweep
        return BookState(
            market=key,
            source=self._source,
            sequence=top.sequence,
            epoch=top.epoch,
            received_ns=top.received_ns,
            server_ms=top.server_ms,
            tick_e4=top.tick_e4,
            bid_e4=top.bid_e4,
            bid_size_e6=top.bid_size_e6,
            ask_e4=top.ask_e4,
            ask_size_e6=top.ask_size_e6,
            bids=tuple(top.bids),
            asks=tuple(top.asks),
            microprice=top.microprice if is_valid else None,
            imbalance=top.imbalance if is_valid else None,
            depth_imbalance=top.depth_imbalance if is_valid else None,
            order_flow=top.order_flow,
            trade_flow=top.trade_flow,
            volatility=top.volatility,
            sweep=sweep,
            fingerprint=top.fingerprint,
            proven_ms=top.proven_ms,
            integrity=verdict.integrity,
            is_valid=is_valid,
            reason=reason,
        )
