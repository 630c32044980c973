"""One venue for each test, on free ports; nothing may be sent through a proxy."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# The suite imports test files by path, so helpers beside them are found only this way.
sys.path.insert(0, str(Path(__file__).parent))
os.environ["NO_PROXY"] = "127.0.0.1,localhost"

from venue_thread import RunningVenue, record, running_venue, settings_for, snapshot


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[RunningVenue]:
    """One market, 0.45 / 0.47, that does not move by itself."""
    record(tmp_path, "btc-updown-1", [snapshot()])
    with running_venue(settings_for(tmp_path)) as running:
        yield running
