"""What the venue owes a maker besides its trades: liquidity rewards, rebates, and which orders score (§7, §8).

In: the official client of the account; out: integers of 1e-6 dollars. Amounts are as the reads show them: a
day that comes to less than a dollar is shown and never paid.
"""

from datetime import UTC, datetime
from decimal import Decimal

from polymarket import AsyncSecureClient
from polymarket.errors import PolymarketError

from clawswarm.model.errors import Retry
from clawswarm.model.positions import DayIncome, OrdersScoring
from clawswarm.model.units import MICRO

_S_PER_DAY = 86_400


async def read_income(client: AsyncSecureClient, day: int) -> DayIncome:
    """Rewards and maker rebates of one UTC day (days since 1970), so far. Raises Retry when nobody says."""
    date = datetime.fromtimestamp(day * _S_PER_DAY, UTC).date().isoformat()
    try:
        totals = await client.get_total_earnings_for_user_for_day(date=date)
        rebates = await client.get_current_rebates(date=date, maker_address=client.wallet)
    except PolymarketError as fault:
        raise Retry(f"rewards and rebates of {date} are not to be had: {fault}") from fault
    # Rewards are paid in a token that is worth `asset_rate` dollars.
    rewards = sum((total.earnings * total.asset_rate for total in totals), Decimal(0))
    rebated = sum((rebate.rebated_fees_usdc for rebate in rebates), Decimal(0))
    return DayIncome(rewards_e6=round(rewards * MICRO), rebates_e6=round(rebated * MICRO))


async def read_scoring(client: AsyncSecureClient) -> OrdersScoring:
    """How many of the account's open orders earn rewards at this moment. Raises Retry."""
    try:
        order_ids = [order.id async for order in client.list_open_orders().iter_items()]
        scoring = await client.get_orders_scoring(order_ids=order_ids) if order_ids else {}
    except PolymarketError as fault:
        raise Retry(f"which orders score is not to be had: {fault}") from fault
    return OrdersScoring(open=len(order_ids), scoring=sum(scoring.values()))
