"""Market records → markets."""

import msgspec
import pytest

from clawswarm.model.errors import WireFault
from clawswarm.model.instruments import Market
from clawswarm.venues.polymarket.instruments import market_from_record
from clawswarm.venues.polymarket.wire import MarketRecord

RECORD: dict[str, object] = {
    "condition_id": "0xcond",
    "market_slug": "btc-updown-5m-1776323400",
    "tokens": [
        {"token_id": "11", "outcome": "Up", "price": 0.51, "winner": False},
        {"token_id": "22", "outcome": "Down", "price": 0.49, "winner": False},
    ],
    "minimum_order_size": 5,
    "minimum_tick_size": 0.01,
    "neg_risk": False,
    "active": True,
    "closed": False,
    "accepting_orders": True,
    "end_date_iso": "2026-04-16T07:15:00Z",
    "question": "Bitcoin up or down?",
}


def market(**changed: object) -> Market:
    body = msgspec.json.encode({**RECORD, **changed})
    return market_from_record(msgspec.json.decode(body, type=MarketRecord))


def outcomes(*names: str) -> list[dict[str, str]]:
    return [{"token_id": str(number), "outcome": name} for number, name in enumerate(names)]


def test_a_record_becomes_a_market() -> None:
    assert market() == Market(
        condition_id="0xcond",
        slug="btc-updown-5m-1776323400",
        underlying="BTC",
        yes_token="11",
        no_token="22",
        tick_e4=100,
        min_size_e6=5_000_000,
        neg_risk=False,
        is_open=True,
        closes_ms=1_776_323_700_000,
    )


def test_the_order_of_the_tokens_does_not_matter() -> None:
    swapped = market(tokens=outcomes("No", "Yes"))
    assert (swapped.yes_token, swapped.no_token) == ("1", "0")


@pytest.mark.parametrize(
    "names",
    [("Lakers", "Celtics"), ("Yes",), ("Yes", "Up"), ("Yes", "No", "Maybe"), (), ("No", "Down")],
)
def test_other_outcomes_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(WireFault, match="btc-updown-5m-1776323400 has outcomes"):
        market(tokens=outcomes(*names))


@pytest.mark.parametrize(
    ("tick", "tick_e4"), [(0.1, 1000), (0.01, 100), (0.001, 10), (0.0001, 1), (0.0025, 25), (0.005, 50)]
)
def test_every_tick_of_the_venue_is_exact(tick: float, tick_e4: int) -> None:
    assert market(minimum_tick_size=tick).tick_e4 == tick_e4


@pytest.mark.parametrize("tick", [0.00001, 0.003, 0, -0.01, 1, 0.6, 0.010000001])
def test_a_tick_that_does_not_divide_the_price_axis_is_refused(tick: float) -> None:
    with pytest.raises(WireFault, match="tick"):
        market(minimum_tick_size=tick)


@pytest.mark.parametrize("changed", [{"active": False}, {"closed": True}, {"accepting_orders": False}])
def test_a_market_is_open_only_if_everything_says_so(changed: dict[str, object]) -> None:
    assert not market(**changed).is_open


def test_small_sizes_are_exact() -> None:
    assert market(minimum_order_size=0.000001).min_size_e6 == 1
    assert market(minimum_order_size=15.5).min_size_e6 == 15_500_000


@pytest.mark.parametrize(
    ("text", "closes_ms"),
    [
        (None, None),
        ("", None),
        ("2026-04-16T07:15:00Z", 1_776_323_700_000),
        ("2026-04-16T09:15:00+02:00", 1_776_323_700_000),
        ("2026-04-16T07:15:00.250Z", 1_776_323_700_250),
    ],
)
def test_end_dates(text: str | None, closes_ms: int | None) -> None:
    assert market(end_date_iso=text).closes_ms == closes_ms


def test_an_end_date_without_a_zone_is_utc_wherever_the_machine_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import time

    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert market(end_date_iso="2026-04-16").closes_ms == 1_776_297_600_000
    finally:
        monkeypatch.undo()
        time.tzset()


def test_an_end_date_that_is_none_is_refused() -> None:
    with pytest.raises(WireFault, match="end date 'soon'"):
        market(end_date_iso="soon")
