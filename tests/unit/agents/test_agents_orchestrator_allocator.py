"""Markets and capital → mandates."""

from collections import Counter

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from clawswarm.agents.orchestrator.allocator import (
    Assignment,
    OrchestratorSettings,
    assign,
    braked,
    mandates,
    rebalance,
)
from clawswarm.agents.orchestrator.loads import MarketLoads
from clawswarm.kernel.clock import NS_PER_S
from clawswarm.model.instruments import Market
from clawswarm.model.messages import SwarmState

steady = settings(deadline=None, derandomize=True)

QUOTERS = tuple(f"quoter-{number}" for number in range(1, 7))
SETTINGS = OrchestratorSettings(
    capital_usd=5_000,
    max_position_shares=200,
    order_size_shares=20,
    max_loss_usd=100.0,
    max_drawdown_usd=100.0,
    mandate_life_s=10.0,
    renew_s=1.0,
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


loads = st.dictionaries(
    st.integers(0, 30).map(lambda n: f"0x{n:02}"), st.sampled_from([0.0, 0.5, 1.0, 2.0, 8.0]), max_size=20
)


def carried(assigned: dict[str, Assignment], load: dict[str, float], available: list[str]) -> list[float]:
    return [
        sum(load.get(key, 1.0) for key, assignment in assigned.items() if assignment.quoter == quoter)
        for quoter in available
    ]


@steady
@given(markets(), quoters, loads)
def test_no_quoter_carries_more_than_the_mean_and_one_market(
    listed: list[Market], available: list[str], load: dict[str, float]
) -> None:
    assigned = assign(listed, available, {}, load)
    if assigned:
        sums, heaviest = carried(assigned, load, available), max(load.get(key, 1.0) for key in assigned)
        assert max(sums) <= sum(sums) / len(available) + heaviest + 1e-9


@steady
@given(markets(), quoters)
def test_the_death_of_a_quoter_moves_its_markets_alone(listed: list[Market], available: list[str]) -> None:
    before = assign(listed, available, {})
    survivors = available[1:]
    if survivors:
        after = assign(listed, survivors, before)
        moved = {key for key in after if after[key] != before[key]}
        assert moved == {key for key, assignment in before.items() if assignment.quoter == available[0]}


@steady
@given(markets(), quoters, quoters, loads)
def test_rebalancing_moves_one_market_at_a_time_always_for_the_better_and_comes_to_rest(
    listed: list[Market], first: list[str], available: list[str], load: dict[str, float]
) -> None:
    assigned = assign(listed, available, assign(listed, first, {}))
    for _ in range(200):
        moved = rebalance(assigned, available, load)
        changed = [key for key in assigned if moved[key] != assigned[key]]
        if not changed:
            break
        (key,) = changed
        assert moved[key].epoch == assigned[key].epoch + 1
        before, after = (sorted(carried(table, load, available)) for table in (assigned, moved))
        assert sum(x * x for x in after) < sum(x * x for x in before)
        assigned = moved
    else:
        raise AssertionError("it never comes to rest")


def test_loads_are_what_the_quoters_count() -> None:
    assigned = {
        "0x01": Assignment("quoter-1", 1),
        "0x02": Assignment("quoter-2", 1),
        "0x03": Assignment("quoter-2", 1),
    }
    counted = MarketLoads()
    assert counted.of_markets(assigned) == {}
    for second, pid in ((0, 1), (10, 1), (20, 2)):
        counted.take_plans("quoter-1", pid, 30.0 * (second + 10 * (pid == 2) + 1) / 10, second * NS_PER_S)
        counted.take_plans("quoter-2", 1, float(second), second * NS_PER_S)
    counted.close_period(20 * NS_PER_S)
    found = counted.of_markets(assigned)
    assert found["0x02"] == found["0x03"] < found["0x01"]
    assert sum(found.values()) == 3.0


def test_the_brakes_make_mandates_smaller_and_wider_and_never_too_small_for_the_venue() -> None:
    (table,) = mandates([market(1)], {"0x01": Assignment("quoter-3", 4)}, SETTINGS)
    assert braked([table], SwarmState.NORMAL) == (table,)
    (cautious,) = braked([table], SwarmState.CAUTIOUS)
    assert (cautious.order_size_e6, cautious.spread_factor, cautious.is_reduce_only) == (
        10_000_000,
        2.0,
        False,
    )
    (smallest,) = braked([msgspec.structs.replace(table, order_size_e6=6_000_000)], SwarmState.CAUTIOUS)
    assert smallest.order_size_e6 == 5_000_000
    (reducing,) = braked([table], SwarmState.REDUCE_ONLY)
    assert reducing.is_reduce_only
    assert (reducing.quoter, reducing.epoch) == (table.quoter, table.epoch), "the mandate is the same one"
