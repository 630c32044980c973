"""Markets and capital → mandates."""

from collections import Counter

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from clawswarm.agents.orchestrator.allocator import Assignment, OrchestratorSettings, assign, mandates
from clawswarm.model.instruments import Market

steady = settings(deadline=None, derandomize=True)

QUOTERS = tuple(f"quoter-{number}" for number in range(1, 7))
SETTINGS = OrchestratorSettings(
    capital_usd=5_000, max_position_shares=200, order_size_shares=20, mandate_life_s=10.0, renew_s=1.0
)


def market(number: int, is_open: bool = True) -> Market:
    return Market(
        f"0x{number:02}",
        f"btc-{number}",
        "BTC",
        f"y{number}",
        f"n{number}",
        100,
        5_000_000,
        False,
        is_open,
        None,
    )


@st.composite
def markets(draw: st.DrawFn) -> list[Market]:
    numbers = draw(st.lists(st.integers(0, 30), unique=True, max_size=20))
    return [market(number, draw(st.booleans()) or draw(st.booleans())) for number in numbers]


quoters = st.lists(st.sampled_from(QUOTERS), unique=True, min_size=1)


@steady
@given(markets(), quoters)
def test_every_open_market_has_exactly_one_quoter_and_loads_are_even(
    listed: list[Market], available: list[str]
) -> None:
    assigned = assign(listed, available, {})
    assert set(assigned) == {m.condition_id for m in listed if m.is_open}
    load = Counter(assignment.quoter for assignment in assigned.values())
    assert set(load) <= set(available)
    loads = [load[quoter] for quoter in available]
    assert max(loads) - min(loads) <= 1
    assert {assignment.epoch for assignment in assigned.values()} <= {1}


@steady
@given(markets(), quoters, st.randoms(use_true_random=False))
def test_the_choice_does_not_depend_on_the_order_of_the_listing(
    listed: list[Market], available: list[str], order: object
) -> None:
    shuffled = list(listed)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    assert assign(shuffled, list(reversed(available)), {}) == assign(listed, available, {})


@steady
@given(markets(), markets(), quoters)
def test_recorded_owners_stay_and_running_again_changes_nothing(
    before: list[Market], after: list[Market], available: list[str]
) -> None:
    recorded = assign(before, available, {})
    assigned = assign(after, available, recorded)
    for key, assignment in assigned.items():
        if key in recorded:
            assert assignment == recorded[key]
    assert set(assigned) == {m.condition_id for m in after if m.is_open}
    assert assign(after, available, assigned) == assigned


@steady
@given(markets(), quoters, quoters)
def test_the_epoch_grows_exactly_when_the_owner_changes(
    listed: list[Market], first: list[str], second: list[str]
) -> None:
    recorded = assign(listed, first, {})
    assigned = assign(listed, second, recorded)
    for key, assignment in assigned.items():
        assert assignment.quoter in second
        if recorded[key].quoter in second:
            assert assignment == recorded[key]
        else:
            assert assignment.epoch == recorded[key].epoch + 1


@steady
@given(markets(), st.integers(1, 10**6))
def test_capital_is_split_evenly_and_never_exceeded(listed: list[Market], capital_usd: int) -> None:
    chosen = msgspec.structs.replace(SETTINGS, capital_usd=capital_usd)
    assigned = assign(listed, QUOTERS, {})
    table = mandates(listed, assigned, chosen)
    assert [m.market.condition_id for m in table] == [m.condition_id for m in listed if m.is_open]
    assert len({mandate.capital_e6 for mandate in table}) <= 1
    total = sum(mandate.capital_e6 for mandate in table)
    assert total <= capital_usd * 1_000_000
    assert not table or total > capital_usd * 1_000_000 - len(table)


def test_a_mandate_carries_the_strategists_numbers() -> None:
    (mandate,) = mandates([market(1)], {"0x01": Assignment("quoter-3", 4)}, SETTINGS)
    assert (mandate.quoter, mandate.epoch, mandate.market) == ("quoter-3", 4, market(1))
    assert mandate.capital_e6 == 5_000_000_000
    assert (mandate.max_position_e6, mandate.order_size_e6) == (200_000_000, 20_000_000)


def test_a_closed_market_frees_its_quoter() -> None:
    recorded = assign([market(1), market(2)], QUOTERS[:2], {})
    assigned = assign([market(1, is_open=False), market(2), market(3)], QUOTERS[:2], recorded)
    assert assigned["0x02"] == recorded["0x02"]
    assert assigned["0x03"].quoter == recorded["0x01"].quoter


def test_without_open_markets_there_are_no_mandates() -> None:
    assert assign([market(1, is_open=False)], QUOTERS, {}) == {}
    assert mandates([market(1, is_open=False)], {}, SETTINGS) == ()
