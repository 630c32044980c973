"""Every client: the chain of heartbeat ids, the typed refusal, the cancel after silence."""

from pathlib import Path

import pytest
from client_port import Connector, HeartbeatMismatch, Limit, VenueClient
from venue_thread import record, running_venue, settings_for, snapshot


def test_a_chain(client: VenueClient) -> None:
    first = client.heartbeat()
    second = client.heartbeat(first)
    assert second != first
    with pytest.raises(HeartbeatMismatch) as refused:
        client.heartbeat("wrong")
    assert refused.value.expected == second
    assert isinstance(refused.value.__cause__, client.heartbeat_rejection)
    assert client.heartbeat(second) not in (first, second)


def test_silence_cancels_everything_of_the_key(tmp_path: Path, connect: Connector) -> None:
    record(tmp_path / "short", "btc-updown-1", [snapshot()])
    folder = tmp_path / "short"
    short = settings_for(folder, heartbeat_timeout_s=0.2, heartbeat_sweep_s=0.1, windows="off")
    with running_venue(short) as venue:
        beating, quiet = connect(venue=venue), connect("0x" + "11" * 32, venue=venue)
        beating.place(Limit(venue.market.yes_token, "BUY", "0.45"))
        quiet.place(Limit(venue.market.yes_token, "BUY", "0.44"))
        beating.heartbeat()
        while beating.open_orders():
            pass
        assert len(quiet.open_orders()) == 1
