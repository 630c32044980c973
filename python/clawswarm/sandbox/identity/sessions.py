"""Session signers: keys that an owner lets trade for a deposit wallet (polymarket.md §2.4, §2.5).

At most 15 that are not revoked; expired ones count until they are revoked. Each has its own API key. When one is
revoked its open orders are cancelled a few seconds later. Time is an argument.
"""

import msgspec

from clawswarm.sandbox.exchange.refusals import VenueRefusal

SIGNER_LIMIT = 15


class SessionSigner(msgspec.Struct, frozen=True):
    """One grant: which address may sign for which wallet, and until when (seconds)."""

    address: str
    wallet: str
    owner: str
    valid_until_s: int
    scopes: tuple[str, ...] = ("ALL",)

    def may_trade(self, now_s: int) -> bool:
        """Whether its orders are taken now."""
        return now_s < self.valid_until_s and bool({"ALL", "CLOB"} & set(self.scopes))


class SessionRegister:
    """All session signers that are not revoked, by their lower-case address."""

    def __init__(self) -> None:
        self._by_address: dict[str, SessionSigner] = {}
        self._sweeps: list[tuple[int, SessionSigner]] = []

    def authorize(self, signer: SessionSigner) -> None:
        """Grant, or grant anew; refused when the wallet has its fifteen."""
        others = [s for s in self.of_wallet(signer.wallet) if s.address.lower() != signer.address.lower()]
        if len(others) >= SIGNER_LIMIT:
            raise VenueRefusal(400, f"a wallet has at most {SIGNER_LIMIT} session signers")
        self._by_address[signer.address.lower()] = signer

    def revoke(self, address: str, sweep_ns: int) -> SessionSigner | None:
        """Take a grant back; its orders are due for cancelling at `sweep_ns`. None when there is no grant."""
        signer = self._by_address.pop(address.lower(), None)
        if signer is not None:
            self._sweeps.append((sweep_ns, signer))
        return signer

    def get(self, address: str) -> SessionSigner | None:
        """The grant of an address."""
        return self._by_address.get(address.lower())

    def all(self) -> list[SessionSigner]:
        """Every grant."""
        return list(self._by_address.values())

    def of_wallet(self, wallet: str) -> list[SessionSigner]:
        """Grants of a wallet, oldest first."""
        return [signer for signer in self._by_address.values() if signer.wallet == wallet]

    def due_sweeps(self, now_ns: int) -> list[SessionSigner]:
        """Revoked signers whose orders are to be cancelled now."""
        if not self._sweeps:
            return []
        due = [signer for at_ns, signer in self._sweeps if at_ns <= now_ns]
        self._sweeps = [sweep for sweep in self._sweeps if sweep[0] > now_ns]
        return due

    def next_sweep_ns(self) -> int | None:
        """When `due_sweeps` has something, None for never."""
        return min(at_ns for at_ns, _ in self._sweeps) if self._sweeps else None
