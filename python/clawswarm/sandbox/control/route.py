"""What a route of the control port is: a line of the list that `GET /` shows, and the function behind it."""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from clawswarm.model.errors import ClawFault
from clawswarm.sandbox.venue import Venue

NS_PER_S = 1_000_000_000
LONGEST_S = 86_400

Body = TypeVar("Body", bound=msgspec.Struct)


class Unusable(ClawFault):
    """The body asks for what cannot be done; the message says what to send."""


class Nothing(msgspec.Struct, frozen=True):
    """No body."""


class Route(msgspec.Struct, frozen=True):
    """One route; `body` is an example that works, None where there is none."""

    method: str
    path: str
    body: object
    effect: str
    answer: Callable[[Venue, int, bytes], object]
    """(venue, its time, raw body) → what to answer. Raises Unusable."""

    def line(self) -> dict[str, object]:
        """How `GET /` describes the route."""
        return {"method": self.method, "path": self.path, "body": self.body, "effect": self.effect}


def route(
    method: str, path: str, example: Body, effect: str, call: Callable[[Venue, int, Body], object]
) -> Route:
    """A route that hands the decoded body to `call`."""
    if isinstance(example, Nothing):
        return Route(method, path, None, effect, lambda venue, now_ns, _raw: call(venue, now_ns, example))
    shown = msgspec.json.encode(example).decode()
    decode = msgspec.json.Decoder(type(example)).decode

    def answer(venue: Venue, now_ns: int, raw: bytes) -> object:
        try:
            body = decode(raw)
        except (msgspec.MsgspecError, RecursionError) as fault:
            raise Unusable(f"{fault}; send a body like {shown}") from fault
        return call(venue, now_ns, body)

    return Route(method, path, msgspec.to_builtins(example), effect, answer)


def until_ns(seconds: float, now_ns: int) -> int:
    """End of a fault that lasts so long. Raises Unusable."""
    if not 0 <= seconds <= LONGEST_S:
        raise Unusable(f"seconds must be between 0 and {LONGEST_S}")
    return now_ns + round(seconds * NS_PER_S)
