"""What the swarm may do: causes come and go, and those that only the operator lifts stay."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clawswarm.agents.orchestrator.swarm_state import (
    LossLimits,
    Signs,
    Standing,
    SwarmJudge,
    Watermarks,
)
from clawswarm.kernel.clock import NS_PER_S, ns
from clawswarm.model.messages import SwarmState

LIMITS = LossLimits(max_loss_usd=100.0, max_drawdown_usd=60.0, cautious_share=0.5)
WELL = Signs(profit_e6=0, live_sentinels=2, route="open")
USD = 1_000_000
STRICTNESS = list(SwarmState)


class Story:
    """A judge and its clock."""

    def __init__(self, limits: LossLimits = LIMITS, before: SwarmJudge | None = None) -> None:
        self.limits = limits
        kept = (Standing(), Watermarks()) if before is None else (before.standing, before.watermarks)
        self.judge = SwarmJudge(limits, *kept)
        self.now = 1_000 * NS_PER_S

    def see(self, for_s: float = 0.0, **signs: object) -> SwarmState:
        """The state after these signs have held for so long."""
        shown = msgspec.structs.replace(WELL, **signs)
        end = self.now + ns(for_s)
        found = self.judge.judge(shown, self.now)
        while self.now < end:
            self.now += NS_PER_S // 10
            found = self.judge.judge(shown, self.now)
        self.causes = found.causes
        return found.state

    def restarted(self) -> "Story":
        story = Story(self.limits, self.judge)
        story.now = self.now
        return story


def test_when_all_is_well_it_trades() -> None:
    story = Story()
    assert story.see(60) is SwarmState.NORMAL
    assert story.causes == ()
    assert story.see(profit_e6=None, live_sentinels=None, route=None) is SwarmState.NORMAL


def test_a_halt_of_the_operator_outlives_every_restart_until_he_resumes() -> None:
    story = Story()
    story.judge.halt("operator", story.now)
    for _ in range(3):
        assert story.see(100) is SwarmState.HALTED
        assert story.causes == ("operator",)
        story = story.restarted()
    wished = story.now
    story.now += NS_PER_S
    assert story.judge.resume(0, wished, story.now)
    assert story.see() is SwarmState.NORMAL
    assert not story.judge.resume(0, wished, story.now), "the same wish, said again"
    story.judge.halt("operator", wished - 1)
    assert story.see() is SwarmState.NORMAL, "a halt of before that"
    story.judge.halt("operator", wished + 1)
    assert story.see() is SwarmState.HALTED


def test_a_loss_halts_and_is_counted_anew_after_a_resume() -> None:
    story = Story(msgspec.structs.replace(LIMITS, max_drawdown_usd=10_000.0))
    assert story.see(profit_e6=-49 * USD) is SwarmState.NORMAL
    assert story.see(profit_e6=-50 * USD) is SwarmState.CAUTIOUS
    assert story.causes[0] == "loss of 50.00 USD, 100 is the limit"
    assert story.see(profit_e6=-100 * USD) is SwarmState.HALTED
    assert story.see(profit_e6=-130 * USD) is SwarmState.HALTED
    assert story.causes == ("loss of 100.00 USD, 100 is the limit",), "one cause, that of the moment"
    assert story.see(100, profit_e6=50 * USD) is SwarmState.HALTED, "luck lifts nothing"
    story = story.restarted()
    assert story.see(profit_e6=-100 * USD) is SwarmState.HALTED
    assert story.judge.resume(-100 * USD, story.now, story.now)
    assert story.see(40, profit_e6=-120 * USD) is SwarmState.NORMAL
    assert story.see(profit_e6=-200 * USD) is SwarmState.HALTED


def test_a_drawdown_only_lets_positions_be_made_smaller() -> None:
    story = Story()
    story.see(profit_e6=200 * USD)
    assert story.see(profit_e6=171 * USD) is SwarmState.NORMAL
    assert story.see(profit_e6=170 * USD) is SwarmState.CAUTIOUS
    assert story.see(29, profit_e6=190 * USD) is SwarmState.CAUTIOUS
    assert story.see(2, profit_e6=190 * USD) is SwarmState.NORMAL
    story = story.restarted()
    assert story.see(profit_e6=140 * USD) is SwarmState.REDUCE_ONLY, "the highest profit is remembered"
    assert story.see(100, profit_e6=300 * USD) is SwarmState.REDUCE_ONLY


def test_an_engine_that_halts_by_itself_halts_the_swarm_until_it_is_resumed() -> None:
    story = Story()
    since = story.now
    assert story.see(engine_halted_ns=since, engine_cause="eligibility: blocked") is SwarmState.HALTED
    assert story.causes == ("eligibility: blocked",)
    story.now += NS_PER_S
    story.judge.resume(0, story.now, story.now)
    assert story.see(engine_halted_ns=since) is SwarmState.NORMAL, "it has not heard of the resume yet"
    assert story.see(engine_halted_ns=story.now + 1) is SwarmState.HALTED, "it halts again"


@pytest.mark.parametrize(
    ("signs", "onset_s", "calm_s", "state"),
    [
        ({"live_sentinels": 0}, 3, 1, SwarmState.REDUCE_ONLY),
        ({"live_sentinels": 1}, 10, 2, SwarmState.CAUTIOUS),
        ({"route": "post-only"}, 3, 5, SwarmState.CAUTIOUS),
        ({"route": "cancel-only"}, 3, 5, SwarmState.CAUTIOUS),
    ],
)
def test_passing_signs_count_once_they_last_and_end_once_they_are_gone_for_a_while(
    signs: dict[str, object], onset_s: float, calm_s: float, state: SwarmState
) -> None:
    story = Story()
    assert story.see(onset_s - 0.5, **signs) is SwarmState.NORMAL
    assert story.see(calm_s + 1) is SwarmState.NORMAL
    assert story.see(onset_s + 0.2, **signs) is state
    assert story.see(calm_s - 0.5) is state
    assert story.see(0.2, **signs) is state
    assert story.see(calm_s + 0.5) is SwarmState.NORMAL


def test_the_times_of_an_earlier_boot_mean_nothing_but_its_halts_do() -> None:
    standing = Standing({"operator": SwarmState.HALTED}, 10**15, 10**15)
    assert standing.of_this_boot(10**9) == Standing({"operator": SwarmState.HALTED})
    assert standing.of_this_boot(10**16) == standing


happenings = st.one_of(
    st.tuples(st.just("profit"), st.integers(-150, 150)),
    st.tuples(st.just("sentinels"), st.integers(0, 2)),
    st.tuples(st.just("route"), st.sampled_from(["open", "restarting", "cancel-only"])),
    st.tuples(st.just("halt"), st.integers(-2, 0)),
    st.tuples(st.just("resume"), st.integers(-2, 0)),
    st.tuples(st.just("restart"), st.just(0)),
    st.tuples(st.just("time"), st.integers(1, 60)),
)


@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.lists(happenings, max_size=60))
def test_nothing_but_a_resume_ever_ends_a_halt(story_line: list[tuple[str, object]]) -> None:
    story, signs, was_halted, newest_resume = Story(), dict[str, object](), False, 0
    for what, how in story_line:
        is_resumed = False
        match what:
            case "profit":
                signs["profit_e6"] = how * USD  # type: ignore[operator]
            case "sentinels":
                signs["live_sentinels"] = how
            case "route":
                signs["route"] = how
            case "halt":
                sent = story.now + how * NS_PER_S  # type: ignore[operator]
                story.judge.halt("operator", sent)
                was_halted |= sent > newest_resume
            case "resume":
                sent = story.now + how * NS_PER_S  # type: ignore[operator]
                is_resumed = story.judge.resume(signs.get("profit_e6"), sent, story.now)  # type: ignore[arg-type]
                assert is_resumed == (sent > newest_resume)
                newest_resume = max(newest_resume, sent)
            case "restart":
                story = story.restarted()
            case "time":
                story.now += how * NS_PER_S  # type: ignore[operator]
        state = story.see(**signs)
        assert (state is SwarmState.HALTED) >= (was_halted and not is_resumed)
        assert (state is SwarmState.NORMAL) == (story.causes == ())
        was_halted = state is SwarmState.HALTED
        lost = story.judge.watermarks.base_e6 - int(signs.get("profit_e6", 0))  # type: ignore[call-overload]
        if lost >= 100 * USD:
            assert state is SwarmState.HALTED
        elif lost >= 50 * USD:
            assert STRICTNESS.index(state) >= STRICTNESS.index(SwarmState.CAUTIOUS)
