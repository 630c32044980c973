"""Which events or markets a Gamma request asks for: filters, order, limit, offset, cursor. Pure.

Keyset pages go by `after_cursor`; the plain listings by `limit` and `offset`, which is capped (polymarket.md
§11.1). A filter that cannot be read is refused, an unknown one is ignored, as the live service does.
"""

import base64
from binascii import Error as Base64Error
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from clawswarm.sandbox.exchange.refusals import VenueRefusal

LARGEST_PAGE = 500
LARGEST_OFFSET = 2_000
MOST_IDS = 100
_DEFAULT_PAGE = 20

Item = TypeVar("Item")
Query = Sequence[tuple[str, str]]


def bad_filter(name: str) -> VenueRefusal:
    """A filter that cannot be read (text undocumented)."""
    return VenueRefusal(422, f"invalid value for {name}")


class Asked(msgspec.Struct, frozen=True):
    """Everything about a page but the filters."""

    limit: int
    offset: int
    after_id: int | None
    order: str
    is_ascending: bool


def values(query: Query, name: str) -> list[str]:
    """Every value of a repeated parameter; a list with commas counts as several. Refused beyond 100."""
    found = [part for key, text in query if key == name for part in text.split(",") if part]
    if len(found) > MOST_IDS:
        raise bad_filter(name)
    return found


def flag(query: Query, name: str) -> bool | None:
    """A boolean, None when it is not asked for."""
    texts = values(query, name)
    if not texts:
        return None
    if texts[-1].lower() not in ("true", "false"):
        raise bad_filter(name)
    return texts[-1].lower() == "true"


def number(query: Query, name: str) -> float | None:
    """A number, None when it is not asked for."""
    texts = values(query, name)
    try:
        return float(texts[-1]) if texts else None
    except ValueError as fault:
        raise bad_filter(name) from fault


def instant_ms(query: Query, name: str) -> int | None:
    """A time in ISO format, None when it is not asked for."""
    texts = [text for key, text in query if key == name and text]
    if not texts:
        return None
    try:
        # A plus sign in a query arrives as a blank.
        at = datetime.fromisoformat(texts[-1].replace("Z", "+00:00").replace(" ", "+"))
    except ValueError as fault:
        raise bad_filter(name) from fault
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def page_asked(query: Query) -> Asked:
    """Limit, offset, cursor and order of a request."""
    limit, offset = number(query, "limit"), number(query, "offset")
    if limit is not None and not 0 <= limit <= LARGEST_PAGE:
        limit = min(max(limit, 0), LARGEST_PAGE)
    if offset is not None and not 0 <= offset <= LARGEST_OFFSET:
        raise bad_filter("offset")
    cursors = [text for key, text in query if key == "after_cursor" and text]
    order = values(query, "order")
    return Asked(
        limit=_DEFAULT_PAGE if limit is None else int(limit),
        offset=int(offset or 0),
        after_id=_decode(cursors[-1]) if cursors else None,
        order=order[0] if order else "id",
        is_ascending=flag(query, "ascending") is not False,
    )


def page_of(
    items: Sequence[Item],
    asked: Asked,
    id_of: Callable[[Item], int],
    keys: dict[str, Callable[[Item], float | str]],
) -> tuple[list[Item], str | None]:
    """The items of a page in the order asked for, and the cursor of the next, None on the last."""
    if asked.order not in keys:
        raise bad_filter("order")
    key = keys[asked.order]
    ordered = sorted(items, key=lambda item: (key(item), id_of(item)), reverse=not asked.is_ascending)
    begin = asked.offset
    if asked.after_id is not None:
        places = {id_of(item): place for place, item in enumerate(ordered)}
        if asked.after_id not in places:
            raise bad_filter("after_cursor")
        begin += places[asked.after_id] + 1
    chosen = ordered[begin : begin + asked.limit]
    is_last = begin + asked.limit >= len(ordered) or not chosen
    return chosen, None if is_last else _encode(id_of(chosen[-1]))


def _encode(item_id: int) -> str:
    return base64.urlsafe_b64encode(f"id:{item_id}".encode()).decode()


def _decode(cursor: str) -> int:
    try:
        word, _, digits = base64.b64decode(cursor, altchars=b"-_", validate=True).decode().partition(":")
        if word != "id":
            raise bad_filter("after_cursor")
        return int(digits)
    except (ValueError, Base64Error) as fault:
        raise bad_filter("after_cursor") from fault
