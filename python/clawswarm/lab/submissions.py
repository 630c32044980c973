"""A wallet's batch of merges and redemptions as the simulated relayer takes it: encoded, signed by its owner."""

from collections.abc import Sequence

import msgspec
from coincurve import PrivateKey
from eth_abi.abi import encode

from clawswarm.model.positions import Unwinding, UnwindingKind
from clawswarm.sandbox.chain.batch import batch_digest
from clawswarm.sandbox.chain.calls import RawCall, argument_types, selector
from clawswarm.sandbox.chain.contracts import COLLATERAL_ADAPTER, COLLATERAL_TOKEN
from clawswarm.sandbox.chain.relayer import Submission
from clawswarm.sandbox.identity.wallets import DEPOSIT_FACTORY

DEADLINE_S = 600
_MERGE = "mergePositions(address,bytes32,bytes32,uint256[],uint256)"
_REDEEM = "redeemPositions(address,bytes32,bytes32,uint256[])"


class WalletOwner(msgspec.Struct, frozen=True):
    """A deposit wallet, its owner's address and key."""

    key: PrivateKey
    address: str
    wallet: str

    def submission(self, batch: Sequence[Unwinding], nonce: int, now_s: int) -> Submission:
        """The body of POST /submit."""
        calls = tuple(_call(action) for action in batch)
        deadline_s = now_s + DEADLINE_S
        digest = batch_digest(self.wallet, nonce, deadline_s, calls)
        signature = self.key.sign_recoverable(digest, hasher=None)
        body = {
            "type": "WALLET",
            "from": self.address,
            "to": DEPOSIT_FACTORY,
            "nonce": str(nonce),
            "signature": "0x" + signature[:64].hex() + f"{27 + signature[64]:02x}",
            "depositWalletParams": {
                "depositWallet": self.wallet,
                "deadline": str(deadline_s),
                "calls": [
                    {"target": call.target, "value": "0", "data": "0x" + call.data.hex()} for call in calls
                ],
            },
        }
        return msgspec.convert(body, Submission)


def _call(action: Unwinding) -> RawCall:
    text = _MERGE if action.kind is UnwindingKind.MERGE else _REDEEM
    values: list[object] = [COLLATERAL_TOKEN, bytes(32), bytes.fromhex(action.market[2:]), [1, 2]]
    if action.kind is UnwindingKind.MERGE:
        values.append(action.amount_e6)
    return RawCall(COLLATERAL_ADAPTER, 0, selector(text) + encode(argument_types(text), values))
