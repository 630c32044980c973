"""The older price stream, RTDS (polymarket.md §5.4): topics, filters as strings, no sequence numbers. Pure.

As observed: one unknown topic in a subscription spoils all of it, a space inside a filter silently stops updates,
the first frame of a symbol is its history, Chainlink's mislabelled `crypto_prices`; PING has no answer.
"""

from typing import Literal

import msgspec

from clawswarm.sandbox.prices.board import PriceBoard
from clawswarm.sandbox.prices.feeds import ONE_USD_E18, WINDOWS_S, Report, Source
from clawswarm.sandbox.streams.outbox import Outbox

Topic = Literal[
    "crypto_prices",
    "crypto_prices_chainlink",
    "crypto_prices_twap_thirty",
    "crypto_prices_twap_sixty",
    "equity_prices",
    "comments",
]
_SOURCES: dict[str, Source] = {
    "crypto_prices": "binance",
    "crypto_prices_chainlink": "chainlink",
    "crypto_prices_twap_thirty": "twap30",
    "crypto_prices_twap_sixty": "twap60",
}
_TOPICS = {source: topic for topic, source in _SOURCES.items()}
# Served by the live stream, nothing to say here: no equities, no comments.
_SILENT = ("equity_prices", "comments")
_HISTORY_S = 60


class Subscription(msgspec.Struct):
    """One entry of a subscribe frame."""

    topic: str
    type: str = "*"
    filters: str = ""


class RtdsMessage(msgspec.Struct):
    """What a client sends."""

    action: str
    subscriptions: list[Subscription] = []


class _SymbolFilter(msgspec.Struct):
    symbol: str


class RtdsListener:
    """One connection: symbols by topic, None for all of them."""

    def __init__(self, connection_id: str) -> None:
        self.connection_id = connection_id
        self.symbols: dict[str, set[str] | None] = {}
        self.outbox = Outbox()


def symbol_of(source: Source, coin: str) -> str:
    """How a source calls a coin on this wire."""
    return f"{coin}usdt" if source == "binance" else f"{coin}/usd"


class RtdsHub:
    """Who hears which topic."""

    def __init__(self, board: PriceBoard) -> None:
        # In order of appearance: the order of a set would decide who hears first.
        self.listeners: dict[RtdsListener, None] = {}
        self._board = board
        board.streams.append(self)

    def hear(self, listener: RtdsListener, text: str, now_ms: int) -> None:
        """Take a client's frame; what cannot be read is ignored, as live."""
        try:
            asked = msgspec.json.decode(text, type=RtdsMessage)
        except (msgspec.MsgspecError, RecursionError):
            return
        wanted = _wanted(asked.subscriptions)
        if asked.action == "unsubscribe":
            for topic in wanted:
                listener.symbols.pop(topic, None)
        elif asked.action == "subscribe":
            for topic, symbols in wanted.items():
                before = listener.symbols.get(topic, set())
                joined = None if symbols is None or before is None else before | symbols
                listener.symbols[topic] = joined
                if symbols is None or symbols:
                    self._send_history(listener, topic, symbols, now_ms)

    def hears(self, source: Source) -> bool:
        """Whether anyone asked for a source."""
        topic = _TOPICS.get(source)
        return any(topic in listener.symbols for listener in self.listeners)

    def publish(self, report: Report) -> None:
        """Send one report to whoever asked for it."""
        topic = _TOPICS.get(report.source)
        if topic is None or not self.listeners:
            return
        symbol = symbol_of(report.source, report.symbol)
        payload: dict[str, object] = {
            "full_accuracy_value": _full_accuracy(report),
            "symbol": symbol,
            "timestamp": report.at_s * 1000,
            "value": report.value_e18 / ONE_USD_E18,
        }
        if report.source in WINDOWS_S:
            payload["window_s"] = WINDOWS_S[report.source]
        frame = {"payload": payload, "timestamp": report.published_ms, "topic": topic, "type": "update"}
        text = msgspec.json.encode(frame).decode()
        for listener in self.listeners:
            symbols = listener.symbols.get(topic, set())
            if symbols is None or symbol in symbols:
                is_named = report.source != "binance"
                listener.outbox.put(
                    f'{{"connection_id":"{listener.connection_id}",{text[1:]}' if is_named else text
                )

    def _send_history(
        self, listener: RtdsListener, topic: str, symbols: set[str] | None, now_ms: int
    ) -> None:
        source = _SOURCES.get(topic)
        if source is None:
            return
        for coin in self._board.symbols(source):
            symbol = symbol_of(source, coin)
            reports = self._board.history(source, coin, now_ms, _HISTORY_S)
            if (symbols is None or symbol in symbols) and reports:
                data = [{"timestamp": r.at_s * 1000, "value": r.value_e18 / ONE_USD_E18} for r in reports]
                frame = {
                    "payload": {"data": data, "symbol": symbol},
                    "timestamp": now_ms,
                    "topic": "crypto_prices" if source == "chainlink" else topic,
                    "type": "subscribe",
                }
                listener.outbox.put(msgspec.json.encode(frame).decode())


def _full_accuracy(report: Report) -> str:
    """1e-18 USD as an integer, for Binance a plain decimal of eight digits."""
    if report.source != "binance":
        return str(report.value_e18)
    whole, rest = divmod(report.value_e18, ONE_USD_E18)
    return f"{whole}.{rest // 10**10:08}"


def _wanted(subscriptions: list[Subscription]) -> dict[str, set[str] | None]:
    """Symbols by topic; nothing at all when one topic is unknown."""
    if any(asked.topic not in _SOURCES and asked.topic not in _SILENT for asked in subscriptions):
        return {}
    wanted: dict[str, set[str] | None] = {}
    for asked in subscriptions:
        symbols: set[str] | None
        if not asked.filters:
            symbols = None
        elif " " in asked.filters:
            symbols = set()
        else:
            try:
                symbols = {msgspec.json.decode(asked.filters, type=_SymbolFilter).symbol}
            except (msgspec.MsgspecError, RecursionError):
                symbols = set()
        before = wanted.get(asked.topic, set())
        wanted[asked.topic] = None if symbols is None or before is None else before | symbols
    return wanted
