"""Every client: reward programmes, earnings, shares; rebates where the client has the call."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from client_port import Connector, Limit, RewardProgramme, VenueClient
from official_pc import OfficialPc
from venue_thread import RunningVenue

from clawswarm.sandbox.rewards.payments import NS_PER_DAY
from clawswarm.sandbox.server import SandboxServer

THREE_MINUTES_NS = 180 * 10**9
D = Decimal


def sample(venue: RunningVenue) -> str:
    """Let three minutes of rewards pass at once, within one day; the day."""

    def take(server: SandboxServer) -> int:
        now = server.now_ns()
        midnight = (now // NS_PER_DAY + 1) * NS_PER_DAY
        until = now + THREE_MINUTES_NS
        server.venue.rewards.advance(until if until < midnight else midnight + THREE_MINUTES_NS)
        return until

    return datetime.fromtimestamp(venue.look(take) / 1e9, UTC).date().isoformat()


@pytest.fixture
def quoted(client: VenueClient, venue: RunningVenue) -> VenueClient:
    """Both sides quoted a cent inside the recorded book's, large enough to score."""
    client.place(Limit(venue.market.yes_token, "BUY", "0.45", "100"))
    client.place(Limit(venue.market.no_token, "BUY", "0.53", "100"))
    return client


def test_programmes(client: VenueClient, venue: RunningVenue) -> None:
    expected = RewardProgramme(rate=D(120), max_spread=D("4.5"), min_size=D(50))
    assert client.reward_programmes() == {venue.market.condition_id: expected}
    assert client.reward_programme(venue.market.condition_id) == expected


def test_earnings_of_a_day(quoted: VenueClient, venue: RunningVenue) -> None:
    condition = venue.market.condition_id
    assert quoted.earnings("2026-01-01") == {}
    assert quoted.total_earnings("2026-01-01") == 0
    day = sample(venue)
    earned = quoted.earnings(day)
    assert set(earned) == {condition}
    assert earned[condition] > 0
    assert quoted.total_earnings(day) == earned[condition]
    share = quoted.reward_percentages()[condition]
    assert 0 < share < 100
    (in_market,) = quoted.earnings_in_markets(day).values()
    assert in_market == (earned[condition], share)


def test_rebates_of_a_day(connect_searching: Connector, venue: RunningVenue) -> None:
    maker, taker = connect_searching(), connect_searching("0x" + "33" * 32)
    assert isinstance(maker, OfficialPc)
    maker.place(Limit(venue.market.yes_token, "BUY", "0.46", "100"))
    placed = taker.place_market(venue.market.no_token, "BUY", "54", "FOK", "0.54")
    while taker.trades(placed.trade_ids[0])[0].status != "CONFIRMED":
        pass
    day = datetime.fromtimestamp(venue.look(lambda server: server.now_ns()) / 1e9, UTC).date().isoformat()
    (rebate,) = maker._do(maker.api.get_current_rebates, date=day, maker_address=maker.address)
    # A fifth of the fee 100 · 0.07 · 0.54 · 0.46; nobody else made.
    assert (rebate.condition_id, rebate.rebated_fees_usdc) == (venue.market.condition_id, D("0.347760"))
    assert maker._do(maker.api.get_current_rebates, date="2026-01-01", maker_address=maker.address) == ()


def test_programmes_to_choose_from(connect_searching: Connector, venue: RunningVenue) -> None:
    client = connect_searching()
    assert isinstance(client, OfficialPc)
    find = client.api.list_reward_markets
    (found,) = client._all(find, query="UP?", order_by="rate_per_day", sort_direction="DESC")
    assert (found.condition_id, found.spread) == (venue.market.condition_id, D("0.02"))
    assert client._all(find, query="rain") == []
    assert client._all(find, min_price=0.46) == []
    assert len(client._all(find, max_price=0.46, min_spread=0.01, max_spread=0.02)) == 1
