"""Engine modes: what each refuses, with which words, and how they end."""

import pytest

from clawswarm.sandbox.rest.modes import EngineMode, EngineModes, ModeRefusal

S = 1_000_000_000


def test_a_restart_is_followed_by_post_only_mode() -> None:
    modes = EngineModes()
    modes.restart(0, 90 * S, 120 * S)
    for is_cancel in (True, False):
        with pytest.raises(ModeRefusal) as refused:
            modes.check_request(is_cancel, 89 * S)
        assert refused.value.status == 425
    modes.check_request(False, 90 * S)
    modes.check_order(True, 90 * S)
    with pytest.raises(ModeRefusal) as refused:
        modes.check_order(False, 131 * S)
    assert refused.value.status == 503
    assert refused.value.text == "post-only mode: only post-only orders and cancels are allowed"
    assert refused.value.details == {"code": "post_only_mode", "retry_after_seconds": 79}
    assert refused.value.headers == {"Retry-After": "79"}
    assert modes.mode(210 * S) is EngineMode.NORMAL
    modes.check_order(False, 210 * S)


def test_a_restart_that_nobody_watched_ends_too() -> None:
    modes = EngineModes()
    modes.restart(0, 90 * S, 120 * S)
    assert modes.mode(1_000 * S) is EngineMode.NORMAL


@pytest.mark.parametrize(
    ("mode", "is_cancel_refused", "text"),
    [
        (
            EngineMode.CANCEL_ONLY,
            False,
            "Trading is currently cancel-only. New orders are not accepted, but cancels are allowed.",
        ),
        (
            EngineMode.DISABLED,
            True,
            "Trading is currently disabled. Check polymarket.com for updates",
        ),
    ],
)
def test_cancel_only_and_disabled(mode: EngineMode, is_cancel_refused: bool, text: str) -> None:
    modes = EngineModes()
    modes.set(mode, None)
    with pytest.raises(ModeRefusal) as refused:
        modes.check_request(False, 10**6 * S)
    assert (refused.value.status, refused.value.text) == (503, text)
    if is_cancel_refused:
        with pytest.raises(ModeRefusal):
            modes.check_request(True, 0)
    else:
        modes.check_request(True, 0)


def test_a_mode_lasts_as_long_as_it_should() -> None:
    modes = EngineModes()
    modes.set(EngineMode.DISABLED, 5 * S)
    assert modes.left_ns(2 * S) == 3 * S
    assert modes.mode(5 * S) is EngineMode.NORMAL
    assert modes.left_ns(5 * S) is None
