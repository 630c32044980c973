"""Declared routes to the venue: this host's own address, or CONNECT proxies of the operator's, all in one country.

A route is left for the next one when the venue's CDN flags its address, or when it is dead and the next one is
not; never because of a region: a refusal of the region on any route halts everything. Whether a route carries
orders is the engine's to judge.
Source: egress.md, "Eligibility comes first".
"""

import re

DIRECT = "direct"
_PROXY = re.compile(r"http://[A-Za-z0-9.-]+:[0-9]{1,5}")
_COUNTRY = re.compile(r"[A-Z]{2}")


def why_unusable(routes: tuple[str, ...], country: str | None) -> str | None:
    """What is wrong with them, as a sentence with its remedy; None when nothing is."""
    if not routes or len(set(routes)) != len(routes):
        return f'routes must name each way once, at least "{DIRECT}"'
    for route in routes:
        if route != DIRECT and _PROXY.fullmatch(route) is None:
            return (
                f'a route is "{DIRECT}" or http://HOST:PORT without a password: write that into the netrc file '
                "that [engine] proxy_passwords names"
            )
    if country is not None and _COUNTRY.fullmatch(country) is None:
        return f'country is {country!r}; write two capital letters, as "NL"'
    if country is None and routes != (DIRECT,):
        return "a route over a proxy needs the country that all routes are in: set country"
    return None
