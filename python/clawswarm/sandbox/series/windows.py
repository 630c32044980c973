"""The windows of up/down series: when they start and end, what they are called, how they settle (§11.3). Pure.

5 m and 15 m windows are aligned to UTC, 1 h, 4 h and daily ones to New York. The stamp in a slug is the start.
"""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from clawswarm.model.errors import UserFault
from clawswarm.sandbox.gamma.catalog import Series
from clawswarm.sandbox.prices.path import COINS, Coin

Horizon = Literal["5m", "15m", "1h", "4h", "daily"]
HORIZONS: tuple[Horizon, ...] = ("5m", "15m", "1h", "4h", "daily")
_UTC_SPAN_S = {"5m": 300, "15m": 900}
_NOON = 12


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """One market's window, in unix seconds."""

    coin: Coin
    horizon: Horizon
    start_s: int
    end_s: int

    @property
    def span_s(self) -> int:
        """Length of the window."""
        return self.end_s - self.start_s

    @property
    def is_by_candle(self) -> bool:
        """Whether Binance's candles settle it, not Chainlink's average."""
        return self.horizon in ("1h", "daily")


def parse_series(text: str) -> tuple[Coin, Horizon]:
    """ "btc-5m" → the coin and the horizon. Raises UserFault."""
    symbol, _, horizon = text.partition("-")
    coin = COINS.get(symbol)
    if coin is None or horizon not in HORIZONS:
        raise UserFault(
            f"sandbox.series has {text!r}: write COIN-HORIZON with a coin of {', '.join(COINS)} and a horizon of "
            f"{', '.join(HORIZONS)}"
        )
    return coin, horizon


def window_at(coin: Coin, horizon: Horizon, at_s: int) -> Window:
    """The window that a moment lies in; a window contains its start, not its end."""
    span = _UTC_SPAN_S.get(horizon)
    if span is not None:
        start = at_s - at_s % span
        return Window(coin=coin, horizon=horizon, start_s=start, end_s=start + span)
    start_at, end_at = _new_york_window(horizon, at_s)
    return Window(coin=coin, horizon=horizon, start_s=start_at, end_s=end_at)


def next_window(window: Window) -> Window:
    """The window that begins when this one ends."""
    return window_at(window.coin, window.horizon, window.end_s)


def _new_york_window(horizon: Horizon, at_s: int) -> tuple[int, int]:
    local = datetime.fromtimestamp(at_s, _new_york())
    if horizon == "1h":
        start = at_s - at_s % 3600
        return start, start + 3600
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    if horizon == "4h":
        begin = midnight.replace(hour=local.hour - local.hour % 4)
        end = midnight + timedelta(days=1) if begin.hour == 20 else midnight.replace(hour=begin.hour + 4)
    else:
        end = midnight.replace(hour=_NOON)
        if local.hour >= _NOON:
            end += timedelta(days=1)
        begin = end - timedelta(days=1)
    return _seconds(begin), _seconds(end)


def _seconds(local: datetime) -> int:
    return int(local.timestamp())


@cache
def _new_york() -> ZoneInfo:
    try:
        return ZoneInfo("America/New_York")
    except ZoneInfoNotFoundError as fault:
        raise UserFault(
            "this machine has no time zones: install them (Debian: apt install tzdata)"
        ) from fault


# --- names ------------------------------------------------------------------------------------------


def slug_of(window: Window) -> str:
    """The slug of the window's event and market."""
    coin = window.coin
    if window.horizon == "1h":
        local = datetime.fromtimestamp(window.start_s, _new_york())
        return f"{coin.name.lower()}-up-or-down-{_day_slug(local)}-{_hour(local).lower()}-et"
    if window.horizon == "daily":
        local = datetime.fromtimestamp(window.end_s, _new_york())
        return f"{coin.name.lower()}-up-or-down-on-{_day_slug(local)}"
    return f"{coin.symbol}-updown-{window.horizon}-{window.start_s}"


def question_of(window: Window) -> str:
    """The question, in New York's time as the venue asks it."""
    begin, end = (datetime.fromtimestamp(at_s, _new_york()) for at_s in (window.start_s, window.end_s))
    title = f"{window.coin.name} Up or Down"
    if window.horizon == "daily":
        return f"{title} on {end:%B} {end.day}?"
    if window.horizon == "1h":
        return f"{title} - {begin:%B} {begin.day}, {_hour(begin)} ET"
    return f"{title} - {begin:%B} {begin.day}, {_clock(begin)}-{_clock(end)} ET"


def series_of(window: Window) -> Series:
    """The series a window belongs to."""
    name = window.coin.symbol if window.horizon in ("5m", "15m", "4h") else window.coin.name.lower()
    title = f"{window.coin.symbol.upper()} Up or Down {window.horizon}"
    recurrence = {"1h": "hourly", "daily": "daily"}.get(window.horizon, window.horizon)
    return Series(
        slug=f"{name}-up-or-down-{recurrence.removesuffix('-')}", title=title, recurrence=recurrence
    )


def description_of(window: Window, twap_window_s: int) -> str:
    """The rules of the market, as its description tells them."""
    name, pair = window.coin.name, f"{window.coin.symbol.upper()}/USD"
    if window.horizon == "daily":
        return (
            f'This market resolves to "Up" if the close of the Binance 1 minute candle of '
            f"{window.coin.symbol.upper()}/USDT at 12:00 ET is higher than at 12:00 ET of the day before, to "
            f'"Down" if it is lower, and 50-50 if both are equal.'
        )
    if window.horizon == "1h":
        return (
            f'This market resolves to "Up" if the close of the Binance 1 hour candle of '
            f"{window.coin.symbol.upper()}/USDT that begins at the time in the title is greater than or equal to "
            f'its open, otherwise to "Down".'
        )
    price = f"{twap_window_s}-second TWAP" if twap_window_s else "price"
    return (
        f'This market will resolve to "Up" if the {name} {price} at the end of the time range specified in the '
        f"title is greater than or equal to the {price} at the beginning of that range. Otherwise, it will "
        f'resolve to "Down".\nThe resolution source is the Chainlink data stream {pair}.'
    )


def source_of(window: Window) -> str:
    """Where the resolution comes from."""
    if window.is_by_candle:
        return f"https://www.binance.com/en/trade/{window.coin.symbol.upper()}_USDT"
    return f"https://data.chain.link/streams/{window.coin.symbol}-usd"


def listed_at_s(window: Window, ahead: int) -> int:
    """When a window is listed that is to trade `ahead` windows before its own."""
    return window.start_s - ahead * window.span_s


def _day_slug(local: datetime) -> str:
    return f"{local:%B}-{local.day}-{local.year}".lower()


def _hour(local: datetime) -> str:
    return f"{local.hour % _NOON or _NOON}{'AM' if local.hour < _NOON else 'PM'}"


def _clock(local: datetime) -> str:
    return f"{local.hour % _NOON or _NOON}:{local.minute:02}{'AM' if local.hour < _NOON else 'PM'}"


def iso(at_s: int) -> str:
    """For messages."""
    return datetime.fromtimestamp(at_s, UTC).isoformat()
