"""Who is in the swarm."""

from collections import Counter

import pytest

from clawswarm.runtime.roster import AGENT_KINDS, AGENTS, BUS_PEERS, ENGINE, SANDBOX, SUPERVISOR, kind_of


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("quoter-3", "quoter"),
        ("sentinel-2", "sentinel"),
        ("risk-manager-1", "risk_manager"),
        ("orchestrator", "orchestrator"),
        ("engine", "engine"),
        ("sandbox", "sandbox"),
        ("quoter-12", "quoter"),
    ],
)
def test_the_kind_of_a_process_is_in_its_name(name: str, kind: str) -> None:
    assert kind_of(name) == kind


def test_eleven_agents_of_four_kinds() -> None:
    assert Counter(kind_of(name) for name in AGENTS) == {
        "orchestrator": 1,
        "sentinel": 2,
        "quoter": 6,
        "risk_manager": 2,
    }
    assert set(AGENT_KINDS) == {kind_of(name) for name in AGENTS}
    assert len(set(AGENTS)) == 11


def test_everyone_but_the_venue_is_on_the_bus() -> None:
    assert set(BUS_PEERS) == {SUPERVISOR, ENGINE, *AGENTS}
    assert SANDBOX not in BUS_PEERS
