"""A little of Polygon's JSON-RPC: what the official client asks of the chain before it writes to it.

`POST /rpc` answers eth_chainId, eth_blockNumber, eth_getBlockByNumber and eth_call of balances, allowances and
operators, single or as a batch.
"""

from collections.abc import Callable

import msgspec
from aiohttp import web
from eth_abi.abi import decode as abi_decode
from eth_abi.abi import encode as abi_encode
from eth_abi.exceptions import DecodingError

from clawswarm.sandbox.chain.calls import argument_types, selector
from clawswarm.sandbox.chain.contracts import (
    COLLATERAL_TOKEN,
    CONDITIONAL_TOKENS,
    NEG_RISK_ADAPTER,
    POSITION_MANAGER,
)
from clawswarm.sandbox.exchange.accounts import COLLATERAL
from clawswarm.sandbox.identity.eip712 import CHAIN_ID, Malformed, checksum_address, hex_bytes
from clawswarm.sandbox.identity.wallets import DEPOSIT_BEACON, DEPOSIT_FACTORY
from clawswarm.sandbox.rest.wire import answer
from clawswarm.sandbox.venue import Venue

_NS_PER_S = 1_000_000_000
_BLOCK_S = 2
_REVERTED, _NOT_FOUND, _INVALID = 3, -32601, -32600
_TOKENS = (CONDITIONAL_TOKENS, NEG_RISK_ADAPTER, POSITION_MANAGER)


class _Request(msgspec.Struct):
    method: str
    id: object = None
    params: list[object] = []


class _Fault(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class RpcRest:
    """The handler of `/rpc`."""

    def __init__(self, venue: Venue, now_ns: Callable[[], int]) -> None:
        self._venue = venue
        self._now_ns = now_ns
        self._views: dict[bytes, tuple[list[str], Callable[[str, tuple[object, ...]], bytes]]] = {
            selector(text): (argument_types(text) if "()" not in text else [], view)
            for text, view in (
                ("balanceOf(address)", self._collateral),
                ("allowance(address,address)", self._allowance),
                ("balanceOf(address,uint256)", self._balance),
                ("balanceOfBatch(address[],uint256[])", self._balances),
                ("isApprovedForAll(address,address)", self._operator),
                ("beacon()", self._beacon),
            )
        }

    def routes(self) -> list[web.RouteDef]:
        """Method and path."""
        return [web.post("/rpc", self.rpc)]

    async def rpc(self, request: web.Request) -> web.Response:
        """One call, or several."""
        raw = await request.read()
        try:
            asked = msgspec.json.decode(raw, type=_Request | list[_Request])
        except (msgspec.MsgspecError, RecursionError):
            return answer(
                {"jsonrpc": "2.0", "id": None, "error": {"code": _INVALID, "message": "invalid request"}}
            )
        if isinstance(asked, list):
            return answer([self._answered(one) for one in asked])
        return answer(self._answered(asked))

    def _answered(self, asked: _Request) -> dict[str, object]:
        head: dict[str, object] = {"jsonrpc": "2.0", "id": asked.id}
        try:
            return head | {"result": self._result(asked)}
        except _Fault as fault:
            return head | {"error": {"code": fault.code, "message": str(fault)}}

    def _result(self, asked: _Request) -> object:
        now_s = self._now_ns() // _NS_PER_S
        match asked.method:
            case "eth_chainId":
                return hex(CHAIN_ID)
            case "eth_blockNumber":
                return hex(now_s // _BLOCK_S)
            case "eth_getBlockByNumber":
                return {"number": hex(now_s // _BLOCK_S), "timestamp": hex(now_s)}
            case "eth_call":
                return self._call(asked.params)
        raise _Fault(_NOT_FOUND, f"the method {asked.method} does not exist")

    def _call(self, params: list[object]) -> str:
        call = params[0] if params else None
        if not isinstance(call, dict):
            raise _Fault(_INVALID, "invalid params")
        try:
            target, data = checksum_address(str(call.get("to"))), hex_bytes(str(call.get("data")))
            view = self._views.get(data[:4])
            if view is None:
                raise _Fault(_REVERTED, "execution reverted")
            types, read = view
            return "0x" + read(target, abi_decode(types, data[4:])).hex()
        except (Malformed, DecodingError) as fault:
            raise _Fault(_REVERTED, "execution reverted") from fault

    # --- views ----------------------------------------------------------------------------------

    def _held(self, owner: object, token: str) -> int:
        account = self._venue.exchange.ledger.accounts.get(checksum_address(str(owner)))
        return 0 if account is None else max(0, self._venue.chain.held_e6(account, token))

    def _collateral(self, target: str, values: tuple[object, ...]) -> bytes:
        _expect(target == COLLATERAL_TOKEN)
        return abi_encode(["uint256"], [self._held(values[0], COLLATERAL)])

    def _allowance(self, target: str, values: tuple[object, ...]) -> bytes:
        _expect(target == COLLATERAL_TOKEN)
        owner, spender = (checksum_address(str(value)) for value in values)
        return abi_encode(["uint256"], [self._venue.chain.approvals.allowance(owner, spender)])

    def _balance(self, target: str, values: tuple[object, ...]) -> bytes:
        _expect(target in _TOKENS)
        return abi_encode(["uint256"], [self._held(values[0], str(values[1]))])

    def _balances(self, target: str, values: tuple[object, ...]) -> bytes:
        owners, tokens = values
        _expect(target in _TOKENS and isinstance(owners, tuple) and isinstance(tokens, tuple))
        assert isinstance(owners, tuple)
        assert isinstance(tokens, tuple)
        _expect(len(owners) == len(tokens))
        held = [self._held(owner, str(token)) for owner, token in zip(owners, tokens, strict=True)]
        return abi_encode(["uint256[]"], [held])

    def _operator(self, target: str, values: tuple[object, ...]) -> bytes:
        _expect(target in _TOKENS)
        owner, operator = (checksum_address(str(value)) for value in values)
        return abi_encode(["bool"], [self._venue.chain.approvals.is_operator(owner, target, operator)])

    def _beacon(self, target: str, _values: tuple[object, ...]) -> bytes:
        _expect(target == DEPOSIT_FACTORY)
        return abi_encode(["address"], [DEPOSIT_BEACON])


def _expect(is_right: bool) -> None:
    if not is_right:
        raise _Fault(_REVERTED, "execution reverted")
