"""48 virtual hours of rolling 5 and 15 minute series on four coins: every market resolves and pays."""

import hashlib

import pytest

from clawswarm.sandbox.exchange.admission import OrderRequest
from clawswarm.sandbox.exchange.markets import ListedMarket
from clawswarm.sandbox.exchange.refusals import VenueRefusal
from clawswarm.sandbox.pump import Stage, play
from clawswarm.sandbox.scenario import load_playbacks
from clawswarm.sandbox.settings import SandboxSettings
from clawswarm.sandbox.venue import Venue

S = 10**9
START_NS = 1_800_000_000 * S
HOURS = 48
COINS = ("btc", "eth", "sol", "xrp")
GRANT_E6 = 10_000_000_000


class Customer:
    """A naive maker: one bid on each outcome of every open market, a cent below the touch."""

    def __init__(self, venue: Venue) -> None:
        self._exchange = venue.exchange
        self._venue = venue
        self.account = venue.exchange.ledger.open_account("0xcustomer", GRANT_E6)
        self._serial = 0

    def quote(self, now_ns: int) -> None:
        """Replace every quote."""
        self._venue.publish(self._exchange.cancel_where(self.account.address, now_ns, lambda _: True).events)
        for market in list(self._exchange.markets.values())[-24:]:
            if market.is_open and market.accepts_orders:
                self._quote(market, now_ns)

    def _quote(self, market: ListedMarket, now_ns: int) -> None:
        book = self._exchange.books[market.condition_id]
        bid, ask = book.bids.best(), book.asks.best()
        if bid is None or ask is None:
            return
        for is_yes, touch in ((True, bid.price_e4), (False, 10_000 - ask.price_e4)):
            if touch < 200:
                continue
            self._serial += 1
            request = OrderRequest(
                order_id="0x" + hashlib.sha256(str(self._serial).encode()).hexdigest(),
                owner="customer",
                token=market.token(is_yes),
                is_buy=True,
                maker_amount_e6=touch * 20_000_000 // 10_000,
                taker_amount_e6=20_000_000,
                is_post_only=True,
            )
            try:
                self._venue.publish(self._exchange.place(self.account, request, now_ns).events)
            except VenueRefusal as refusal:
                if "balance" not in refusal.text and "crosses" not in refusal.text:
                    raise


@pytest.mark.timeout(900)
def test_every_market_of_two_days_resolves_and_pays() -> None:
    settings = SandboxSettings(
        data="",
        port=0,
        control_port=0,
        series=tuple(f"{coin}-{horizon}" for coin in COINS for horizon in ("5m", "15m")),
        crowd_interval_ms=30_000,
        auto_redeem="everyone",
        settlement_fail_share=0.02,
        settlement_retry_share=0.05,
    )
    venue = Venue(settings)
    stage = Stage(venue, load_playbacks(settings))
    stage.open(START_NS)
    customer = Customer(venue)
    ledger = venue.exchange.ledger
    end_ns = START_NS + HOURS * 3600 * S
    for now_ns in range(START_NS + 100 * S, end_ns, 300 * S):
        play(stage, venue, now_ns)
        customer.quote(now_ns)
        assert ledger.imbalance_e6() == 0
    # The last windows are still open: let trading stop and everything that ended settle.
    play(stage, venue, end_ns + 30 * S)

    markets = list(venue.exchange.markets.values())
    over = [market for market in markets if market.end_ms <= end_ns // 1_000_000]
    assert len(over) == len(COINS) * (HOURS * 12 + HOURS * 4)
    assert all(market.winner in ("YES", "NO") for market in over)
    for market in over:
        assert venue.exchange.is_settled(market)
        for token in (market.yes_token, market.no_token):
            assert not any(account.tokens_e6.get(token) for account in ledger.accounts.values())
    # What is left of the pairs is exactly what the open markets' tokens stand for.
    open_pairs = sum(
        sum(account.tokens_e6.get(market.yes_token, 0) for account in ledger.accounts.values())
        + ledger.in_flight_e6.get(market.yes_token, 0)
        for market in markets
        if market.winner is None
    )
    assert ledger.pairs_e6 == open_pairs
    assert ledger.imbalance_e6() == 0
    assert customer.account.collateral_e6 != GRANT_E6, "the customer traded"
    ups = sum(market.winner == "YES" for market in over)
    assert 0.4 < ups / len(over) < 0.6
