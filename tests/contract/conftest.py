"""One venue for each test, on free ports, and every client of the suite in turn."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

# The suite imports test files by path, so helpers beside them are found only this way.
sys.path.insert(0, str(Path(__file__).parent))

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


def _makes_clients_of(kinds: Iterable[str]) -> Callable[..., Iterator[Connector]]:
    """A fixture that makes clients of one kind; its tests run once for each kind."""

    @pytest.fixture(params=kinds)
    def connect(
        request: pytest.FixtureRequest, venue: RunningVenue, no_authorities: None
    ) -> Iterator[Connector]:
        with ExitStack() as opened:
            yield _connector(request.param, venue, opened)

    return connect


connect = _makes_clients_of(CLIENTS)
connect_streaming = _makes_clients_of(STREAMING)
# V2 knows no wrapper for session signers, and has no calls for rebates and for searching programmes.
connect_session = _makes_clients_of(SESSION_SIGNING)
connect_searching = _makes_clients_of(SEARCHING)


@pytest.fixture
def client(connect: Connector) -> VenueClient:
    """The development key's client."""
    return connect()
