"""sd_notify: datagrams on a real socket, and a pulse that can never hurt its sender."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from clawswarm.kernel.notify import Notifier


@pytest.fixture
def supervisor(socket_dir: Path) -> Iterator[socket.socket]:
    """The other end, as systemd or the supervisor hold it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(socket_dir / "notify"))
        listening.settimeout(30)
        yield listening


def test_every_word_is_one_datagram(supervisor: socket.socket) -> None:
    notifier = Notifier(supervisor.getsockname())
    notifier.ready()
    notifier.alive()
    notifier.status("mend it\nlike this")
    notifier.stopping()
    said = [supervisor.recv(4096).decode() for _ in range(4)]
    assert said == ["READY=1", "WATCHDOG=1", "STATUS=mend it like this", "STOPPING=1"]


def test_the_address_comes_from_the_environment(
    supervisor: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", supervisor.getsockname())
    Notifier().ready()
    assert supervisor.recv(4096) == b"READY=1"


def test_without_an_address_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    Notifier().ready()
    Notifier("").alive()


def test_a_supervisor_that_is_gone_does_not_kill_the_sender(socket_dir: Path) -> None:
    notifier = Notifier(str(socket_dir / "nobody"))
    notifier.ready()
    notifier.alive()


@pytest.mark.timeout(60)
def test_a_supervisor_that_reads_no_more_does_not_block_the_sender(supervisor: socket.socket) -> None:
    notifier = Notifier(supervisor.getsockname())
    notifier.ready()
    for _ in range(20_000):
        notifier.alive()
    assert supervisor.recv(4096) == b"READY=1"
