"""The engine's part towards the wallet's client, without the engine: an account, and signatures of its batches."""

from collections.abc import Sequence

from polymarket import AsyncSecureClient
from venue_thread import DEV_ADDRESS, DEV_KEY, RunningVenue

from clawswarm._core import OrderSigner
from clawswarm.kernel.clock import Clock, SystemClock
from clawswarm.model.messages import AccountOpened
from clawswarm.model.positions import Unwinding
from clawswarm.sandbox.identity.wallets import deposit_wallet
from clawswarm.venues.polymarket.keyless import ChainAddresses, environment_of

WALLET = deposit_wallet(DEV_ADDRESS)


def addresses_of(venue: RunningVenue) -> ChainAddresses:
    """All hosts on one port."""
    return ChainAddresses(
        clob=venue.url,
        gamma=venue.url + "/gamma",
        data=venue.url + "/data-api",
        relayer=venue.url,
        rpc=venue.url + "/rpc",
    )


def with_key(venue: RunningVenue) -> "tuple[KeyHolder, ChainAddresses, Clock]":
    """Whoever signs for the development account, where its venue is, and the time."""
    addresses, clock = addresses_of(venue), SystemClock()
    return KeyHolder(addresses, clock), addresses, clock


class KeyHolder:
    """Owner of the development account."""

    def __init__(self, addresses: ChainAddresses, clock: Clock) -> None:
        self._addresses, self._clock = addresses, clock
        self._signer = OrderSigner(bytes.fromhex(DEV_KEY[2:]), 137, 3, WALLET)

    async def client(self) -> AsyncSecureClient:
        """The official client with the key itself, to trade with."""
        return await AsyncSecureClient.create(
            private_key=DEV_KEY, environment=environment_of(self._addresses)
        )

    async def open_account(self) -> AccountOpened:
        """Log in."""
        client = await self.client()
        credentials = client.credentials
        await client.close()
        return AccountOpened(
            address=DEV_ADDRESS,
            wallet=WALLET,
            signature_type=3,
            api_key=credentials.key,
            secret=credentials.secret,
            passphrase=credentials.passphrase,
            venue_ms=self._clock.wall_ms(),
            venue_at_ns=self._clock.now_ns(),
        )

    async def sign(self, nonce: int, deadline_s: int, batch: Sequence[Unwinding]) -> str:
        """Sign a batch."""
        calls = [(a.kind.value, a.market, a.neg_risk, a.amount_e6) for a in batch]
        return self._signer.sign_batch(nonce, deadline_s, calls)
