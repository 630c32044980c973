"""Signed orders and L1 headers made with the official client's own builders, for tests of the venue's checks."""

from py_clob_client_v2.headers.headers import create_level_1_headers
from py_clob_client_v2.order_utils.exchange_order_builder_v1 import ExchangeOrderBuilderV1
from py_clob_client_v2.order_utils.exchange_order_builder_v2 import ExchangeOrderBuilderV2
from py_clob_client_v2.order_utils.model.order_data_v1 import OrderDataV1, order_to_json_v1
from py_clob_client_v2.order_utils.model.order_data_v2 import OrderDataV2, order_to_json_v2
from py_clob_client_v2.order_utils.model.side import Side
from py_clob_client_v2.order_utils.model.signature_type_v1 import SignatureTypeV1
from py_clob_client_v2.order_utils.model.signature_type_v2 import SignatureTypeV2
from py_clob_client_v2.signer import Signer

from clawswarm.sandbox.identity.eip712 import EXCHANGE_V1, EXCHANGE_V2

DEV_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
SESSION_KEY = "0x" + "22" * 32
Json = dict[str, object]


class OfficialSigner:
    """One private key; orders of 10 shares at 0.52 unless said otherwise."""

    def __init__(self, private_key: str = DEV_KEY) -> None:
        self._signer = Signer(private_key, 137)
        self.address: str = self._signer.address()

    def l1_headers(self, now_s: int, nonce: int = 0) -> dict[str, str]:
        """Headers that create or derive a key."""
        return create_level_1_headers(self._signer, nonce, now_s)

    def order(
        self,
        owner: str,
        token: str,
        *,
        maker: str | None = None,
        signature_type: int = 0,
        contract: str = EXCHANGE_V2,
        version: str = "2",
        side: Side = Side.BUY,
        amounts: tuple[str, str] = ("5200000", "10000000"),
        post_only: bool = False,
        order_type: str = "GTC",
    ) -> Json:
        """Body of POST /order."""
        builder = ExchangeOrderBuilderV2(contract, 137, self._signer, domain_version=version)
        is_wallet = signature_type == 3
        data = OrderDataV2(
            maker=maker or self.address,
            signer=maker if is_wallet else self.address,
            tokenId=token,
            makerAmount=amounts[0],
            takerAmount=amounts[1],
            side=side,
            signatureType=SignatureTypeV2(signature_type),
            timestamp="1700000000123",
        )
        return order_to_json_v2(builder.build_signed_order(data), owner, order_type, post_only)

    def order_of_version_1(self, owner: str, token: str) -> Json:
        """The same order as the exchange before the cut-over took it."""
        builder = ExchangeOrderBuilderV1(EXCHANGE_V1, 137, self._signer)
        data = OrderDataV1(
            maker=self.address,
            taker="0x" + "00" * 20,
            tokenId=token,
            makerAmount="5200000",
            takerAmount="10000000",
            side=Side.BUY,
            signatureType=SignatureTypeV1.EOA,
        )
        return order_to_json_v1(builder.build_signed_order(data), owner, "GTC")
