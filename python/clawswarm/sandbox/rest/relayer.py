"""The relayer's routes (polymarket.md §9): submit, transactions, nonces, deployed wallets.

Submitting takes a builder key's HMAC (`POLY_BUILDER_*`), or a relayer key and its address; reading takes nothing.
"""

from aiohttp import web

from clawswarm.sandbox.chain.approvals import UNLIMITED
from clawswarm.sandbox.chain.contracts import COLLATERAL_TOKEN, OPERATORS, SPENDERS
from clawswarm.sandbox.chain.relayer import RelayedTransaction, Submission
from clawswarm.sandbox.data_api import rest as data_api
from clawswarm.sandbox.exchange import refusals
from clawswarm.sandbox.exchange.refusals import VenueRefusal
from clawswarm.sandbox.identity.eip712 import CHAIN_ID, Malformed, checksum_address
from clawswarm.sandbox.rest.caller import Caller, decode
from clawswarm.sandbox.rest.market_records import Record, iso_time
from clawswarm.sandbox.rest.wire import answer

_NS_PER_S = 1_000_000_000
_NS_PER_MS = 1_000_000
_KINDS = ("WALLET", "WALLET-CREATE", "SAFE", "SAFE-CREATE", "PROXY")


class RelayerRest:
    """Handlers of the relayer and of what the venue indexes of approvals."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._venue = caller.venue

    def routes(self) -> list[web.RouteDef]:
        """Method and path of every handler."""
        return [
            web.post("/submit", self.submit),
            web.get("/deployed", self.deployed),
            web.get("/nonce", self.nonce),
            web.get("/v1/account/transactions/params", self.parameters),
            web.get("/v1/account/transactions/{id}", self.transaction),
            web.get(f"{data_api.PREFIX}/v2/approvals", self.approvals),
        ]

    async def submit(self, request: web.Request) -> web.Response:
        """Take a signed batch, or the wish for a wallet."""
        raw = await request.read()
        signed = request.method + request.rel_url.raw_path
        now_ns = self._caller.now_ns()
        account = self._venue.builder_keys.account(request.headers, signed, raw, now_ns // _NS_PER_S)
        body = decode(raw, Submission, refusals.invalid_payload)
        transaction = self._venue.relayer.submit(account, body, now_ns)
        return answer(
            {
                "transactionID": transaction.id,
                "state": transaction.state,
                "transactionHash": "",
            }
        )

    async def transaction(self, request: web.Request) -> web.Response:
        """How far a transaction is."""
        found = self._venue.relayer.transactions.get(request.match_info["id"])
        if found is None:
            raise VenueRefusal(404, "transaction not found")
        return answer(_record(found))

    async def parameters(self, request: web.Request) -> web.Response:
        """Address and nonce that the next batch of a signer's wallet carries."""
        wallet = self._wallet(request)
        return answer({"address": wallet, "nonce": str(self._venue.chain.nonce(wallet))})

    async def nonce(self, request: web.Request) -> web.Response:
        """The nonce alone."""
        return answer({"nonce": str(self._venue.chain.nonce(self._wallet(request)))})

    async def deployed(self, request: web.Request) -> web.Response:
        """Whether a wallet is on the chain."""
        return answer({"deployed": _address(request.query.get("address", "")) in self._venue.chain.deployed})

    async def approvals(self, request: web.Request) -> web.Response:
        """What a wallet has approved, of the pairs that trading needs."""
        owner, chain = _address(request.query.get("user", "")), self._venue.chain.approvals
        contracts: list[Record] = []
        for spender in SPENDERS:
            amount = chain.allowance(owner, spender)
            contracts.append(
                {
                    "token": COLLATERAL_TOKEN,
                    "spender": spender,
                    "standard": "ERC20",
                    "approved": amount > 0,
                    "amount": "max" if amount == UNLIMITED else str(amount),
                }
            )
        for contract, operator in OPERATORS:
            is_approved = chain.is_operator(owner, contract, operator)
            contracts.append(
                {"token": contract, "spender": operator, "standard": "ERC1155", "approved": is_approved}
            )
        data = {"address": owner, "chain_id": CHAIN_ID, "contracts": contracts}
        return answer({"data": data, "pagination": {"has_more": False, "next_cursor": None}})

    def _wallet(self, request: web.Request) -> str:
        if request.query.get("type", "WALLET") not in _KINDS:
            raise VenueRefusal(400, "invalid type")
        return self._venue.access.deposit_wallet(_address(request.query.get("address", "")))


def _address(text: str) -> str:
    try:
        return checksum_address(text)
    except Malformed as fault:
        raise VenueRefusal(400, "invalid address") from fault


def _record(transaction: RelayedTransaction) -> Record:
    return {
        "transaction_id": transaction.id,
        "transaction_hash": ""
        if transaction.state in ("STATE_NEW", "STATE_INVALID")
        else transaction.tx_hash,
        "state": transaction.state,
        "type": transaction.kind,
        "proxy_address": transaction.wallet,
        "nonce": str(transaction.nonce),
        "metadata": transaction.metadata,
        "error_msg": transaction.error,
        "created_at": iso_time(transaction.created_ns // _NS_PER_MS),
        "updated_at": iso_time(transaction.updated_ns // _NS_PER_MS),
    }
