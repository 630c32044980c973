"""One venue for each test, on free ports, and every client of the suite in turn; nothing may meet a proxy."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

# The suite imports test files by path, so helpers beside them are found only this way.
sys.path.insert(0, str(Path(__file__).parent))
# Before the clients are imported: py-clob-client-v2 reads the proxy variables once, at its import.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"

from client_port import Connect, Connector, VenueClient
from official_pc import connect_async, connect_sync
from official_v2 import connect_v2
from venue_thread import DEV_KEY, RunningVenue, record, running_venue, settings_for, snapshot

# A fourth client joins the suite with one line here.
CLIENTS: dict[str, Connect] = {
    "v2": connect_v2,
    "pc": connect_sync,
    "pc-async": connect_async,
}
STREAMING = ("pc-async",)
SESSION_SIGNING = SEARCHING = ("pc", "pc-async")


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[RunningVenue]:
    """One market, 0.45 / 0.47, that does not move by itself."""
    record(tmp_path, "btc-updown-1", [snapshot()])
    with running_venue(settings_for(tmp_path)) as running:
        yield running


def _connector(kind: str, default: RunningVenue, opened: ExitStack) -> Connector:
    def connect(private_key: str = DEV_KEY, *, venue: RunningVenue = default, **names: object) -> VenueClient:
        client = CLIENTS[kind](venue, private_key, **names)
        opened.callback(client.close)
        return client

    return connect


@pytest.fixture
def no_authorities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty store of certificates: nothing here is encrypted, and loading the real one takes a client 0.3 s."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))


@pytest.fixture(params=CLIENTS)
def connect(request: pytest.FixtureRequest, venue: RunningVenue, no_authorities: None) -> Iterator[Connector]:
    """Makes clients of one kind; the tests run once for each kind."""
    with ExitStack() as opened:
        yield _connector(request.param, venue, opened)


@pytest.fixture(params=STREAMING)
def connect_streaming(
    request: pytest.FixtureRequest, venue: RunningVenue, no_authorities: None
) -> Iterator[Connector]:
    """Makes clients of one kind that has streams."""
    with ExitStack() as opened:
        yield _connector(request.param, venue, opened)


@pytest.fixture(params=SESSION_SIGNING)
def connect_session(
    request: pytest.FixtureRequest, venue: RunningVenue, no_authorities: None
) -> Iterator[Connector]:
    """Makes clients of one kind that can sign as a session signer; V2 knows no wrapper for it."""
    with ExitStack() as opened:
        yield _connector(request.param, venue, opened)


@pytest.fixture(params=SEARCHING)
def connect_searching(
    request: pytest.FixtureRequest, venue: RunningVenue, no_authorities: None
) -> Iterator[Connector]:
    """Makes clients of one kind that has the calls for rebates and for searching programmes; V2 has neither."""
    with ExitStack() as opened:
        yield _connector(request.param, venue, opened)


@pytest.fixture
def client(connect: Connector) -> VenueClient:
    """The development key's client."""
    return connect()
