"""Modes of the matching engine: restarting, post-only, cancel-only, disabled (polymarket.md §6.3). Pure.

A restart answers 425 to every order request while it lasts and is followed by post-only mode. Each mode may end
by itself; time is an argument.
"""

from enum import StrEnum

from clawswarm.sandbox.exchange.refusals import VenueRefusal

POST_ONLY_AFTER_RESTART_S = 120
_NS_PER_S = 1_000_000_000

_DISABLED = "Trading is currently disabled. Check polymarket.com for updates"
_CANCEL_ONLY = "Trading is currently cancel-only. New orders are not accepted, but cancels are allowed."
_POST_ONLY = "post-only mode: only post-only orders and cancels are allowed"
# The body of a 425 is documented nowhere; clients go by the status.
_RESTARTING = "the matching engine is restarting"


class EngineMode(StrEnum):
    """What the engine accepts."""

    NORMAL = "normal"
    RESTARTING = "restarting"
    POST_ONLY = "post-only"
    CANCEL_ONLY = "cancel-only"
    DISABLED = "disabled"


class ModeRefusal(VenueRefusal):
    """The mode says no; `details` joins the body, `headers` the answer."""

    def __init__(
        self,
        status: int,
        text: str,
        details: dict[str, object] | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(status, text)
        self.details = details or {}
        self.headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}


class EngineModes:
    """The mode and when it ends."""

    def __init__(self) -> None:
        self._mode = EngineMode.NORMAL
        self._until_ns: int | None = None
        self._post_only_ns = 0

    def set(self, mode: EngineMode, until_ns: int | None) -> None:
        """Switch; `until_ns` None lasts until the next switch."""
        self._mode, self._until_ns, self._post_only_ns = mode, until_ns, 0

    def restart(self, now_ns: int, restart_ns: int, post_only_ns: int) -> None:
        """Restart: 425 for a while, then post-only mode."""
        self._mode, self._until_ns, self._post_only_ns = (
            EngineMode.RESTARTING,
            now_ns + restart_ns,
            post_only_ns,
        )

    def mode(self, now_ns: int) -> EngineMode:
        """The mode now."""
        if self._until_ns is not None and now_ns >= self._until_ns:
            ended_ns = self._until_ns
            if self._mode is EngineMode.RESTARTING and self._post_only_ns:
                self.set(EngineMode.POST_ONLY, ended_ns + self._post_only_ns)
                return self.mode(now_ns)
            self.set(EngineMode.NORMAL, None)
        return self._mode

    def left_ns(self, now_ns: int) -> int | None:
        """How long the mode lasts, None without an end."""
        self.mode(now_ns)
        return None if self._until_ns is None else self._until_ns - now_ns

    def check_request(self, is_cancel: bool, now_ns: int) -> None:
        """Refuse an order or cancel request as a whole. Raises ModeRefusal."""
        mode = self.mode(now_ns)
        if mode is EngineMode.NORMAL or mode is EngineMode.POST_ONLY:
            return
        if mode is EngineMode.RESTARTING:
            raise ModeRefusal(425, _RESTARTING)
        if mode is EngineMode.DISABLED:
            raise ModeRefusal(503, _DISABLED)
        if not is_cancel:
            raise ModeRefusal(503, _CANCEL_ONLY)

    def check_order(self, is_post_only: bool, now_ns: int) -> None:
        """Refuse one order that post-only mode does not take. Raises ModeRefusal."""
        if is_post_only or self.mode(now_ns) is not EngineMode.POST_ONLY:
            return
        left_ns = self.left_ns(now_ns)
        left_s = POST_ONLY_AFTER_RESTART_S if left_ns is None else -(-left_ns // _NS_PER_S)
        raise ModeRefusal(
            503, _POST_ONLY, {"code": "post_only_mode", "retry_after_seconds": left_s}, retry_after_s=left_s
        )
