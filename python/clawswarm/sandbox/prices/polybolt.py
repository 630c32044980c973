"""The current price stream, PolyBolt (polymarket.md §5.5): keys, snapshots, sequence numbers, limits. Pure.

One `PolyBoltSession` for each connection: a client's frame in, answers and at last a close code out. Answers to
the entries of a subscribe frame come one for each entry, in the order of the request. A client that is too slow
loses frames (`dropped` counts them in the next one) before it loses the connection.
"""

from collections import deque
from collections.abc import Callable
from typing import Literal

import msgspec

from clawswarm.sandbox.prices.board import HISTORY_S, PriceBoard
from clawswarm.sandbox.prices.feeds import ONE_USD_E18, Report, Source
from clawswarm.sandbox.streams.outbox import Outbox

CLOSE_AUTH, CLOSE_SLOW, CLOSE_DRAINING, CLOSE_POLICY = 4001, 4002, 4003, 4008
MOST_SUBSCRIPTIONS = 64
SUBSCRIBE_FRAMES_PER_S = 20
LARGEST_FRAME_BYTES = 64 * 1024
MOST_AUTH_FRAMES = 8
PING_EVERY_S = 25.0
MISSED_PINGS = 2
QUEUE_LIMIT = 1_000
_WINDOW_S = 60
_TOO_MANY_FRAMES = 5

Refusal = Literal[
    "bad_op",
    "bad_channel",
    "bad_filter",
    "sub_limit",
    "rate_limited",
    "auth_required",
    "auth_unavailable",
    "auth_expired",
    "auth_attempts",
    "auth_invalid",
]
_CHANNELS = ("price.crypto", "price.crypto.twap", "price.equity", "price.equity.twap", "price.polymarket")
_PUBLIC = ("price.polymarket",)


class Credentials(msgspec.Struct):
    """What an auth frame carries; never printed."""

    apiKey: str  # noqa: N815 - the wire's spelling
    secret: str
    passphrase: str

    def __repr__(self) -> str:
        return "Credentials(…)"


class _Filter(msgspec.Struct):
    symbol: str | None = None
    provider: str | None = None
    window_seconds: int | None = None


class _Entry(msgspec.Struct):
    channel: str = ""
    filter: _Filter = msgspec.field(default_factory=_Filter)


class _Message(msgspec.Struct):
    op: str = ""
    rid: str | None = None
    auth: Credentials | None = None
    subscriptions: list[_Entry] = []


class Wanted(msgspec.Struct, frozen=True):
    """One subscription; `source` None is a channel that has nothing to say here."""

    channel: str
    symbol: str
    source: Source | None


class PolyBoltSession:
    """One connection."""

    def __init__(
        self, board: PriceBoard, check: Callable[[Credentials], bool], refusals: deque[Refusal]
    ) -> None:
        self.outbox = Outbox()
        self.subscriptions: dict[Wanted, None] = {}
        self.is_authenticated = False
        self.missed_pings = 0
        self._board = board
        self._check = check
        self._refusals = refusals
        self._auth_frames = 0
        self._changes_ms: deque[int] = deque()
        self._refused_in_a_row = 0
        self._sequence: dict[str, int] = {}
        self._dropped: dict[str, int] = {}

    # --- what the client says -------------------------------------------------------------------

    def hear(self, text: str, now_ms: int) -> None:
        """Take one frame."""
        self.missed_pings = 0
        if len(text.encode()) > LARGEST_FRAME_BYTES:
            self.outbox.close_after(CLOSE_POLICY)
            return
        try:
            asked = msgspec.json.decode(text, type=_Message)
        except (msgspec.MsgspecError, RecursionError):
            self._refuse(None, "bad_op")
            return
        if asked.op == "ping":
            self._answer({"op": "pong"}, asked.rid)
        elif asked.op == "auth":
            self._authenticate(asked)
        elif asked.op in ("subscribe", "unsubscribe"):
            self._change(asked, now_ms)
        else:
            self._refuse(asked.rid, "bad_op")

    def ping(self) -> bool:
        """Note that the server pings now; False when the client missed too many."""
        self.missed_pings += 1
        return self.missed_pings <= MISSED_PINGS

    def _authenticate(self, asked: _Message) -> None:
        self._auth_frames += 1
        if self._auth_frames > MOST_AUTH_FRAMES:
            self._refuse(asked.rid, "auth_attempts")
            self.outbox.close_after(CLOSE_AUTH)
        elif self._refusals:
            self._refuse(asked.rid, self._refusals.popleft())
        elif asked.auth is None or not self._check(asked.auth):
            self._refuse(asked.rid, "auth_invalid")
        else:
            self.is_authenticated = True
            self._answer({"op": "authed"}, asked.rid)

    def _change(self, asked: _Message, now_ms: int) -> None:
        while self._changes_ms and self._changes_ms[0] <= now_ms - 1000:
            self._changes_ms.popleft()
        self._changes_ms.append(now_ms)
        if len(self._changes_ms) > SUBSCRIBE_FRAMES_PER_S:
            self._refuse(asked.rid, "rate_limited")
            self._refused_in_a_row += 1
            if self._refused_in_a_row >= _TOO_MANY_FRAMES:
                self.outbox.close_after(CLOSE_POLICY)
            return
        self._refused_in_a_row = 0
        for entry in asked.subscriptions:
            wanted = self._read(entry)
            if isinstance(wanted, str):
                self._refuse(asked.rid, wanted, entry.channel)
            elif asked.op == "unsubscribe":
                self.subscriptions.pop(wanted, None)
                self._answer({"op": "unsubscribed", "channel": wanted.channel}, asked.rid)
            elif wanted not in self.subscriptions and len(self.subscriptions) >= MOST_SUBSCRIPTIONS:
                self._refuse(asked.rid, "sub_limit", entry.channel)
            else:
                self.subscriptions[wanted] = None
                self._answer({"op": "subscribed", "channel": wanted.channel}, asked.rid)
                self._send_snapshot(wanted, now_ms)

    def _read(self, entry: _Entry) -> Wanted | Refusal:
        if entry.channel not in _CHANNELS:
            return "bad_channel"
        if entry.channel not in _PUBLIC and not self.is_authenticated:
            return "auth_required"
        asked = entry.filter
        if entry.channel in _PUBLIC:
            return Wanted(entry.channel, asked.symbol or "", None)
        if not asked.symbol or asked.provider not in (None, "chainlink", "pyth"):
            return "bad_filter"
        is_average = entry.channel.endswith(".twap")
        if is_average and asked.window_seconds != _WINDOW_S:
            return "bad_filter"
        source: Source | None = None
        if entry.channel == "price.crypto":
            source = "chainlink" if asked.provider == "chainlink" else "pyth"
        elif entry.channel == "price.crypto.twap":
            # Averages are Chainlink's alone here.
            if asked.provider == "pyth":
                return "bad_filter"
            source = "twap60"
        return Wanted(entry.channel, asked.symbol.lower(), source)

    # --- what the client hears ------------------------------------------------------------------

    def hears(self, source: Source) -> bool:
        """Whether any subscription is of a source."""
        return any(wanted.source == source for wanted in self.subscriptions)

    def publish(self, report: Report) -> None:
        """Send one report if it is wanted."""
        for wanted in self.subscriptions:
            if wanted.source == report.source and wanted.symbol == f"{report.symbol}usd":
                payload = self._payload(wanted) | _point(report)
                if report.source == "pyth":
                    payload |= {"received_at": report.published_ms, "is_carried_forward": False}
                self._send(wanted.channel, payload, report.published_ms)

    def _send_snapshot(self, wanted: Wanted, now_ms: int) -> None:
        if wanted.source is None:
            return
        reports = self._board.history(wanted.source, wanted.symbol.removesuffix("usd"), now_ms, HISTORY_S)
        payload = self._payload(wanted) | {"data": [_point(report) for report in reports]}
        self._send(wanted.channel, payload, now_ms, is_snapshot=True)

    def _payload(self, wanted: Wanted) -> dict[str, object]:
        payload: dict[str, object] = {
            "symbol": wanted.symbol,
            "source": "pyth" if wanted.source == "pyth" else "chainlink",
        }
        if wanted.source == "twap60":
            payload["window_seconds"] = _WINDOW_S
        return payload

    def _send(
        self, channel: str, payload: dict[str, object], now_ms: int, *, is_snapshot: bool = False
    ) -> None:
        if self.outbox.count >= QUEUE_LIMIT:
            self._dropped[channel] = self._dropped.get(channel, 0) + 1
            return
        sequence = self._sequence[channel] = self._sequence.get(channel, 0) + 1
        frame: dict[str, object] = {"v": 1, "channel": channel, "seq": sequence, "ts": now_ms}
        if is_snapshot:
            frame["snapshot"] = True
        if dropped := self._dropped.pop(channel, 0):
            frame["dropped"] = dropped
        frame["payload"] = payload
        self.outbox.put(msgspec.json.encode(frame).decode())

    def _answer(self, body: dict[str, object], rid: str | None) -> None:
        if rid is not None:
            body = {"op": body.pop("op"), "rid": rid, **body}
        self.outbox.put(msgspec.json.encode(body).decode())

    def _refuse(self, rid: str | None, code: Refusal, channel: str | None = None) -> None:
        body: dict[str, object] = {"op": "error", "code": code}
        if channel is not None:
            body["channel"] = channel
        self._answer(body, rid)


class PolyBoltHub:
    """All connections; `refusals` are answers that the control port ordered for coming auth frames."""

    def __init__(self, board: PriceBoard) -> None:
        self.sessions: set[PolyBoltSession] = set()
        self.refusals: deque[Refusal] = deque()
        board.streams.append(self)

    def hears(self, source: Source) -> bool:
        """Whether any connection wants a source."""
        return any(session.hears(source) for session in self.sessions)

    def publish(self, report: Report) -> None:
        """Tell every connection."""
        for session in self.sessions:
            session.publish(report)


def _point(report: Report) -> dict[str, object]:
    whole, rest = divmod(report.value_e18, ONE_USD_E18)
    exact = f"{whole}.{rest:018}".rstrip("0").rstrip(".")
    return {
        "timestamp": report.at_s * 1000,
        "value": report.value_e18 / ONE_USD_E18,
        "full_accuracy_value": exact,
    }
