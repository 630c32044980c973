"""Exposure: the same fills give the same figures, and every underlying has one owner."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clawswarm.agents.risk_manager.exposure import ExposureBook, RiskSettings, owner_of
from clawswarm.kernel.clock import NS_PER_S
from clawswarm.kernel.journal import Journal
from clawswarm.model.instruments import Market, Side
from clawswarm.model.messages import Evidence, Exposure, Fill, Outcome

steady = settings(deadline=None, derandomize=True)

MANAGERS = ("risk-manager-1", "risk-manager-2")
CAPITAL_USD = 1_000
SHARE = 1_000_000
BAND = RiskSettings(band=0.05)


def fill(market: str, net_shares: int, seen_s: int = 0, underlying: str = "BTC", number: int = 1) -> Fill:
    """A fill after which `net_shares` are held."""
    return Fill(
        trade_id=f"t{number}",
        order_id="0x1",
        bucket_index=0,
        evidence=Evidence.MATCHED,
        matched_ms=0,
        outcome=Outcome.YES,
        market=market,
        underlying=underlying,
        owner="quoter-1",
        side=Side.BUY,
        price_e4=5000,
        size_e6=SHARE,
        fee_e6=0,
        fair_e4=None,
        yes_e6=max(net_shares, 0) * SHARE,
        no_e6=max(-net_shares, 0) * SHARE,
        seen_ns=seen_s * NS_PER_S,
    )


def book_of(underlying: str = "BTC") -> ExposureBook:
    """The book of the manager that answers for an underlying."""
    return ExposureBook(owner_of(underlying, MANAGERS), MANAGERS, BAND, CAPITAL_USD)


def applied(book: ExposureBook, *fills: Fill) -> Exposure:
    exposures = [book.apply(one) for one in fills]
    assert exposures[-1] is not None
    return exposures[-1]


def test_markets_of_one_underlying_are_netted() -> None:
    exposure = applied(book_of(), fill("a", 80), fill("b", -30), fill("c", -60))
    assert exposure.net_shares_e6 == exposure.delta_usd_e6 == -10 * SHARE
    assert exposure.ratio == 0.01
    assert (exposure.underlying, exposure.band, exposure.computed_ns) == ("BTC", 0.05, 0)


def test_a_newer_fill_replaces_the_position_of_its_market() -> None:
    exposure = applied(book_of(), fill("a", 80), fill("a", 20))
    assert exposure.net_shares_e6 == 20 * SHARE


def test_the_largest_ratio_is_kept() -> None:
    book = book_of()
    applied(book, fill("a", 20), fill("a", -90), fill("a", 0))
    assert book.max_abs_ratio == 0.09


def test_time_outside_the_band_is_counted_until_the_position_is_back() -> None:
    book = book_of()
    applied(book, fill("a", 50, seen_s=1))
    assert book.outside_s(9 * NS_PER_S) == 0.0
    applied(book, fill("a", 51, seen_s=10))
    assert book.outside_s(12 * NS_PER_S) == 2.0
    applied(book, fill("a", 80, seen_s=15))
    assert book.outside_s(15 * NS_PER_S) == 5.0
    applied(book, fill("a", 50, seen_s=18))
    assert book.outside_s(100 * NS_PER_S) == 8.0


def test_the_other_managers_fills_are_left_to_it() -> None:
    owner = owner_of("BTC", MANAGERS)
    other = next(manager for manager in MANAGERS if manager != owner)
    book = ExposureBook(other, MANAGERS, BAND, CAPITAL_USD)
    assert book.apply(fill("a", 80)) is None
    assert book.underlyings == []
    assert book.max_abs_ratio == 0.0


def test_an_underlying_without_fills_is_flat() -> None:
    exposure = book_of().exposure("BTC", 7)
    assert (exposure.net_shares_e6, exposure.ratio, exposure.computed_ns) == (0, 0.0, 7)


@steady
@given(st.text(min_size=1, max_size=8), st.permutations(MANAGERS))
def test_every_underlying_has_exactly_one_owner_whoever_asks(underlying: str, managers: list[str]) -> None:
    assert owner_of(underlying, managers) == owner_of(underlying, MANAGERS)
    books = [ExposureBook(name, managers, BAND, CAPITAL_USD) for name in MANAGERS]
    answers = [book.apply(fill("a", 1, underlying=underlying)) for book in books]
    assert sum(answer is not None for answer in answers) == 1


def test_both_managers_own_something() -> None:
    underlyings = ("BTC", "ETH", "SOL", "XRP", "DOGE", "BNB", "ADA", "AVAX")
    assert {owner_of(underlying, MANAGERS) for underlying in underlyings} == set(MANAGERS)


@pytest.mark.parametrize("gone", MANAGERS)
def test_a_lost_managers_underlyings_fall_to_the_one_that_is_left(gone: str) -> None:
    (left,) = [manager for manager in MANAGERS if manager != gone]
    for underlying in ("BTC", "ETH", "SOL"):
        assert owner_of(underlying, [left]) == left


MARKETS = [
    Market(f"0x{n}", f"{name}-{n}", name.upper(), f"y{n}", f"n{n}", 100, SHARE, False, True, None)
    for n, name in enumerate(["btc", "btc", "eth", "eth", "sol"])
]
trades = st.lists(
    st.tuples(
        st.sampled_from(MARKETS), st.booleans(), st.sampled_from(Side), st.integers(1, 200), st.integers(0, 5)
    ),
    max_size=30,
)


def told(history: list[tuple[Market, bool, Side, int, int]]) -> list[Fill]:
    """The fills as the engine would tell them."""
    held: dict[str, tuple[int, int]] = {}
    fills, seen_s = [], 0
    for number, (market, is_yes, side, shares, pause_s) in enumerate(history):
        seen_s += pause_s
        yes_e6, no_e6 = held.get(market.condition_id, (0, 0))
        change = side.sign * shares * SHARE
        yes_e6, no_e6 = (yes_e6 + change, no_e6) if is_yes else (yes_e6, no_e6 + change)
        held[market.condition_id] = (yes_e6, no_e6)
        fills.append(
            Fill(
                trade_id=str(number),
                order_id="0x1",
                bucket_index=0,
                evidence=Evidence.MATCHED,
                matched_ms=0,
                outcome=Outcome.YES,
                market=market.condition_id,
                underlying=market.underlying,
                owner="quoter-1",
                side=side,
                price_e4=5000,
                size_e6=shares * SHARE,
                fee_e6=0,
                fair_e4=None,
                yes_e6=yes_e6,
                no_e6=no_e6,
                seen_ns=seen_s * NS_PER_S,
            )
        )
    return fills


def figures(fills: list[Fill], now_ns: int) -> list[object]:
    """Everything both managers would publish."""
    said: list[object] = []
    for name in MANAGERS:
        book = ExposureBook(name, MANAGERS, BAND, CAPITAL_USD)
        said += [book.apply(one) for one in fills]
        said += [book.exposure(underlying, now_ns) for underlying in sorted(book.underlyings)]
        said += [book.max_abs_ratio, book.outside_s(now_ns)]
    return said


@steady
@given(trades)
def test_the_same_fills_give_the_same_figures(history: list[tuple[Market, bool, Side, int, int]]) -> None:
    fills = told(history)
    now_ns = 1_000 * NS_PER_S
    assert figures(fills, now_ns) == figures(told(history), now_ns)


@settings(
    deadline=None,
    derandomize=True,
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(trades)
def test_a_restarted_manager_that_replays_the_journal_has_the_same_figures(
    tmp_path: Path, history: list[tuple[Market, bool, Side, int, int]]
) -> None:
    (tmp_path / "fills.journal").unlink(missing_ok=True)
    journal = Journal(tmp_path / "fills.journal")
    fills = told(history)
    for one in fills:
        journal.append(msgspec.msgpack.encode(one))
    replayed = [msgspec.msgpack.decode(body, type=Fill) for _, body in journal.read(1, journal.last_seq)]
    journal.close()
    now_ns = 1_000 * NS_PER_S
    assert figures(replayed, now_ns) == figures(fills, now_ns)


@steady
@given(trades)
def test_net_exposure_is_what_the_trades_add_up_to(
    history: list[tuple[Market, bool, Side, int, int]],
) -> None:
    expected: dict[str, int] = {}
    for market, is_yes, side, shares, _ in history:
        direction = side.sign * (1 if is_yes else -1)
        expected[market.underlying] = expected.get(market.underlying, 0) + direction * shares * SHARE
    net: dict[str, int] = {}
    for name in MANAGERS:
        book = ExposureBook(name, MANAGERS, BAND, CAPITAL_USD)
        for one in told(history):
            book.apply(one)
        for underlying in book.underlyings:
            assert underlying not in net
            net[underlying] = book.exposure(underlying, 0).net_shares_e6
    assert net == expected
