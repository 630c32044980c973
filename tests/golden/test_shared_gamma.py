"""Every Gamma object of the shared recordings: read by our discovery and by the official client's models.

The recordings carry no licence to be published: they lie beside the repository, the test runs where they are.
"""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from polymarket.models import Event, Market

from clawswarm.model.errors import WireFault
from clawswarm.venues.polymarket.discovery import read_market

SHARED = Path(__file__).parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared recordings are not on this machine")


def load(path: Path) -> Any:
    raw = path.read_bytes()
    return json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)


def events() -> Iterator[dict[str, Any]]:
    yield load(SHARED / "trebuchet-negrisk-event-2026-05/gamma-event.json.gz")
    fixture = load(SHARED / "fixtures-nautilus-trader/polymarket/gamma_event.json")
    yield from fixture if isinstance(fixture, list) else [fixture]
    for search in (
        SHARED / "trebuchet-negrisk-event-2026-05/gamma-search.json.gz",
        SHARED / "fixtures-nautilus-trader/polymarket/search_response.json",
    ):
        yield from load(search).get("events") or []


def markets() -> Iterator[dict[str, Any]]:
    for path in sorted((SHARED / "wakeupnemo-gamma-market-pages-2026-03").glob("*.json.gz")):
        yield from load(path)["markets"]
    lines = gzip.decompress(
        (SHARED / "ligengxin-rtds-chainlink-btc-2026-07-24/BTC-5m-markets.jsonl.gz").read_bytes()
    )
    for line in lines.splitlines():
        yield json.loads(line)["raw"]
    for path in sorted((SHARED / "fixtures-nautilus-trader/polymarket").glob("gamma_market*.json")):
        found = load(path)
        yield from found if isinstance(found, list) else [found]
    for event in events():
        yield from event.get("markets") or []


def test_every_market_is_read_or_left_out_with_a_reason() -> None:
    read, left_out = 0, []
    for record in markets():
        try:
            listing = read_market(msgspec.json.encode(record))
        except WireFault as fault:
            left_out.append(str(fault))
            continue
        read += 1
        assert listing.market.condition_id == record["conditionId"]
        tokens = record["clobTokenIds"]
        tokens = json.loads(tokens) if isinstance(tokens, str) else tokens
        assert {listing.market.yes_token, listing.market.no_token} == set(tokens)
    print(f"{read} markets read, {len(left_out)} left out: {sorted(set(left_out))}")
    assert read >= 340
    assert len(left_out) <= 5, left_out


def test_the_official_models_read_them_too() -> None:
    count = 0
    for record in markets():
        outcomes = record.get("outcomes")
        outcomes = json.loads(outcomes) if isinstance(outcomes, str) else outcomes or []
        if len(outcomes) == 2:
            Market.parse_response(record)
            count += 1
    for event in events():
        Event.parse_response(event)
    assert count >= 340
