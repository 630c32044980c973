"""A venue that cannot prove who it is gets no word of ours: not at the login, not later, not about the region."""

import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from eth_account import Account

from contract.venue_thread import RunningVenue
from faults.engine_alone import EngineAlone, certified, secure_venue

DAY_MS = 86_400_000


def address_of(folder: Path) -> str:
    """The address of the engine's throw-away key."""
    return Account.from_key((folder / "run/engine/throwaway.key").read_text().strip()).address


def known_keys(venue: RunningVenue, address: str) -> list[str]:
    return venue.look(lambda server: server.venue.keys.keys_of(address))


def wrong_authority(folder: Path) -> ssl.SSLContext:
    certified(folder / "trusted")
    return certified(folder / "other")


def expired(folder: Path) -> ssl.SSLContext:
    return certified(folder / "trusted", -60 * DAY_MS)


def not_yet_valid(folder: Path) -> ssl.SSLContext:
    return certified(folder / "trusted", 60 * DAY_MS)


def wrong_host(folder: Path) -> ssl.SSLContext:
    return certified(folder / "trusted", address="127.0.0.2")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (wrong_authority, "BadSignature"),
        (expired, "expired"),
        (not_yet_valid, "not valid yet"),
        (wrong_host, "not valid for name"),
    ],
)
def test_a_venue_with_a_certificate_that_proves_nothing(
    tmp_path: Path, make: Callable[[Path], ssl.SSLContext], words: str
) -> None:
    with (
        secure_venue(tmp_path, make(tmp_path)) as venue,
        EngineAlone(tmp_path, venue, tmp_path / "trusted") as engine,
    ):
        engine.until_logged("event=engine.recover.retry", times=3)
        assert words in engine.log()
        assert known_keys(venue, address_of(tmp_path)) == []
        assert engine.stop() == 78
        assert "the venue does not answer" in engine.log()


def test_a_handshake_that_stalls_is_given_up(tmp_path: Path) -> None:
    with (
        secure_venue(tmp_path, certified(tmp_path / "trusted")) as venue,
        socket.create_server(("127.0.0.1", 0)) as stalled,
    ):
        url = f"https://127.0.0.1:{stalled.getsockname()[1]}"
        with EngineAlone(tmp_path, venue, tmp_path / "trusted", clob_url=url) as engine:
            engine.until_logged("event=engine.recover.retry", times=2)
            connection, _ = stalled.accept()
            with connection:
                connection.settimeout(30)
                hello = b""
                while part := connection.recv(4096):
                    hello += part
            assert hello[:1] == b"\x16", "a ClientHello"
            assert b"GET " not in hello
            assert engine.stop() == 78


def test_a_region_is_not_believed_of_a_stranger(tmp_path: Path) -> None:
    with (
        secure_venue(tmp_path, certified(tmp_path / "trusted")) as venue,
        secure_venue(tmp_path / "impostor", certified(tmp_path / "other")) as impostor,
    ):
        url = f"https://127.0.0.1:{impostor.server.port}/api/geoblock"
        with EngineAlone(tmp_path, venue, tmp_path / "trusted", region_url=url) as engine:
            engine.until_ready()
            engine.until_logged("event=engine.region.unclear")
            assert engine.place(until="eligibility: ")
            assert "BadSignature" in engine.log()
            assert engine.stop() == 0


def test_a_venue_that_changes_its_authority_is_left_alone(tmp_path: Path) -> None:
    """The certificate changes under a running engine: nothing is withdrawn over a stranger's connection."""
    with secure_venue(tmp_path, certified(tmp_path / "trusted")) as venue:
        port = venue.server.port
        engine = EngineAlone(tmp_path, venue, tmp_path / "trusted")
        engine.__enter__()
        engine.until_ready()
        assert engine.place()
    try:
        other = tmp_path / "impostor"
        with secure_venue(other, certified(other / "tls"), port=port) as impostor:
            # User feed, heartbeat, reconciliation: whatever it tries, nobody there is told anything.
            engine.until_logged("BadSignature", times=20)
            engine.until_logged("event=engine.reconcile.failed", times=3)
            assert known_keys(impostor, address_of(tmp_path)) == []
    finally:
        engine.__exit__()
