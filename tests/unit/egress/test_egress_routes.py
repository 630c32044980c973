"""Declared routes: what can be one, and that a proxy needs its country."""

import pytest

from clawswarm.egress.routes import why_unusable

PROXY = "http://10.0.0.1:3128"


@pytest.mark.parametrize(
    ("routes", "country"),
    [(("direct",), None), (("direct",), "NL"), (("direct", PROXY), "NL"), ((PROXY,), "IE")],
)
def test_routes_that_can_be(routes: tuple[str, ...], country: str | None) -> None:
    assert why_unusable(routes, country) is None


@pytest.mark.parametrize(
    ("routes", "country", "words"),
    [
        ((), None, "at least"),
        ((PROXY, PROXY), "NL", "once"),
        (("direct", PROXY), None, "set country"),
        (("direct", PROXY), "Netherlands", "two capital letters"),
        (("http://me:secret@10.0.0.1:3128",), "NL", "without a password"),
        (("https://10.0.0.1:3128",), "NL", "http://HOST:PORT"),
        (("socks5://10.0.0.1:1080",), "NL", "http://HOST:PORT"),
    ],
)
def test_routes_that_cannot_be(routes: tuple[str, ...], country: str | None, words: str) -> None:
    fault = why_unusable(routes, country)
    assert fault is not None
    assert words in fault
    assert "secret" not in fault
