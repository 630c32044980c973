"""Proxy variables are forgotten before anything connects."""

import os
import urllib.request

import httpx
import pytest

from clawswarm.egress.proxies import forget_proxies

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "https_proxy", "all_proxy", "Ws_Proxy")


def test_every_proxy_variable_goes_and_nothing_else() -> None:
    environment = dict.fromkeys(VARIABLES, "http://127.0.0.1:9") | {"PATH": "/bin", "PROXY_LIST": "kept"}
    assert forget_proxies(environment) == sorted(VARIABLES)
    assert environment == {"PATH": "/bin", "PROXY_LIST": "kept"}
    assert forget_proxies(environment) == []


def test_clients_that_follow_the_environment_are_direct_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert urllib.request.getproxies_environment(), "they would have been used"
    forget_proxies(os.environ)
    assert urllib.request.getproxies_environment() == {}
    assert httpx.Client()._mounts == {}
