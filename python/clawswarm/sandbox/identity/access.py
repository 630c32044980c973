"""Who may do what: wallets behind a key, bans and closed-only accounts, the scope of a heartbeat.

A key belongs to a signer. An owner trades with its own address, proxy, safe and deposit wallets; a session signer
with the deposit wallet it was admitted to. Pure.
"""

from typing import Literal

from clawswarm.sandbox.exchange import refusals
from clawswarm.sandbox.identity.keys import ApiKey, KeyRing
from clawswarm.sandbox.identity.sessions import SessionRegister
from clawswarm.sandbox.identity.wallets import DEPOSIT, EOA, wallets_of

HeartbeatScope = Literal["account", "key"]


class AccessList:
    """Standing of all signers and wallets."""

    def __init__(self, keys: KeyRing, sessions: SessionRegister, heartbeat_scope: HeartbeatScope) -> None:
        self.banned: set[str] = set()
        self.closed_only: set[str] = set()
        self._keys = keys
        self._sessions = sessions
        self._heartbeat_scope = heartbeat_scope

    def check_order(self, key: ApiKey, wallet: str, is_buy: bool) -> None:
        """Refuse orders of banned accounts, and purchases of those that may only reduce their positions."""
        names = {key.address.lower(), wallet.lower()}
        if names & self.banned:
            raise refusals.address_banned(wallet)
        if is_buy and names & self.closed_only:
            raise refusals.closed_only(wallet)

    def is_closed_only(self, key: ApiKey) -> bool:
        """What GET /auth/ban-status/closed-only answers."""
        return any(address.lower() in self.closed_only for address in (key.address, *self.wallets(key)))

    def owner(self, signer: str) -> str:
        """The person behind a signer: for a session signer the owner of its wallet."""
        session = self._sessions.get(signer)
        return signer if session is None else session.owner

    def wallets(self, key: ApiKey) -> tuple[str, ...]:
        """Wallets a key trades with."""
        session = self._sessions.get(key.address)
        return wallets_of(key.address).all() if session is None else (session.wallet, key.address)

    def wallet_of_type(self, key: ApiKey, signature_type: str) -> str:
        """The wallet that a read with this `signature_type` means; refused when there is no such type."""
        if signature_type not in ("0", "1", "2", "3"):
            raise refusals.invalid_signature_type()
        session = self._sessions.get(key.address)
        if session is not None and signature_type == str(DEPOSIT):
            return session.wallet
        return wallets_of(key.address).of_type(int(signature_type or EOA))[0]

    def deposit_wallet(self, signer: str) -> str:
        """The deposit wallet that wallet-wide reads mean."""
        session = self._sessions.get(signer)
        return wallets_of(signer).deposit if session is None else session.wallet

    def check_owner(self, key: ApiKey) -> None:
        """Refuse session signers."""
        if self._sessions.get(key.address) is not None:
            raise refusals.owner_only()

    def heartbeat_scope(self, key: str) -> str:
        """What a key's heartbeat keeps alive: itself, or everything of its owner."""
        signer = self._keys.address_of(key)
        if self._heartbeat_scope == "key" or signer is None:
            return key
        return self.owner(signer)
