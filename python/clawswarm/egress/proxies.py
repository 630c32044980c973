"""Proxy variables of the environment, forgotten before anything connects.

httpx, urllib, curl_cffi and others follow `HTTPS_PROXY` silently: a question about the region that should be asked
over the host's own address would be answered for another one. Source: egress.md, "Eligibility comes first".
"""

from collections.abc import MutableMapping

_SUFFIX = "_proxy"


def forget_proxies(environment: MutableMapping[str, str]) -> list[str]:
    """Delete every proxy variable, in whatever case; the names that were there."""
    names = sorted(name for name in environment if name.lower().endswith(_SUFFIX))
    for name in names:
        del environment[name]
    return names
