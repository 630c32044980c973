"""A whole day of the engine's machine on virtual time, against the sandbox's venue without its sockets."""

import pytest

from simulation.engine_day import Day

# A day is some twenty seconds of work; a busy machine may need minutes for it.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def day() -> tuple[Day, str]:
    played = Day(seed=7)
    return played, played.run(hours=24)


def test_a_day_of_plans_leaves_the_engine_and_the_venue_of_one_mind(day: tuple[Day, str]) -> None:
    played, _ = day
    venue = {order.id: order.remaining_e6 for order in played.venue.open_customer_orders()}
    engine = {order.order_id: order.remaining_e6 for order in played.engine.open_orders()}
    assert engine == venue
    assert not any(order.is_unknown for order in played.engine.open_orders())
    for market in played.markets:
        held = played.engine.held(market.condition_id)
        tokens = played.account.tokens_e6
        assert (held.yes_e6, held.no_e6) == (tokens.get(market.yes_token, 0), tokens.get(market.no_token, 0))
    assert played.venue.exchange.ledger.imbalance_e6() == 0
    assert played.explained == []


def test_the_day_was_not_an_easy_one(day: tuple[Day, str]) -> None:
    counts = day[0].counts
    assert counts["plans"] > 5_000
    assert counts["PublishFill"] > 1_000
    assert counts["order unknown"] > 20
    assert counts["feed lost"] > 10
    assert counts["quoter lost"] > 10
    assert counts["PublishDeadman"] > 20


def test_every_order_that_the_venue_ever_saw_was_journalled_first(day: tuple[Day, str]) -> None:
    played, _ = day
    assert played.venue.exchange.orders.keys() <= played.intents.keys()


def test_asked_to_stop_it_leaves_nothing_open(day: tuple[Day, str]) -> None:
    played, _ = day
    played.stop()
    assert played.exit_code == 0
    assert played.venue.open_customer_orders() == []


def test_the_same_seed_gives_the_same_journal_and_another_seed_another() -> None:
    hashes = []
    for seed in (11, 11, 12):
        played = Day(seed)
        hashes.append((played.run(hours=2), played.venue.journal.digest()))
    assert hashes[0] == hashes[1]
    assert hashes[0][0] != hashes[2][0]
    assert hashes[0][1] != hashes[2][1]
