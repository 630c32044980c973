"""Rate budget of one account: request windows and order/cancel buckets. Pure.

Windows (requests, sliding): POST 3,500 in 10 s and 36,000 in 600 s, DELETE 3,000 and 30,000. Buckets: tier
Standard, 40 orders/s burst 60, 80 cancels/s burst 120. A cancel is never refused for want of tokens: it may
drive its bucket into debt, which the venue allows at this tier. Source: the venue's rate-limit pages.
"""

from collections import deque

from clawswarm.engine.settings import EngineLimits
from clawswarm.kernel.clock import NS_PER_S


class SlidingWindow:
    """Counts events in the last `span_ns` and remembers the highest count."""

    def __init__(self, span_s: int, limit: int) -> None:
        self._span_ns = span_s * NS_PER_S
        self.limit = limit
        self._times: deque[int] = deque()
        self.highest = 0

    def count(self, now_ns: int) -> int:
        """Events in the window that ends now."""
        while self._times and self._times[0] <= now_ns - self._span_ns:
            self._times.popleft()
        return len(self._times)

    def add(self, now_ns: int) -> None:
        """Count one event."""
        self._times.append(now_ns)
        self.highest = max(self.highest, self.count(now_ns))


class Budget:
    """What may still be sent."""

    def __init__(self, limits: EngineLimits, now_ns: int) -> None:
        self.window_10s = SlidingWindow(10, limits.place_requests_10s)
        self.window_600s = SlidingWindow(600, limits.place_requests_600s)
        self._rate, self._burst = limits.orders_per_s, limits.orders_burst
        self._tokens = float(limits.orders_burst)
        self._filled_ns = now_ns

    def refusal(self, orders: int, now_ns: int) -> str | None:
        """Why one place request of `orders` orders may not be sent now; None when it may."""
        for window, name in ((self.window_10s, "10 s"), (self.window_600s, "600 s")):
            if window.count(now_ns) >= window.limit:
                return f"rate: {window.limit} place requests in {name} are used up"
        self._refill(now_ns)
        if self._tokens < orders:
            return f"rate: {orders} orders asked, {self._tokens:.1f} tokens left"
        return None

    def spend(self, orders: int, now_ns: int) -> None:
        """Account for one place request that is about to be sent."""
        self._refill(now_ns)
        self._tokens -= orders
        self.window_10s.add(now_ns)
        self.window_600s.add(now_ns)

    def _refill(self, now_ns: int) -> None:
        earned = (now_ns - self._filled_ns) / NS_PER_S * self._rate
        self._tokens = min(self._tokens + earned, float(self._burst))
        self._filled_ns = now_ns
