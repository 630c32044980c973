"""Every client: API keys, what a key reaches, what a wallet holds."""

import dataclasses

import pytest
from client_port import Connector, Refused, VenueClient
from venue_thread import RunningVenue

UNAUTHORIZED = "Unauthorized/Invalid api key"


def test_a_key_is_created_once_and_derived_afterwards(venue: RunningVenue, connect: Connector) -> None:
    created, derived = connect(), connect()
    assert derived.credentials == created.credentials
    assert derived.api_keys() == [created.credentials.key]


def test_known_credentials_are_used_as_they_are(connect: Connector) -> None:
    first = connect()
    again = connect(credentials=first.credentials)
    assert again.credentials == first.credentials
    assert again.open_orders() == []


def test_another_nonce_revokes_the_first_key(connect: Connector) -> None:
    first = connect()
    second = connect(nonce=1)
    assert second.credentials.key != first.credentials.key
    with pytest.raises(Refused, match=UNAUTHORIZED) as refused:
        first.open_orders()
    assert refused.value.status == 401
    assert isinstance(refused.value.__cause__, first.rejection)
    assert second.api_keys() == [second.credentials.key]


def test_a_deleted_key_opens_nothing(connect: Connector) -> None:
    client = connect()
    client.delete_key()
    with pytest.raises(Refused, match=UNAUTHORIZED):
        client.open_orders()
    assert connect().open_orders() == []


def test_a_wrong_passphrase_opens_nothing(connect: Connector) -> None:
    known = connect().credentials
    client = connect(credentials=known)
    spoilt = dataclasses.replace(known, passphrase="0" * 64)
    # polymarket-client replaces credentials the venue does not know by derived ones; V2 uses what it is given.
    other = connect(credentials=spoilt)
    if other.credentials == spoilt:
        with pytest.raises(Refused, match=UNAUTHORIZED):
            other.open_orders()
    else:
        assert other.credentials == known
    assert client.open_orders() == []


def test_an_account_may_trade_freely(client: VenueClient) -> None:
    assert client.is_closed_only() is False


def test_balances(venue: RunningVenue, client: VenueClient) -> None:
    assert client.collateral() >= 1_000
    assert client.shares(venue.market.yes_token) == 0
    with pytest.raises(Refused) as refused:
        client.shares("5")
    assert refused.value.status == 400
