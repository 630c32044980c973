"""Every client: orders of a deposit wallet, of a session signer, of neg-risk markets and on every tick."""

from decimal import Decimal
from pathlib import Path

import pytest
from client_port import Connector, Limit, MarketFacts, Refused, VenueClient
from venue_thread import RunningVenue, record, running_venue, settings_for, snapshot

# The development key's deposit wallet (tests/golden/polymarket/official_client_vectors.json).
WALLET = "0xBc0fF067b7740Eff76C1ca93c875Ba6B890d6B50"
OWNER = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
SESSION_KEY = "0x" + "22" * 32
SESSION_ADDRESS = "0x1563915e194D8CfBA1943570603F7606A3115508"
D = Decimal


@pytest.fixture
def deposit(connect: Connector) -> VenueClient:
    """A client whose money lies in its deposit wallet."""
    return connect(wallet=WALLET)


def test_a_deposit_wallet_trades(venue: RunningVenue, deposit: VenueClient) -> None:
    assert deposit.signature_type == 3
    before = deposit.collateral()
    assert before >= 1_000
    rested = deposit.place(Limit(venue.market.yes_token, "BUY", "0.45"))
    (order,) = deposit.open_orders()
    assert (order.id, order.maker_address) == (rested.order_id, WALLET)
    assert order.owner == deposit.credentials.key
    assert deposit.cancel(rested.order_id).canceled == (rested.order_id,)
    (trade_id,) = deposit.place_market(venue.market.yes_token, "BUY", "4.7", "FOK", "0.47").trade_ids
    while deposit.trades(trade_id)[0].status != "CONFIRMED":
        pass
    assert deposit.shares(venue.market.yes_token) == 10
    assert deposit.collateral() == before - D("4.7") - D("0.17437")


def test_the_two_purses_of_an_owner_are_two(
    venue: RunningVenue, deposit: VenueClient, connect: Connector
) -> None:
    plain = connect()
    assert plain.signature_type == 0
    before = plain.collateral()
    deposit.place(Limit(venue.market.yes_token, "BUY", "0.47"))
    assert plain.collateral() == before
    assert plain.shares(venue.market.yes_token) == 0


def test_a_session_signer_trades_for_the_wallet(venue: RunningVenue, connect_session: Connector) -> None:
    owner, session = connect_session(wallet=WALLET), connect_session(SESSION_KEY, wallet=WALLET)
    assert session.credentials != owner.credentials
    assert session.address == WALLET
    with pytest.raises(Refused):
        session.place(Limit(venue.market.yes_token, "BUY", "0.45"))
    venue.steer("/session-signers/authorize", owner=OWNER, address=SESSION_ADDRESS)
    placed = session.place(Limit(venue.market.yes_token, "BUY", "0.45"))
    (order,) = session.open_orders()
    assert (order.id, order.maker_address, order.owner) == (placed.order_id, WALLET, session.credentials.key)
    assert session.collateral() == owner.collateral()


def test_a_key_reaches_its_own_orders_only(venue: RunningVenue, connect_session: Connector) -> None:
    venue.steer("/session-signers/authorize", owner=OWNER, address=SESSION_ADDRESS)
    owner, session = connect_session(wallet=WALLET), connect_session(SESSION_KEY, wallet=WALLET)
    placed = session.place(Limit(venue.market.yes_token, "BUY", "0.45")).order_id
    assert owner.cancel_all().canceled == ()
    assert owner.cancel(placed).canceled == ()
    assert session.cancel_all().canceled == (placed,)


def test_a_revoked_session_signer(tmp_path: Path, connect_session: Connector) -> None:
    record(tmp_path / "short", "btc-updown-1", [snapshot()])
    with running_venue(settings_for(tmp_path / "short", session_sweep_s=0.1)) as other:
        other.steer("/session-signers/authorize", owner=OWNER, address=SESSION_ADDRESS)
        session = connect_session(SESSION_KEY, wallet=WALLET, venue=other)
        session.place(Limit(other.market.yes_token, "BUY", "0.45"))
        other.steer("/session-signers/revoke", address=SESSION_ADDRESS)
        with pytest.raises(Refused):
            session.place(Limit(other.market.yes_token, "BUY", "0.45"))
        while other.look(lambda server: server.open_order_count):
            pass


def test_a_neg_risk_market_has_its_own_exchange(venue: RunningVenue, connect: Connector) -> None:
    venue.market.neg_risk = True
    client = connect()
    facts = client.facts(venue.market.condition_id, venue.market.yes_token)
    assert facts == MarketFacts(tick=D("0.01"), is_neg_risk=True, fee_rate=D("0.07"), fee_exponent=D(1))
    assert client.place(Limit(venue.market.yes_token, "BUY", "0.45")).status == "live"
    book = client.book(venue.market.yes_token)
    assert book.is_neg_risk
    assert book.computed_hash == book.sent_hash
    assert client.place_market(venue.market.yes_token, "BUY", "4.7", "FOK", "0.47").status == "matched"


# (tick, a price on it, a size); two decimals of size make the longest amounts.
TICKS = [
    ("0.1", "0.4", "12.34"),
    ("0.01", "0.41", "12.34"),
    ("0.005", "0.415", "12.34"),
    ("0.0025", "0.4125", "12.34"),
    ("0.001", "0.413", "12.34"),
    ("0.0001", "0.4137", "12.34"),
]


@pytest.mark.parametrize(("tick", "price", "size"), TICKS)
def test_every_tick(venue: RunningVenue, connect: Connector, tick: str, price: str, size: str) -> None:
    venue.steer("/markets/tick", market=venue.market.condition_id, tick=tick)
    client = connect()
    assert client.facts(venue.market.condition_id, venue.market.yes_token).tick == D(tick)
    client.place(Limit(venue.market.yes_token, "BUY", price, size))
    (order,) = client.open_orders()
    assert (order.price, order.original_size) == (D(price), D(size))
    assert client.place(Limit(venue.market.no_token, "BUY", price, size)).status == "live"
    book = client.book(venue.market.yes_token)
    assert book.computed_hash == book.sent_hash
    assert book.tick == D(tick)


def test_a_stale_tick_is_refused(venue: RunningVenue, connect: Connector) -> None:
    market = venue.market
    venue.steer("/markets/tick", market=market.condition_id, tick="0.001")
    client = connect()
    client.place(Limit(market.yes_token, "BUY", "0.413"))
    venue.steer("/markets/tick", market=market.condition_id, tick="0.01")
    with pytest.raises(Refused, match=r"Price \(0\.414\) breaks minimum tick size rule: 0\.01"):
        client.place(Limit(market.yes_token, "BUY", "0.414"))


@pytest.mark.parametrize("decimals", [None, 4])
def test_a_market_buy_on_a_fine_tick(tmp_path: Path, connect: Connector, decimals: int | None) -> None:
    """The clients cut shares to five decimals there; the venue was seen to take four (py-clob-client-v2 #99)."""
    record(tmp_path / "fine", "btc-updown-1", [snapshot()])
    with running_venue(settings_for(tmp_path / "fine", market_buy_share_decimals=decimals)) as venue:
        venue.steer("/markets/tick", market=venue.market.condition_id, tick="0.001")
        client = connect(venue=venue)
        order = (venue.market.yes_token, "BUY", "5.55", "FOK", "0.477")
        if decimals is None:
            assert client.place_market(*order).status == "matched"
            return
        with pytest.raises(Refused, match=r"taker amount a max of 4 decimals"):
            client.place_market(*order)
