"""The command that settles a recorded feed and compares with the venue's word."""

import gzip
import json
from pathlib import Path

import pytest

from clawswarm.lab import outcomes

START = 1_784_851_200


def recording(folder: Path, final: int, *, closing: bool = True) -> Path:
    """One window that the venue called Up, and its feed."""
    window = {
        "slug": "btc-updown-5m",
        "start_sec": START,
        "end_sec": START + 300,
        "outcome_prices": ["1", "0"],
        "strike_value": "100",
        "raw": {},
    }
    (folder / "BTC-5m-markets.jsonl.gz").write_bytes(gzip.compress(json.dumps(window).encode()))
    rows = [(START, 100), (START + 299, final), (START + 301, 7)]
    if closing:
        rows.insert(2, (START + 300, final))
    lines = ["feed_ts_ms,full_accuracy_value,recv_ms", *(f"{s * 1000},{v},{s * 1000}" for s, v in rows)]
    (folder / "BTCUSD-prices.csv.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    return folder


@pytest.mark.parametrize(
    ("final", "closing", "code", "line"),
    [
        (100, True, 0, "exact: tie"),
        (101, True, 0, "exact: agrees"),
        (99, True, 1, "differs: exact btc-updown-5m"),
        (99, False, 0, "differs: gap btc-updown-5m"),
    ],
)
def test_the_counts_and_the_exit_code(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    final: int,
    closing: bool,
    code: int,
    line: str,
) -> None:
    folder = recording(tmp_path, final, closing=closing)
    monkeypatch.setattr("sys.argv", ["outcomes", str(folder)])
    with pytest.raises(SystemExit) as ended:
        outcomes.main()
    assert ended.value.code == code
    printed = capsys.readouterr().out
    assert line in printed
    assert "strike agrees" in printed


@pytest.mark.parametrize("broken", ["BTC-5m-markets.jsonl.gz", "BTCUSD-prices.csv.gz"])
def test_a_folder_without_a_recording_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    (recording(tmp_path, 100) / broken).write_bytes(b"\x1f\x8b")
    monkeypatch.setattr("sys.argv", ["outcomes", str(tmp_path)])
    with pytest.raises(SystemExit, match="name the folder"):
        outcomes.main()
