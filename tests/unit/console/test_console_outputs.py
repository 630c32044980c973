"""Names that fit, and results whose place is tried before the work."""

from pathlib import Path

import pytest

from clawswarm.console.names import shortened
from clawswarm.console.outputs import require_writable
from clawswarm.model.errors import UserFault


def test_a_long_name_keeps_both_its_ends() -> None:
    names = ["bitcoin-up-or-down-november-26-2026-10pm-et", "bitcoin-up-or-down-november-26-2026-11pm-et"]
    shown = [shortened(name, 16) for name in names]
    assert shown == ["bitcoin…-10pm-et", "bitcoin…-11pm-et"]
    assert shortened("btc-5m", 16) == "btc-5m"
    assert len(shortened("x" * 100, 15)) == 15


def test_what_can_be_written_is_left_as_it_was(tmp_path: Path) -> None:
    old = tmp_path / "report.json"
    old.write_text("of an earlier run")
    require_writable(old, "--report")
    assert old.read_text() == "of an earlier run"
    require_writable(tmp_path / "new" / "report.json", "--report", makes_folder=True)
    assert not (tmp_path / "new" / "report.json").exists()


@pytest.mark.parametrize("place", [".", "none/report.json"])
def test_what_cannot_be_written_is_refused_with_its_option(tmp_path: Path, place: str) -> None:
    with pytest.raises(UserFault, match="give another --html"):
        require_writable(tmp_path / place, "--html")
