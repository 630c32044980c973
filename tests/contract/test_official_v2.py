"""What only py-clob-client-v2 has: the service routes, the market pages, a key refused rather than derived."""

import pytest
from py_clob_client_v2.client import ClobClient
from py_clob_client_v2.clob_types import OrderArgs, PricesHistoryParams
from py_clob_client_v2.exceptions import PolyApiException
from venue_thread import DEV_KEY, RunningVenue


@pytest.fixture
def public(venue: RunningVenue) -> ClobClient:
    """A client without a key."""
    return ClobClient(venue.url, 137)


def test_service_routes(public: ClobClient) -> None:
    assert public.get_ok() == "OK"
    assert public.get_version() == 2
    assert isinstance(public.get_server_time(), int)


def test_a_second_key_is_refused(venue: RunningVenue) -> None:
    fresh = ClobClient(venue.url, 137, key=DEV_KEY)
    created = fresh.create_api_key()
    with pytest.raises(PolyApiException, match="Could not create api key"):
        fresh.create_api_key()
    assert fresh.derive_api_key() == created
    with pytest.raises(PolyApiException, match="Could not derive api key!"):
        fresh.derive_api_key(nonce=7)


def test_the_clock_of_the_server(venue: RunningVenue) -> None:
    fresh = ClobClient(venue.url, 137, key=DEV_KEY, use_server_time=True)
    fresh.set_api_creds(fresh.create_or_derive_api_key())
    assert fresh.get_open_orders() == []


def test_market_pages(venue: RunningVenue, public: ClobClient) -> None:
    page = public.get_markets()
    assert (page["next_cursor"], len(page["data"])) == ("LTE=", 1)
    record = public.get_market(venue.market.condition_id)
    assert record == page["data"][0]
    assert [t["token_id"] for t in record["tokens"]] == [venue.market.yes_token, venue.market.no_token]
    assert public.get_clob_market_info(venue.market.condition_id)["fd"] == {"r": 0.07, "e": 1, "to": True}
    for pages in (
        public.get_simplified_markets,
        public.get_sampling_markets,
        public.get_sampling_simplified_markets,
    ):
        page = pages()
        assert page["next_cursor"] == "LTE="
        assert [item["condition_id"] for item in page["data"]] in ([], [venue.market.condition_id])


def test_the_history_of_prices(venue: RunningVenue, public: ClobClient) -> None:
    params = PricesHistoryParams(market=venue.market.yes_token, interval="1h", fidelity=1)
    (*_, now) = public.get_prices_history(params)["history"]
    assert now["p"] == 0.46


def test_orders_wait_for_their_transaction(venue: RunningVenue) -> None:
    fresh = ClobClient(venue.url, 137, key=DEV_KEY)
    fresh.set_api_creds(fresh.create_or_derive_api_key())
    args = OrderArgs(token_id=venue.market.yes_token, price=0.47, size=10, side="BUY")
    answer = fresh.create_and_post_order(args)
    (tx_hash,) = answer["transactionsHashes"]
    assert len(tx_hash) == 66
