"""The one exception tree; the class knows its fate.

ClawFault                      every failure this system raises on purpose
├── UserFault          exit    bad input or a bad machine: one sentence, a remedy, non-zero exit
├── Retry              retry   transient and idempotent: back off, try again
│   └── ClosedFor              not before so many seconds
├── Halt               halt    state unknown: cancel, reconcile, then go on
│   ├── EligibilityHalt        the venue refuses the region or the account: a person must act
│   └── OrderedGap             an ordered message is lost for good
├── WireFault          retry   the peer said something that is not in its protocol
└── InvariantBroken    crash   a bug: the supervisor restarts the process
"""


class ClawFault(Exception):
    """Root of all failures raised on purpose."""


class UserFault(ClawFault):
    """The user can mend it: the message is one sentence with its remedy."""


class Retry(ClawFault):
    """Transient and idempotent."""


class ClosedFor(Retry):
    """A service takes nothing more for `seconds`: a quota is used up, or it is too busy."""

    def __init__(self, what: str, seconds: float) -> None:
        super().__init__(f"{what} takes nothing more for {seconds:g} s")
        self.seconds = seconds


class WireFault(ClawFault):
    """A peer left its protocol; the message is dropped or the connection made anew."""


class Halt(ClawFault):
    """State is unknown: cancel, reconcile, only then go on."""


class EligibilityHalt(Halt):
    """The venue refuses this region or account; never a reason to change route."""


class OrderedGap(Halt):
    """Messages of an ordered channel are lost and nobody can replay them."""


class InvariantBroken(ClawFault):
    """A bug: this process must not go on."""
