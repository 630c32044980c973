"""Small things every route needs: JSON answers, page cursors, typed request context."""

import base64
from binascii import Error as Base64Error
from collections.abc import Sequence
from typing import TypeVar

import msgspec
from aiohttp import web

from clawswarm.sandbox.exchange import refusals

FIRST_CURSOR = "MA=="
LAST_CURSOR = "LTE="

T = TypeVar("T")


def answer(body: object, status: int = 200) -> web.Response:
    """JSON answer."""
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")


def answer_text(json_text: str) -> web.Response:
    """Answer with text that is JSON already."""
    return web.Response(text=json_text, content_type="application/json")


def decode_cursor(text: str) -> int:
    """Offset that a cursor stands for. Raises the venue's refusal for the last page's and for nonsense."""
    try:
        offset = int(base64.b64decode(text or FIRST_CURSOR, validate=True))
    except (ValueError, Base64Error) as fault:
        raise refusals.bad_cursor() from fault
    if offset < 0:
        raise refusals.bad_cursor()
    return offset


def page(items: Sequence[T], cursor: str, limit: int) -> tuple[Sequence[T], str]:
    """One page of items and the cursor of the next."""
    offset = decode_cursor(cursor)
    end = offset + limit
    next_cursor = base64.b64encode(str(end).encode()).decode() if end < len(items) else LAST_CURSOR
    return items[offset:end], next_cursor


def page_body(data: list[object], next_cursor: str, limit: int) -> dict[str, object]:
    """The envelope of a page."""
    return {"limit": limit, "count": len(data), "next_cursor": next_cursor, "data": data}
