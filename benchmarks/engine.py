"""Rows of order entry: what is decided in, the bytes of its request out.

Peers: the venue's official Python client (`py-clob-client-v2`, its signatures by `coincurve`) doing the same from
Python, and one bare libsecp256k1 recoverable signature (`coincurve`, a prepared digest in, 65 bytes out), which no
order can be faster than. An API key is taken once, on both sides, as a process does.
"""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import msgspec
from coincurve import PrivateKey
from py_clob_client_v2.clob_types import ApiCreds, RequestArgs
from py_clob_client_v2.config import get_contract_config
from py_clob_client_v2.headers.headers import create_level_2_headers
from py_clob_client_v2.order_utils.exchange_order_builder_v2 import ExchangeOrderBuilderV2
from py_clob_client_v2.order_utils.model.order_data_v2 import OrderDataV2, order_to_json_v2
from py_clob_client_v2.order_utils.model.side import Side as ClientSide
from py_clob_client_v2.signer import Signer

from benchmarks.measure import Candidate, Missing, Observation, Row, compare, observe, time_us
from clawswarm._core import OrderSigner, RequestSigner, amounts

CHAIN_ID = 137
PRIVATE_KEY = bytes(range(1, 33))
ADDRESS = OrderSigner(PRIVATE_KEY, CHAIN_ID, 0, None).address
TOKEN = "71321045679252212594626385532706912750332728571942532289631379312455583992563"
API_KEY = "00000000-0000-0000-0000-000000000001"
SECRET = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
PASSPHRASE = "0" * 64
ORDER_ID = "0x" + "ab" * 32
CREDENTIALS = ApiCreds(API_KEY, SECRET, PASSPHRASE)
NOW_S = 1_700_000_000
# rust/core/benches/cancel_bytes.rs, beside the interpreter like the engine.
CANCEL_BYTES = Path(sys.executable).with_name("cancel-bytes")
# The official client takes a third of a millisecond an order.
PEER_SHARE = 10


def rows(n: int) -> list[Row]:
    """Every row of this file."""
    return [order_bytes(n // PEER_SHARE), order_bytes_floor(n), cancel_bytes(n)]


def order_bytes(n: int) -> Row:
    """`engine.order_bytes`: round, build, hash, sign and write one order, and sign its request."""
    signer = OrderSigner(PRIVATE_KEY, CHAIN_ID, 0, None)
    own = Candidate("clawswarm", _Orders(signer).request)
    peer = Candidate("py-clob-client-v2 + coincurve", _OfficialOrders().request)
    return compare("engine.order_bytes", own, peer, n)


def order_bytes_floor(n: int) -> Row:
    """`engine.order_bytes_floor`: the same beside one bare signature; a ratio of 0.67 is 1.5 times its time."""
    signer = OrderSigner(PRIVATE_KEY, CHAIN_ID, 0, None)
    key, digest = PrivateKey(PRIVATE_KEY), os.urandom(32)
    own = Candidate("clawswarm", _Orders(signer).request)
    peer = Candidate("bare signature (coincurve)", lambda: key.sign_recoverable(digest, hasher=None))
    return compare("engine.order_bytes_floor", own, peer, n)


def cancel_bytes(n: int) -> Row:
    """`engine.cancel_bytes`: the body of `DELETE /order`, and all headers that sign its request.

    Ours is the core's own code, timed call by call in a process without Python, as the engine is one.
    """
    official = Signer("0x" + PRIVATE_KEY.hex(), CHAIN_ID)

    def cancel() -> dict[str, str]:
        text = msgspec.json.encode({"orderID": ORDER_ID}).decode()
        request = RequestArgs(method="DELETE", request_path="/order", serialized_body=text)
        return dict(create_level_2_headers(official, CREDENTIALS, request, NOW_S))

    def run() -> Observation:
        if not CANCEL_BYTES.exists():
            raise Missing(f"{CANCEL_BYTES.name} is not built; make bench builds it")
        peer = Candidate("py-clob-client-v2", cancel)
        own_us: list[float] = []
        peer_us: list[float] = []
        with subprocess.Popen([CANCEL_BYTES], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            for _ in range(n):
                child.stdin.write(b"\n")
                child.stdin.flush()
                own_us.append(int(child.stdout.readline()) / 1_000)
                peer_us.append(time_us(peer))
        return Observation(own_us, peer=peer.name, peer_samples=peer_us)

    return observe("engine.cancel_bytes", "µs", run)


class _Orders:
    """Our orders, each with a salt of its own."""

    def __init__(self, signer: OrderSigner) -> None:
        self._signer = signer
        self._requests = RequestSigner(ADDRESS, API_KEY, SECRET, PASSPHRASE)
        self._salts = itertools.count(1)

    def request(self) -> dict[str, str]:
        maker, taker = amounts(5_200, 10_000_000, "BUY", 100)
        _, body = self._signer.sign_order(
            TOKEN, "BUY", maker, taker, next(self._salts), NOW_S * 1_000, False, API_KEY, True, "GTC", 0
        )
        return self._requests.headers("POST", "/order", body, NOW_S)


class _OfficialOrders:
    """The official client's own steps, its rounding left out and its builder kept between orders."""

    def __init__(self) -> None:
        self._signer = Signer("0x" + PRIVATE_KEY.hex(), CHAIN_ID)
        salts = itertools.count(1)
        contract = get_contract_config(CHAIN_ID).exchange_v2
        self._builder = ExchangeOrderBuilderV2(contract, CHAIN_ID, self._signer, lambda: str(next(salts)))

    def request(self) -> dict[str, str]:
        unsigned = OrderDataV2(
            maker=self._signer.address(),
            tokenId=TOKEN,
            makerAmount="5200000",
            takerAmount="10000000",
            side=ClientSide.BUY,
            timestamp=str(NOW_S * 1_000),
        )
        signed = self._builder.build_signed_order(unsigned)
        self._builder.build_order_hash(self._builder.build_order_typed_data(signed))
        body = msgspec.json.encode(order_to_json_v2(signed, API_KEY, "GTC", post_only=True)).decode()
        request = RequestArgs(method="POST", request_path="/order", serialized_body=body)
        return dict(create_level_2_headers(self._signer, CREDENTIALS, request, NOW_S))
