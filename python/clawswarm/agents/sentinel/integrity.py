"""How far a book may be believed, from what speaks for and against it. Pure.

The venue numbers nothing, so trust comes from witnesses, and each has a time by which it is taken seriously:

| evidence                                            | widen after | pull after |
|-----------------------------------------------------|-------------|------------|
| the venue's best prices differ from the book's      | 50 ms       | 250 ms     |
| the venue's hash of the book differs                | 100 ms      | 250 ms     |
| silent for twice its longest usual gap (≥ 250 ms),  | 100 ms      | 500 ms     |
|   the venue asked for its book and not answering    |             |            |
| that book differs from the silent stream's, until   |             | 100 ms     |
|   the stream speaks or nothing differs for a second |             |            |

Disorder of the stream makes the first two disagree all the time: in the raw capture p99 is 40 ms and the longest
161 ms. Where fewer than a fifth of all hashes agree, they cover something else than is known: they are ignored.
"""

import msgspec

from clawswarm.kernel.clock import NS_PER_MS

WHOLE, DOUBTFUL, BROKEN = 1.0, 0.6, 0.2
TOUCH_GRACE_NS = 50 * NS_PER_MS
HASH_GRACE_NS = 100 * NS_PER_MS
DOUBT_LIMIT_NS = 250 * NS_PER_MS
ANSWER_GRACE_NS = 100 * NS_PER_MS
ANSWER_LIMIT_NS = 500 * NS_PER_MS
SILENCE_FACTOR = 2.0
SILENCE_LEAST_NS = 250 * NS_PER_MS
CROSSED_LIMIT_NS = 100 * NS_PER_MS
ASK_AGAIN_NS = 250 * NS_PER_MS
ASK_AGAIN_MOST_NS = 4_000 * NS_PER_MS
DEAF = "the stream misses what the venue's own book shows"
DEAF_GRACE_NS = 100 * NS_PER_MS
QUIET_AFTER_DEAF_NS = 1_000 * NS_PER_MS
LEAST_COMPARED = 200
LEAST_AGREED_SHARE = 0.2


class Verdict(msgspec.Struct, frozen=True):
    """How far a book is believed, and the reason where it is not wholly."""

    integrity: float
    reason: str | None


class Evidence(msgspec.Struct):
    """What is open about one market; times in ns, None where nothing is."""

    touch_doubt_ns: int | None = None
    hash_doubt_ns: int | None = None
    crossed_ns: int | None = None
    silent_ns: int | None = None
    void_ns: int | None = None
    """Since when the book waits for the snapshot of a new tick."""
    deaf_ns: int | None = None
    """When the venue's own book first differed from a silent stream's."""
    differed_ns: int = 0
    """When it last did."""
    asked_ns: int | None = None
    asks: int = 0
    said: Verdict | None = None
    """What was last published of it."""

    @property
    def is_open(self) -> bool:
        """Whether time alone can change the verdict."""
        doubts = (self.touch_doubt_ns, self.hash_doubt_ns, self.crossed_ns, self.void_ns)
        return self.is_unheard or any(since is not None for since in doubts)

    @property
    def is_unheard(self) -> bool:
        """Whether the stream is silent where it should not be."""
        return self.silent_ns is not None or self.deaf_ns is not None


TRUSTED = Verdict(WHOLE, None)


def judge(evidence: Evidence, now_ns: int, are_hashes_known: bool) -> Verdict:
    """The worst that the evidence says at a time."""
    verdicts = [
        # The frame may be on its way; meanwhile the book is what the venue said it is.
        _aged(evidence.deaf_ns, now_ns, DEAF_GRACE_NS, DEAF_GRACE_NS, DEAF),
        _aged(evidence.touch_doubt_ns, now_ns, TOUCH_GRACE_NS, DOUBT_LIMIT_NS, "best prices differ"),
        _aged(evidence.silent_ns, now_ns, ANSWER_GRACE_NS, ANSWER_LIMIT_NS, "unusually silent"),
    ]
    if are_hashes_known:
        verdicts.append(_aged(evidence.hash_doubt_ns, now_ns, HASH_GRACE_NS, DOUBT_LIMIT_NS, "hash differs"))
    return min(verdicts, key=lambda verdict: verdict.integrity)


def must_ask(evidence: Evidence, now_ns: int, are_hashes_known: bool) -> bool:
    """Whether the venue should be asked for its book now."""
    ripe = (
        evidence.is_unheard
        or evidence.void_ns is not None
        or _is_older(evidence.crossed_ns, now_ns, CROSSED_LIMIT_NS)
        or _is_older(evidence.touch_doubt_ns, now_ns, DOUBT_LIMIT_NS)
        or (are_hashes_known and _is_older(evidence.hash_doubt_ns, now_ns, DOUBT_LIMIT_NS))
    )
    if not ripe or evidence.asked_ns is None:
        return ripe
    pause_ns = min(ASK_AGAIN_NS << min(max(evidence.asks - 1, 0), 10), ASK_AGAIN_MOST_NS)
    return now_ns - evidence.asked_ns >= pause_ns


def are_hashes_known(agreed: int, differed: int) -> bool:
    """Whether the hashes cover what is known here: too few agree when they do not."""
    compared = agreed + differed
    return compared < LEAST_COMPARED or agreed >= LEAST_AGREED_SHARE * compared


def _aged(since_ns: int | None, now_ns: int, grace_ns: int, limit_ns: int, reason: str) -> Verdict:
    if since_ns is None or now_ns - since_ns < grace_ns:
        return TRUSTED
    return Verdict(BROKEN if now_ns - since_ns >= limit_ns else DOUBTFUL, reason)


def _is_older(since_ns: int | None, now_ns: int, limit_ns: int) -> bool:
    return since_ns is not None and now_ns - since_ns >= limit_ns
