"""A quoter-shaped process that quotes, touches, and then hangs in a C call that holds the interpreter's lock.

`python stuck_quoter.py PORT NAME MARKET TERM EPOCH`; prints the id of its order once it rests. A thread of its own
goes on touching as long as it can, which is as long as the lock is free: never again.
"""

import asyncio
import ctypes
import sys
import threading
import time
from pathlib import Path

from clawswarm.kernel.clock import SystemClock
from clawswarm.kernel.engine_port import EngineClient
from clawswarm.model.instruments import Side
from clawswarm.model.messages import OrderState, OrderUpdate, Place, Plan, PlanDone

PAUSE_S = 0.05


async def main() -> None:
    port, name, market, term, epoch = sys.argv[1:]
    wake = asyncio.Event()
    client = EngineClient(Path(port), name, wake)
    assert await client.try_connect()
    order_id, is_under_way = None, False
    while order_id is None:
        client.touch(1)
        if not is_under_way:
            is_under_way = True
            order = Place(ref=1, side=Side.BUY, price_e4=200, size_e6=20_000_000)
            client.send(plan(market, int(term), int(epoch), order))
        await asyncio.sleep(PAUSE_S)
        for reply in client.take():
            is_under_way &= not isinstance(reply, PlanDone)
            if isinstance(reply, OrderUpdate) and reply.state is OrderState.LIVE:
                order_id = reply.order_id
    loop = asyncio.get_running_loop()
    threading.Thread(target=touch_for_ever, args=(loop, client), daemon=True).start()
    print(order_id, flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    ctypes.PyDLL(None).sleep(60)


def touch_for_ever(loop: asyncio.AbstractEventLoop, client: EngineClient) -> None:
    while True:
        loop.call_soon_threadsafe(client.touch, 1)
        time.sleep(PAUSE_S)


def plan(market: str, term: int, epoch: int, order: Place) -> Plan:
    now_ns = SystemClock().now_ns()
    return Plan(
        market=market,
        term=term,
        epoch=epoch,
        cancels=(),
        places=(order,),
        value=1.0,
        book_sequence=1,
        book_received_ns=None,
        decided_ns=now_ns,
    )


if __name__ == "__main__":
    asyncio.run(main())
