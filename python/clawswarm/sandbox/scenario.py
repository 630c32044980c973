"""A folder of recordings as markets of the venue, and each recording as a clockwork of due events.

All windows are shifted to start together, `start_at_s` into each recording. Ids come from seed and slug, so
the same scenario has the same markets in every run. The end of a recording closes its market.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from clawswarm.model.errors import UserFault
from clawswarm.sandbox.exchange.markets import ListedMarket, RebateTerms, RewardTerms
from clawswarm.sandbox.recording import (
    LevelsChanged,
    RecordedEvent,
    RecordedMarket,
    ReferenceTick,
    TakerArrived,
    TickSizeChanged,
    read_folder,
    read_recording,
)
from clawswarm.sandbox.settings import SandboxSettings
from clawswarm.sandbox.tokens import condition_of, question_id_of, token_of

_NS_PER_MS = 1_000_000


class Started(msgspec.Struct, frozen=True):
    """What a recording says up to the moment the replay begins."""

    levels: LevelsChanged
    tick_e4: int
    reference: ReferenceTick | None


class Playback:
    """One recording on its way: what is due when, pauses included."""

    def __init__(
        self, market: ListedMarket, recorded: RecordedMarket, events: Iterator[RecordedEvent]
    ) -> None:
        self.market = market
        self.recorded = recorded
        self.is_over = False
        self._events = events
        self._next: RecordedEvent | None = next(events, None)
        self._origin_ns = 0
        self._speed = 1.0

    def start(self, start_at_ms: int, speed: float, now_ns: int) -> Started:
        """Skip to the starting point and return the state there; takers before it are gone."""
        self._speed = speed
        self._origin_ns = now_ns - round(start_at_ms * _NS_PER_MS / speed)
        levels: dict[tuple[int, int], int] = {}
        tick, reference = self.recorded.tick_e4, None
        while (event := self._next) is not None and event.at_ms <= start_at_ms:
            if isinstance(event, LevelsChanged):
                levels.update({(side, price): size for side, price, size in event.changes})
            elif isinstance(event, TickSizeChanged):
                tick = event.tick_e4
            elif isinstance(event, ReferenceTick):
                reference = event
            self._next = next(self._events, None)
        changes = tuple((side, price, size) for (side, price), size in levels.items() if size)
        return Started(LevelsChanged(at_ms=start_at_ms, changes=changes), tick, reference)

    def due_ns(self) -> int | None:
        """When the next event, or the end, is due; None once it is over."""
        if self.is_over:
            return None
        at_ms = self.recorded.duration_ms
        if self._next is not None:
            at_ms = min(at_ms, self._next.at_ms)
        return self._origin_ns + round(at_ms * _NS_PER_MS / self._speed)

    def end_ns(self) -> int:
        """When the market closes."""
        return self._origin_ns + round(self.recorded.duration_ms * _NS_PER_MS / self._speed)

    def pop(self) -> RecordedEvent | None:
        """The due event; None is the end of the recording."""
        event = self._next
        if event is None or event.at_ms >= self.recorded.duration_ms:
            self.is_over = True
            return None
        self._next = next(self._events, None)
        return event

    def delay(self, pause_ns: int) -> None:
        """Let everything still to come happen later."""
        self._origin_ns += pause_ns


def load_playbacks(settings: SandboxSettings) -> list[Playback]:
    """Open every recording of the data folder; none when no folder is named and there are other markets.

    Raises UserFault when there is no recording in it (from `read_folder`), or nothing to list at all.
    """
    playbacks: list[Playback] = []
    if not settings.data:
        if not settings.series and not settings.standing:
            raise UserFault(
                "the sandbox has no markets: set sandbox.data, sandbox.series or sandbox.standing"
            )
        return playbacks
    for recorded, path in read_folder(Path(settings.data)):
        # A first pass through the whole file: damage must show at the start, not in the middle of a run.
        for _ in read_recording(path)[1]:
            pass
        header, events = read_recording(path)
        playbacks.append(Playback(listed_market(recorded, settings), header, events))
    return playbacks


def listed_market(recorded: RecordedMarket, settings: SandboxSettings) -> ListedMarket:
    """The venue's market of a recording; its end is set when the replay starts."""
    seed, slug = settings.seed, recorded.slug
    is_up_down = "up" in recorded.slug.lower()
    return ListedMarket(
        condition_id=condition_of(seed, slug),
        question_id=question_id_of(seed, slug),
        slug=recorded.slug,
        question=recorded.question,
        underlying=recorded.underlying,
        yes_token=token_of(seed, slug, is_yes=True),
        no_token=token_of(seed, slug, is_yes=False),
        tick_e4=recorded.tick_e4,
        min_size_e6=recorded.min_size_e6,
        fee_rate_e4=settings.taker_fee_rate_e4,
        end_ms=0,
        outcomes=("Up", "Down") if is_up_down else ("Yes", "No"),
        taker_delay_ms=settings.taker_delay_ms if is_up_down else 0,
        rewards=RewardTerms(min_age_s=settings.reward_min_age_s, daily_rate_e6=settings.reward_daily_rate_e6),
        rebates=RebateTerms(maker_share_e4=settings.maker_rebate_e4),
    )


__all__ = ["Playback", "Started", "TakerArrived", "listed_market", "load_playbacks"]
