"""Keys, order signatures and request signatures, by the venue's official client package.

Only the process that owns the account imports this file. Nothing here prints a secret.
"""

import os
from pathlib import Path

import msgspec
from py_clob_client_v2.clob_types import ApiCreds, RequestArgs
from py_clob_client_v2.config import get_contract_config
from py_clob_client_v2.headers.headers import create_level_1_headers, create_level_2_headers
from py_clob_client_v2.order_utils.exchange_order_builder_v2 import ExchangeOrderBuilderV2
from py_clob_client_v2.order_utils.model.order_data_v2 import OrderDataV2, order_to_json_v2
from py_clob_client_v2.order_utils.model.side import Side as ClientSide
from py_clob_client_v2.signer import Signer

from clawswarm.model.errors import InvariantBroken
from clawswarm.model.instruments import Side
from clawswarm.model.units import PRICE_ONE_E4
from clawswarm.venues.polymarket.wire import ApiKey

SIZE_STEP_E6 = 10_000
"""The venue takes sizes in hundredths of a share."""


class TokenOrder(msgspec.Struct, frozen=True):
    """An order as the venue knows it: on one outcome token, at that token's price."""

    token_id: str
    side: Side
    price_e4: int
    size_e6: int
    neg_risk: bool
    timestamp_ms: int

    @property
    def notional_e6(self) -> int:
        """Money at stake, exact because sizes are hundredths and prices 1e-4. Raises InvariantBroken else."""
        if self.size_e6 % SIZE_STEP_E6:
            raise InvariantBroken(f"size {self.size_e6} is not in hundredths of a share")
        return self.price_e4 * self.size_e6 // PRICE_ONE_E4


class SignedOrder(msgspec.Struct, frozen=True):
    """A signed order: its id is known before it is sent."""

    order_id: str
    body: bytes


class Wallet:
    """One externally owned account (signature type 0) that signs orders and requests."""

    def __init__(self, private_key: str, chain_id: int) -> None:
        self._signer = Signer(private_key, chain_id)
        contracts = get_contract_config(chain_id)
        self._builders = {
            False: ExchangeOrderBuilderV2(contracts.exchange_v2, chain_id, self._signer),
            True: ExchangeOrderBuilderV2(contracts.neg_risk_exchange_v2, chain_id, self._signer),
        }

    def __repr__(self) -> str:
        return f"Wallet({self.address})"

    @property
    def address(self) -> str:
        """Checksummed address."""
        return str(self._signer.account.address)

    def sign_order(self, order: TokenOrder, key: ApiKey) -> SignedOrder:
        """Build, hash and sign one post-only GTC order."""
        is_buy = order.side is Side.BUY
        money, shares = str(order.notional_e6), str(order.size_e6)
        builder = self._builders[order.neg_risk]
        unsigned = OrderDataV2(
            maker=self.address,
            tokenId=order.token_id,
            makerAmount=money if is_buy else shares,
            takerAmount=shares if is_buy else money,
            side=ClientSide.BUY if is_buy else ClientSide.SELL,
            timestamp=str(order.timestamp_ms),
        )
        signed = builder.build_signed_order(unsigned)
        order_id = builder.build_order_hash(builder.build_order_typed_data(signed))
        wire = order_to_json_v2(signed, key.api_key, "GTC", post_only=True)
        return SignedOrder(order_id=order_id, body=msgspec.json.encode(wire))

    def login_headers(self, timestamp_s: int) -> dict[str, str]:
        """L1 headers, for the key endpoints alone."""
        return dict(create_level_1_headers(self._signer, timestamp=timestamp_s))

    def request_headers(
        self, key: ApiKey, method: str, path: str, body: bytes, timestamp_s: int
    ) -> dict[str, str]:
        """L2 headers of one request; `path` without query."""
        request = RequestArgs(method=method, request_path=path, serialized_body=body.decode() or None)
        credentials = ApiCreds(key.api_key, key.secret, key.passphrase)
        return dict(create_level_2_headers(self._signer, credentials, request, timestamp=timestamp_s))


def throwaway_key(path: Path) -> str:
    """The sandbox's own key: made once, kept in a file only its owner may read."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write("0x" + os.urandom(32).hex())
    return path.read_text()
