"""What goes wrong in a simulation, and when: seeded deeds of a profile, one Poisson process for all of them.

The lines' own latency, jitter and loss are always there; a profile adds events: every fault that the sandbox's
control port knows, cut and held-back connections, killed and hanging processes, halts by an operator.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Literal, Protocol

import msgspec

from clawswarm.kernel.clock import ns
from clawswarm.lab.simulation.network import LOCAL, REMOTE, LineTerms
from clawswarm.sandbox.exchange.settlement import OrderedFate
from clawswarm.sandbox.faults import Channel, RequestFault, RequestFaultKind
from clawswarm.sandbox.rest.modes import EngineMode
from clawswarm.sandbox.streams.disturbance import FeedFault, FeedFaultKind
from clawswarm.sandbox.venue import Venue

ProfileName = Literal["none", "network", "venue", "processes", "operator", "all", "storm"]
_ABNORMAL = 1006
_FRAMES: tuple[FeedFaultKind, ...] = (
    "stall",
    "gap",
    "duplicate",
    "reorder",
    "corrupt-level",
    "crossed-book",
)
_REQUESTS: tuple[RequestFaultKind, ...] = ("latency", "reset", "lost-reply", "status")
_CHANNELS: tuple[Channel, ...] = ("market", "user", "rtds", "rest")
_STREAMS = ("market", "user", "rtds")
_PATHS = (("POST", "/order"), ("DELETE", "/order"), ("*", "/"))


class World(Protocol):
    """What a fault can be done to."""

    venue: Venue
    wallet: str
    agents: Sequence[str]

    def now_ns(self) -> int:
        """Virtual time."""

    def cut(self, name: str) -> None:
        """Reset every connection of a process with the venue."""

    def hold(self, name: str, seconds: float) -> None:
        """Let a process hear and say nothing for so long."""

    def kill(self, name: str) -> None:
        """End a process at once; it is started anew a little later."""

    def halt(self, cause: str) -> None:
        """As an operator: cancel everything, place nothing."""


class FaultProfile(msgspec.Struct, frozen=True, kw_only=True):
    """Lines, how often something happens, and what."""

    remote: LineTerms = REMOTE
    local: LineTerms = LOCAL
    mean_gap_s: float | None = None
    deeds: tuple[str, ...] = ()
    disorder_share: float = 0.0
    settlement_fail_share: float = 0.0
    settlement_retry_share: float = 0.0


Deed = Callable[[World, Random], None]


def _requests(world: World, random: Random) -> None:
    method, path = random.choice(_PATHS)
    kind = random.choice(_REQUESTS)
    fault = RequestFault(
        kind=kind,
        method=method,
        path=path,
        until_ns=world.now_ns() + ns(random.uniform(1, 5)),
        requests_left=random.randint(1, 4),
    )
    if kind == "latency":
        fault.latency_ms, fault.jitter_ms = random.uniform(50, 800), random.uniform(0, 300)
    elif kind == "status":
        fault.status, fault.text = random.choice(((502, "bad gateway"), (500, "internal"), (503, "busy")))
    elif kind == "lost-reply":
        fault.is_silent = random.random() < 0.5
    world.venue.faults.add(fault)


def _black_hole(world: World, random: Random) -> None:
    channel = random.choice(_CHANNELS)
    world.venue.faults.open_black_hole(world.now_ns() + ns(random.uniform(1, 6)), channel)
    world.venue.connections.swallow(channel)


def _frames(world: World, random: Random) -> None:
    until_ns = world.now_ns() + ns(random.uniform(0.5, 3))
    fault = FeedFault(random.choice(_FRAMES), until_ns, random.randint(1, 20))
    world.venue.market_hub.disturbance.start(fault)


def _own_frames(world: World, random: Random) -> None:
    until_ns = world.now_ns() + ns(random.uniform(0.5, 2))
    kind: FeedFaultKind = random.choice(("stall", "duplicate", "reorder"))
    world.venue.user_hub.disturbance.start(FeedFault(kind, until_ns, random.randint(1, 5)))


def _close(world: World, random: Random) -> None:
    world.venue.connections.close(random.choice(_STREAMS), random.choice((_ABNORMAL, 1001)))


def _quiet(world: World, random: Random) -> None:
    markets = [market for market in world.venue.exchange.markets.values() if market.is_open]
    if markets:
        market = random.choice(markets).condition_id
        world.venue.faults.make_quiet(market, world.now_ns() + ns(random.uniform(2, 15)))


def _restart(world: World, random: Random) -> None:
    world.venue.modes.restart(world.now_ns(), ns(random.uniform(2, 10)), ns(random.uniform(5, 30)))


def _mode(world: World, random: Random) -> None:
    mode = random.choice((EngineMode.CANCEL_ONLY, EngineMode.POST_ONLY, EngineMode.DISABLED))
    world.venue.modes.set(mode, world.now_ns() + ns(random.uniform(1, 8)))


def _errors(world: World, random: Random) -> None:
    world.venue.faults.engine_errors.extend(["could not insert order"] * random.randint(1, 3))


def _settlement(world: World, random: Random) -> None:
    fate: Literal["retry", "fail"] = "fail" if random.random() < 0.3 else "retry"
    world.venue.exchange.settling.ordered.append(OrderedFate(fate, world.wallet))


def _relayer(world: World, random: Random) -> None:
    if random.random() < 0.5:
        world.venue.relayer.fates.append(random.choice(("fail", "invalid")))
    else:
        world.venue.relayer.busy.append(random.choice(("busy", "in-flight")))


def _geoblock(world: World, _random: Random) -> None:
    world.venue.faults.is_geoblocked = True


def _cdn_page(world: World, _random: Random) -> None:
    fault = RequestFault(
        kind="cdn-page", method="POST", path="/order", until_ns=world.now_ns() + ns(30.0), requests_left=1
    )
    world.venue.faults.add(fault)


def _cut(world: World, random: Random) -> None:
    world.cut(random.choice(world.agents))


def _hold(world: World, random: Random) -> None:
    world.hold(random.choice(world.agents), random.uniform(0.2, 4))


def _kill(world: World, random: Random) -> None:
    world.kill(random.choice(world.agents))


def _halt(world: World, _random: Random) -> None:
    world.halt("an operator's halt")


DEEDS: dict[str, tuple[float, Deed]] = {
    "requests": (6, _requests),
    "black-hole": (3, _black_hole),
    "frames": (6, _frames),
    "own-frames": (2, _own_frames),
    "close": (3, _close),
    "quiet": (2, _quiet),
    "restart": (0.5, _restart),
    "mode": (0.5, _mode),
    "errors": (2, _errors),
    "settlement": (1, _settlement),
    "relayer": (1, _relayer),
    "geoblock": (0.1, _geoblock),
    "cdn-page": (0.1, _cdn_page),
    "cut": (3, _cut),
    "hold": (4, _hold),
    "kill": (3, _kill),
    "halt": (0.5, _halt),
}
"""Every kind of deed with its weight."""

_VENUE = tuple(name for name in DEEDS if name not in ("cut", "hold", "kill", "halt"))
_BAD_REMOTE = LineTerms(latency_s=REMOTE.latency_s, jitter_s=REMOTE.jitter_s, loss_share=0.002)
_BAD_LOCAL = LineTerms(latency_s=LOCAL.latency_s, jitter_s=LOCAL.jitter_s, loss_share=0.001)
_EVERYTHING = FaultProfile(
    remote=_BAD_REMOTE,
    local=_BAD_LOCAL,
    mean_gap_s=60.0,
    deeds=tuple(DEEDS),
    disorder_share=0.185,
    settlement_fail_share=0.0002,
    settlement_retry_share=0.01,
)
PROFILES: dict[ProfileName, FaultProfile] = {
    "none": FaultProfile(),
    "network": FaultProfile(
        remote=_BAD_REMOTE,
        local=_BAD_LOCAL,
        mean_gap_s=60.0,
        deeds=("cut", "hold"),
        disorder_share=0.185,
    ),
    "venue": FaultProfile(mean_gap_s=60.0, deeds=_VENUE, settlement_retry_share=0.01),
    "processes": FaultProfile(mean_gap_s=60.0, deeds=("hold", "kill", "halt")),
    "operator": FaultProfile(mean_gap_s=600.0, deeds=("halt",)),
    "all": _EVERYTHING,
    "storm": msgspec.structs.replace(_EVERYTHING, mean_gap_s=8.0),
}
"""`all` does everything about once a minute, `storm` every eight seconds."""


def choose(profile: FaultProfile, random: Random) -> tuple[str, Deed]:
    """The next deed of a profile."""
    weights = [DEEDS[name][0] for name in profile.deeds]
    name = random.choices(profile.deeds, weights)[0]
    return name, DEEDS[name][1]
