"""What the swarm may do, and why: signs and the time in, a state with its causes out. Pure.

    sign                                             state         until
    a halt (operator, engine), loss ≥ max_loss_usd   HALTED        `claw resume`; it outlives every restart
    drawdown ≥ max_drawdown_usd                      REDUCE_ONLY   `claw resume`; likewise
    no live sentinel for 3 s                         REDUCE_ONLY   one is live again for 1 s
    loss or drawdown ≥ cautious_share of its limit   CAUTIOUS      30 s below it
    the venue in another mode for 3 s                CAUTIOUS      5 s in its usual one
    a sentinel missing for 10 s                      CAUTIOUS      it is back for 2 s

Loss is counted from the last resume, drawdown from the highest profit since. The strictest state holds. A venue
that takes only cancels is no reason for REDUCE_ONLY: the engine refuses by itself, and without a place that tries
nobody would ever see the mode end.
"""

import msgspec

from clawswarm.kernel.clock import ns
from clawswarm.model.messages import SwarmState
from clawswarm.model.units import MICRO

OPERATOR = "operator"
_STRICTNESS = {state: number for number, state in enumerate(SwarmState)}


class LossLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What may be lost, in USD; cautious from `cautious_share` (at most 1) of it on."""

    max_loss_usd: float
    max_drawdown_usd: float
    cautious_share: float


class Standing(msgspec.Struct, frozen=True):
    """What must outlive every restart: causes that only the operator lifts.

    `resumed_ns` is when he last wished that, `lifted_ns` when it was done (CLOCK_BOOTTIME): halts of before are
    over.
    """

    latched: dict[str, SwarmState] = {}
    resumed_ns: int = 0
    lifted_ns: int = 0

    def of_this_boot(self, now_ns: int) -> "Standing":
        """The same; times of before the host was started anew mean nothing."""
        return self if max(self.resumed_ns, self.lifted_ns) <= now_ns else Standing(self.latched)


class Watermarks(msgspec.Struct, frozen=True):
    """Profit at the last resume and the highest since, 1e-6 USD; belongs to the account's run of fills."""

    base_e6: int = 0
    peak_e6: int = 0


class Signs(msgspec.Struct, frozen=True, kw_only=True):
    """What is seen of the swarm; None is not known (yet), which is no reason for anything.

    `engine_halted_ns` is since when an engine has been halted, None while it is not.
    """

    profit_e6: int | None = None
    live_sentinels: int | None = None
    sentinels: int = 2
    route: str | None = None
    engine_halted_ns: int | None = None
    engine_cause: str | None = None


class Judgement(msgspec.Struct, frozen=True):
    """The state and every cause that calls for it or for a milder one."""

    state: SwarmState
    causes: tuple[str, ...]


class _Rule(msgspec.Struct, frozen=True):
    state: SwarmState
    onset_s: float
    calm_s: float


_RULES = {
    "feed": _Rule(SwarmState.REDUCE_ONLY, 3.0, 1.0),
    "loss": _Rule(SwarmState.CAUTIOUS, 0.0, 30.0),
    "drawdown": _Rule(SwarmState.CAUTIOUS, 0.0, 30.0),
    "venue": _Rule(SwarmState.CAUTIOUS, 3.0, 5.0),
    "sentinel": _Rule(SwarmState.CAUTIOUS, 10.0, 2.0),
}


class _Sign:
    """One passing sign: in force once it has lasted, over once it has been away."""

    def __init__(self) -> None:
        self.since_ns: int | None = None
        self.seen_ns = 0
        self.is_in_force = False
        self.text = ""

    def look(self, text: str | None, rule: _Rule, now_ns: int) -> None:
        if text is None:
            if now_ns - self.seen_ns >= ns(rule.calm_s):
                self.is_in_force = False
            if not self.is_in_force:
                self.since_ns = None
            return
        self.text, self.seen_ns = text, now_ns
        self.since_ns = now_ns if self.since_ns is None else self.since_ns
        self.is_in_force |= now_ns - self.since_ns >= ns(rule.onset_s)


class SwarmJudge:
    """The state machine; `standing` and `watermarks` are to be kept, before anything is done, when they change."""

    def __init__(self, limits: LossLimits, standing: Standing, watermarks: Watermarks) -> None:
        self._limits = limits
        self.standing, self.watermarks = standing, watermarks
        self._signs = {name: _Sign() for name in _RULES}

    def halt(self, cause: str, sent_ns: int) -> None:
        """Someone wants everything cancelled; a halt of before the last resume is over."""
        if sent_ns > self.standing.resumed_ns:
            self._latch(cause, SwarmState.HALTED)

    def resume(self, profit_e6: int | None, sent_ns: int, now_ns: int) -> bool:
        """The operator lifts every latch; False when it is an old wish. Losses are counted anew."""
        if sent_ns <= self.standing.resumed_ns:
            return False
        self.standing = Standing({}, sent_ns, now_ns)
        if profit_e6 is not None:
            self.watermarks = Watermarks(profit_e6, profit_e6)
        return True

    def judge(self, signs: Signs, now_ns: int) -> Judgement:
        """Take in what is seen now."""
        self._watch_engine(signs)
        texts = {**self._watch_profit(signs), **_passing(signs)}
        for name, rule in _RULES.items():
            self._signs[name].look(texts.get(name), rule, now_ns)
        found = [(state, cause) for cause, state in self.standing.latched.items()]
        found += [
            (_RULES[name].state, sign.text)
            for name, sign in self._signs.items()
            if sign.is_in_force and not self._is_latched(name)
        ]
        found.sort(key=lambda each: -_STRICTNESS[each[0]])
        state = found[0][0] if found else SwarmState.NORMAL
        return Judgement(state, tuple(dict.fromkeys(cause for _, cause in found)))

    def _watch_engine(self, signs: Signs) -> None:
        is_known = SwarmState.HALTED in self.standing.latched.values()
        since_ns = signs.engine_halted_ns
        if since_ns is not None and since_ns > self.standing.lifted_ns and not is_known:
            self._latch(signs.engine_cause or "an engine halted", SwarmState.HALTED)

    def _watch_profit(self, signs: Signs) -> dict[str, str]:
        if signs.profit_e6 is None:
            return {}
        marks = self.watermarks
        if signs.profit_e6 > marks.peak_e6:
            self.watermarks = marks = Watermarks(marks.base_e6, signs.profit_e6)
        texts = {}
        for name, lost_e6, limit_usd, state in (
            ("loss", marks.base_e6 - signs.profit_e6, self._limits.max_loss_usd, SwarmState.HALTED),
            (
                "drawdown",
                marks.peak_e6 - signs.profit_e6,
                self._limits.max_drawdown_usd,
                SwarmState.REDUCE_ONLY,
            ),
        ):
            used_share = lost_e6 / (limit_usd * MICRO)
            if used_share < self._limits.cautious_share:
                continue
            texts[name] = f"{name} of {lost_e6 / MICRO:.2f} USD, {limit_usd:g} is the limit"
            if used_share >= 1 and not self._is_latched(name):
                self._latch(texts[name], state)
        return texts

    def _is_latched(self, name: str) -> bool:
        """Whether this kind of loss has latched: the cause is then what it was at that moment."""
        return any(cause.startswith(f"{name} of") for cause in self.standing.latched)

    def _latch(self, cause: str, state: SwarmState) -> None:
        if cause not in self.standing.latched:
            latched = {**self.standing.latched, cause: state}
            self.standing = msgspec.structs.replace(self.standing, latched=latched)


def _passing(signs: Signs) -> dict[str, str]:
    texts = {}
    if signs.route not in (None, "open"):
        texts["venue"] = f"the venue is in the mode {signs.route}"
    if signs.live_sentinels == 0:
        texts["feed"] = "no sentinel has a live feed"
    elif signs.live_sentinels is not None and signs.live_sentinels < signs.sentinels:
        texts["sentinel"] = f"{signs.live_sentinels} of {signs.sentinels} sentinels have a live feed"
    return texts
