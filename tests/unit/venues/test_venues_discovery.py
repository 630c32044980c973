"""Gamma's records become listings, or are refused with a reason."""

import msgspec
import pytest

from clawswarm.model.errors import WireFault
from clawswarm.model.instruments import Market, PriceSettlement, RewardTerms
from clawswarm.venues.polymarket.discovery import Listing, read_market, read_time_ms, with_outcomes

RECORD: dict[str, object] = {
    "id": "3047973",
    "slug": "btc-updown-5m-1776323400",
    "question": "Bitcoin up or down?",
    "conditionId": "0xcond",
    "outcomes": '["Up", "Down"]',
    "clobTokenIds": '["11", "22"]',
    "orderPriceMinTickSize": 0.01,
    "orderMinSize": 5,
    "negRisk": False,
    "active": True,
    "closed": False,
    "acceptingOrders": True,
    "startDate": "2026-04-15T07:15:00.032841Z",
    "eventStartTime": "2026-04-16T07:10:00Z",
    "endDate": "2026-04-16T07:15:00Z",
    "resolutionSource": "https://data.chain.link/streams/btc-usd",
    "description": "This market will resolve ...",
    "events": [{"id": "260654", "slug": "btc-updown-5m-1776323400", "seriesSlug": "btc-up-or-down-5m"}],
}


def listing(**changed: object) -> Listing:
    return read_market(msgspec.json.encode({**RECORD, **changed}))


def test_a_record_becomes_a_listing() -> None:
    assert listing() == Listing(
        market=Market(
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
            is_rule_known=False,
        ),
        starts_ms=1_776_323_400_000,
        series="btc-up-or-down-5m",
        resolution_source="https://data.chain.link/streams/btc-usd",
        description="This market will resolve ...",
    )


def test_arrays_may_be_arrays() -> None:
    assert listing(outcomes=["Up", "Down"], clobTokenIds=["11", "22"]) == listing()


def test_the_book_is_that_of_the_outcome_that_wins_when_it_happens() -> None:
    swapped = listing(outcomes='["No", "Yes"]').market
    assert (swapped.yes_token, swapped.no_token) == ("22", "11")
    teams = listing(outcomes='["Lakers", "Celtics"]').market
    assert (teams.yes_token, teams.no_token) == ("11", "22")


@pytest.mark.parametrize(
    "changed",
    [
        {"outcomes": '["Yes"]'},
        {"outcomes": '["Yes", "No", "Maybe"]'},
        {"outcomes": None},
        {"outcomes": "Yes, No"},
        {"clobTokenIds": ""},
        {"clobTokenIds": '["", ""]'},
        {"clobTokenIds": "[1, 2]"},
        {"conditionId": ""},
        {"orderMinSize": None},
        {"orderPriceMinTickSize": None},
        {"endDate": "soon"},
    ],
)
def test_what_cannot_be_traded_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(WireFault):
        listing(**changed)


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"id": {}}', b"\xff", b'{"id": "1", "slug": "\xff"}'])
def test_what_is_no_record_is_refused(raw: bytes) -> None:
    with pytest.raises(WireFault):
        read_market(raw)


@pytest.mark.parametrize(
    ("tick", "tick_e4"),
    [(0.1, 1000), (0.01, 100), (0.001, 10), (0.0001, 1), (0.0025, 25), (0.005, 50), ("0.01", 100)],
)
def test_every_tick_of_the_venue_is_exact(tick: float | str, tick_e4: int) -> None:
    assert listing(orderPriceMinTickSize=tick).market.tick_e4 == tick_e4


@pytest.mark.parametrize("tick", [0.00001, 0.003, 0, -0.01, 1, 0.6, 0.010000001])
def test_a_tick_that_does_not_divide_the_price_axis_is_refused(tick: float) -> None:
    with pytest.raises(WireFault, match="tick"):
        listing(orderPriceMinTickSize=tick)


@pytest.mark.parametrize(
    "changed", [{"active": False}, {"closed": True}, {"acceptingOrders": False}, {"acceptingOrders": None}]
)
def test_a_market_is_open_only_if_everything_says_so(changed: dict[str, object]) -> None:
    assert not listing(**changed).market.is_open


def test_small_sizes_are_exact() -> None:
    assert listing(orderMinSize=0.000001).market.min_size_e6 == 1
    assert listing(orderMinSize=15.5).market.min_size_e6 == 15_500_000


@pytest.mark.parametrize(
    ("slug", "event", "is_neg_risk", "underlying"),
    [
        ("btc-updown-5m-1", "btc-updown-5m-1", False, "BTC"),
        ("bitcoin-up-or-down-on-july-4-2026", "", False, "BTC"),
        ("solana-up-or-down-july-4-2026-3pm-et", "", False, "SOL"),
        ("xrp-updown-15m-1", "", False, "XRP"),
        ("will-there-be-no-change", "fed-decision-in-june", True, "fed-decision-in-june"),
    ],
)
def test_what_moves_a_market(slug: str, event: str, is_neg_risk: bool, underlying: str) -> None:
    found = listing(slug=slug, events=[{"id": 1, "slug": event}], negRisk=is_neg_risk)
    assert found.market.underlying == underlying


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        (None, None),
        ("", None),
        ("2026-04-16T07:15:00Z", 1_776_323_700_000),
        ("2026-04-16T09:15:00+02:00", 1_776_323_700_000),
        ("2026-04-16T07:15:00.250Z", 1_776_323_700_250),
        ("2026-04-16T07:15:00.250123Z", 1_776_323_700_250),
        ("2026-04-16 07:15:00+00", 1_776_323_700_000),
        ("2026-04-16 07:15:00.5+00", 1_776_323_700_500),
        ("2026-04-16", 1_776_297_600_000),
    ],
)
def test_times(text: str | None, at_ms: int | None) -> None:
    assert read_time_ms(text) == at_ms


UP = (
    'This market will resolve to "Up" if the Bitcoin {price} at the end of the time range specified in the title '
    "is greater than or equal to the {price} at the beginning of that range. "
    'Otherwise, it will resolve to "Down".\n'
    "The resolution source for this market is information from Chainlink, specifically the BTC/USD data stream."
)


@pytest.mark.parametrize(
    ("description", "settlement"),
    [
        (UP.format(price="price"), PriceSettlement(0, 1_776_323_400_000)),
        (UP.format(price="60-second TWAP"), PriceSettlement(60, 1_776_323_400_000)),
        (UP.format(price="30-second TWAP"), PriceSettlement(30, 1_776_323_400_000)),
        (
            'This market resolves to "Up" if the close of the Binance 1 hour candle of BTC/USDT that begins at '
            "the time in the title is greater than or equal to its open, otherwise to Down.",
            PriceSettlement(0, 1_776_323_400_000, feed="binance"),
        ),
        (
            "Up if the close of the Binance 1 minute candle of BTC/USDT at 12:00 ET is higher than at 12:00 ET of "
            "the day before, to Down if it is lower, and 50-50 if both are equal.",
            PriceSettlement(0, 1_776_323_400_000, feed="binance"),
        ),
    ],
)
def test_how_a_market_settles_is_read_from_its_description(
    description: str, settlement: PriceSettlement
) -> None:
    market = listing(description=description).market
    assert (market.settlement, market.is_rule_known) == (settlement, True)


@pytest.mark.parametrize(
    "description",
    [
        "This market will resolve ...",
        "",
        UP.format(price="45-second TWAP"),
        UP.format(price="price").replace("Chainlink", "somebody"),
        UP.format(price="median price"),
    ],
)
def test_an_up_down_market_with_another_rule_has_none_that_is_known(description: str) -> None:
    market = listing(description=description).market
    assert (market.settlement, market.is_rule_known) == (None, False)


def test_an_event_settles_on_no_price_and_a_listed_strike_is_in_the_question() -> None:
    event = {"outcomes": '["Yes", "No"]', "description": "Exactly one of these outcomes resolves to Yes."}
    assert listing(**event).market.settlement is None
    assert listing(**event).market.is_rule_known
    strike = listing(
        outcomes='["Yes", "No"]',
        question="Will the price of Bitcoin be above $95,000 on November 26?",
        description='This market will resolve to "Yes" if the Binance 1 minute candle for BTC/USDT 12:00 in the '
        'ET timezone (noon) has a final "Close" price higher than the price specified in the title.',
    ).market
    assert strike.settlement == PriceSettlement(0, None, 95_000.0, "binance")


def test_the_price_to_beat_is_taken_once_it_is_told() -> None:
    events = [{"id": "1", "slug": "e", "eventMetadata": {"priceToBeat": 65_012.5}}]
    known = listing(description=UP.format(price="price"), events=events).market.settlement
    assert known is not None
    assert known.strike_usd == 65_012.5
    for metadata in (None, "none", {"priceToBeat": "?"}, {"priceToBeat": -1}, {}):
        events = [{"id": "1", "slug": "e", "eventMetadata": metadata}]
        unknown = listing(description=UP.format(price="price"), events=events).market.settlement
        assert unknown is not None
        assert unknown.strike_usd is None


def test_rewards_and_rebates_are_read_per_market() -> None:
    market = listing(
        feesEnabled=True,
        feeSchedule={"rate": 0.07, "exponent": 1, "takerOnly": True, "rebateRate": 0.2},
        rewardsMinSize=50,
        rewardsMaxSpread=4.5,
        clobRewards=[{"rewardsDailyRate": 100}, {"rewardsDailyRate": 20.5}],
    ).market
    assert market.rebate_rate == pytest.approx(0.014)
    assert market.rewards == RewardTerms(120.5, 50_000_000, 450)
    for missing in ({"clobRewards": []}, {"rewardsMaxSpread": 0}, {"rewardsMinSize": None}):
        given = {"rewardsMinSize": 50, "rewardsMaxSpread": 4.5, "clobRewards": [{"rewardsDailyRate": 100}]}
        assert listing(**{**given, **missing}).market.rewards is None
    assert listing().market.rebate_rate == 0.0


def test_exclusive_outcomes_are_counted_unless_more_may_come() -> None:
    event = {"id": "1", "slug": "fed", "negRiskAugmented": False}
    fed = [
        listing(conditionId=f"0x{n}", negRisk=True, negRiskMarketID="0xe", events=[event]) for n in range(4)
    ]
    assert [found.market.outcomes for found in with_outcomes([*fed, listing()])] == [4, 4, 4, 4, 1]
    open_end = [
        listing(
            conditionId=f"0x{n}",
            negRisk=True,
            negRiskMarketID="0xe",
            events=[event | {"negRiskAugmented": True}],
        )
        for n in range(4)
    ]
    assert {found.market.outcomes for found in with_outcomes(open_end)} == {1}
