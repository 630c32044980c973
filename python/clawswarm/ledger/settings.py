"""What the strategist decides about the ledger; apart from it, so that who reads it loads no database."""

from typing import Annotated

import msgspec


class LedgerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How often the venue is asked, and for how long its balance may lag."""

    compare_s: Annotated[float, msgspec.Meta(gt=0)] = 20.0
    settlement_s: Annotated[float, msgspec.Meta(gt=0)] = 60.0
