"""A market as the venue lists it."""

import msgspec


class ListedMarket(msgspec.Struct, eq=False, kw_only=True):
    """Static facts of one binary market, and the few that change while it lives.

    These change: `tick_e4`, `is_open`, `winner` ("YES", "NO" or None), `last_trade_e4`, `updated_ns`, `end_ms`.
    """

    condition_id: str
    question_id: str
    slug: str
    question: str
    underlying: str
    yes_token: str
    no_token: str
    tick_e4: int
    min_size_e6: int
    fee_rate_e4: int
    end_ms: int
    outcomes: tuple[str, str] = ("Yes", "No")
    neg_risk: bool = False
    is_open: bool = True
    winner: str | None = None
    last_trade_e4: int | None = None
    updated_ns: int = 0

    def token(self, is_yes: bool) -> str:
        """Token id of an outcome."""
        return self.yes_token if is_yes else self.no_token

    def outcome(self, is_yes: bool) -> str:
        """Name of an outcome."""
        return self.outcomes[0] if is_yes else self.outcomes[1]
