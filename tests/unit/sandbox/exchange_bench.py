"""A small exchange with one market and a few funded accounts, for tests that drive it in-process."""

import hashlib

from clawswarm.sandbox.exchange.accounts import Account
from clawswarm.sandbox.exchange.admission import OrderRequest
from clawswarm.sandbox.exchange.book import Order
from clawswarm.sandbox.exchange.events import Event
from clawswarm.sandbox.exchange.markets import ListedMarket
from clawswarm.sandbox.exchange.matching import Exchange, Placed
from clawswarm.sandbox.exchange.rules import ExchangeRules, SettlementDelay
from clawswarm.sandbox.participants import participant_account

SHARE = 1_000_000
USD = 1_000_000
START_NS = 1_800_000_000 * 10**9
MS = 1_000_000
GRANT_E6 = 1_000 * USD


def new_market(**changes: object) -> ListedMarket:
    """A market with tick 0.01, minimum 5 shares and no fee."""
    facts: dict[str, object] = {
        "condition_id": "0x" + "ab" * 32,
        "question_id": "0x" + "cd" * 32,
        "slug": "btc-updown",
        "question": "Up?",
        "underlying": "BTC",
        "yes_token": "111",
        "no_token": "222",
        "tick_e4": 100,
        "min_size_e6": 5 * SHARE,
        "fee_rate_e4": 0,
        "end_ms": START_NS // MS + 300_000,
    }
    return ListedMarket(**(facts | changes))


class Bench:
    """One exchange, one market; orders in shares and 1e-4 prices of the named token."""

    def __init__(
        self, rules: ExchangeRules | None = None, delay: SettlementDelay | None = None, **market: object
    ) -> None:
        delay = delay or SettlementDelay(mined_ns=200 * MS, confirmed_ns=500 * MS)
        self.exchange = Exchange(seed=7, delay=delay, rules=rules)
        self.exchange.ledger.fund_house(1_000 * USD)
        self.market = new_market(**market)
        self.now_ns = START_NS
        self.exchange.list_market(self.market, self.now_ns)
        self._serial = 0

    def account(self, name: str, grant_e6: int = GRANT_E6) -> Account:
        """The account of a name, funded once."""
        return self.exchange.ledger.open_account(f"0x{name}", grant_e6)

    def request(
        self, side: str, outcome: str, price_e4: int, size_e6: int, **changes: object
    ) -> OrderRequest:
        """An order of `size_e6` shares at a price, as its two amounts."""
        self._serial += 1
        money = price_e4 * size_e6 // 10_000
        is_buy = side == "BUY"
        facts: dict[str, object] = {
            "order_id": "0x" + hashlib.sha256(str(self._serial).encode()).hexdigest(),
            "owner": "key",
            "token": self.market.token(outcome == "YES"),
            "is_buy": is_buy,
            "maker_amount_e6": money if is_buy else size_e6,
            "taker_amount_e6": size_e6 if is_buy else money,
        }
        return OrderRequest(**(facts | changes))

    def place(
        self, name: str, side: str, outcome: str, price_e4: int, shares: float, **changes: object
    ) -> Placed:
        """Place an order for an account, which is its owner."""
        request = self.request(side, outcome, price_e4, round(shares * SHARE), **({"owner": name} | changes))
        return self.exchange.place(self.account(name), request, self.now_ns)

    def settle(self) -> list[Event]:
        """Let a second pass: everything under way is confirmed."""
        self.now_ns += 1000 * MS
        return self.exchange.advance(self.now_ns)

    def give_tokens(self, name: str, shares: float) -> None:
        """Shares of both outcomes for an account, out of its own money."""
        market = self.market
        size = round(shares * SHARE)
        self.exchange.ledger.split(self.account(name), (market.yes_token, market.no_token), size)

    def participant_order(self, is_bid: bool, price_e4: int, size_e6: int) -> Order:
        """A participant's order of any size: BUY YES for a bid, BUY NO for an ask."""
        self._serial += 1
        return Order(
            id="0x" + hashlib.sha256(f"participant:{self._serial}".encode()).hexdigest(),
            account=participant_account(self.exchange, "bench"),
            owner="participant",
            market=self.market,
            is_yes=is_bid,
            is_buy=True,
            price_e4=price_e4 if is_bid else 10_000 - price_e4,
            size_e6=size_e6,
            order_type="GTC",
            created_ns=self.now_ns,
        )

    def levels(self) -> dict[tuple[bool, int], float]:
        """(is_bid, YES price) → shares."""
        book = self.exchange.books[self.market.condition_id]
        return {key: size / SHARE for key, size in book.aggregates().items()}
