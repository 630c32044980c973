"""A venue without server or recordings, one market, and signers that hold API keys."""

import msgspec
from exchange_bench import MS, START_NS, new_market
from signed_orders import OfficialSigner

from clawswarm.sandbox.exchange.matching import Placed
from clawswarm.sandbox.identity.keys import ApiKey
from clawswarm.sandbox.settings import SandboxSettings
from clawswarm.sandbox.venue import Venue

YES_TOKEN = "71321045679252212594626385532706912750332728571942532289631379312455583992563"
NO_TOKEN = "52114319501245915516055106046884209969926127482827954674443846427813813222426"


class VenueBench:
    """One venue; time stands still unless it is moved."""

    def __init__(self, *, taker_delay_ms: int = 0, fee_rate_e4: int = 0, **settings: object) -> None:
        base = SandboxSettings(data="", port=0, control_port=0, mined_after_ms=20, confirmed_after_ms=40)
        self.venue = Venue(msgspec.structs.replace(base, **settings))
        self.now_ns = START_NS
        self.market = new_market(
            taker_delay_ms=taker_delay_ms, fee_rate_e4=fee_rate_e4, yes_token=YES_TOKEN, no_token=NO_TOKEN
        )
        self.venue.publish(self.venue.exchange.list_market(self.market, self.now_ns))

    @property
    def now_s(self) -> int:
        """Seconds of the venue."""
        return self.now_ns // 10**9

    def pass_ms(self, ms: int) -> None:
        """Let time pass."""
        self.now_ns += ms * MS
        self.venue.advance(self.now_ns)

    def key(self, signer: OfficialSigner, nonce: int = 0) -> ApiKey:
        """A key of a signer, created."""
        return self.venue.create_key(signer.l1_headers(self.now_s, nonce), self.now_ns)

    def place(self, signer: OfficialSigner, key: ApiKey, token: str | None = None, **order: object) -> Placed:
        """Place an order of 10 shares at 0.52, or as named."""
        body = msgspec.json.encode(signer.order(key.key, token or self.market.yes_token, **order))
        return self.venue.place(key, body, self.now_ns)
