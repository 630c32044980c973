//! How large an order may be: the mandate's limits if every cancel fails and every place fills.

use super::situation::Situation;
use crate::units::Side;

/// The venue takes sizes in hundredths of a share.
const SIZE_STEP_E6: u64 = 10_000;

/// How much may be added on a side beside what stands there, by position and by money.
pub(super) fn room_e6(side: Side, seen: &Situation<'_>, standing_e6: u64) -> u64 {
    let signed = if side == Side::Buy {
        seen.net_e6
    } else {
        -seen.net_e6
    };
    // Where only reducing is allowed no order may turn the position round.
    let limit_e6 = if seen.is_reduce_only {
        0
    } else {
        seen.max_position_e6
    };
    let most = i128::from(limit_e6) - i128::from(signed) - i128::from(standing_e6);
    let position_e6 = u64::try_from(most.max(0)).unwrap_or(u64::MAX);
    // A share costs less than a dollar, whichever token it is: no price can break this bound.
    let at_stake_e6: u64 = seen.own.iter().map(|(_, order)| order.size_e6).sum();
    let stood_e6 = if standing_e6 == 0 {
        // The order in question is one of those that stand.
        at_stake_e6.saturating_sub(
            seen.own
                .iter()
                .filter(|(of, _)| *of == side)
                .map(|(_, o)| o.size_e6)
                .sum(),
        )
    } else {
        at_stake_e6
    };
    let held_e6 = seen.net_e6.unsigned_abs();
    let is_adding = signed >= 0;
    let freed_e6 = if is_adding { 0 } else { held_e6 };
    let money_e6 = (seen.capital_e6 + freed_e6).saturating_sub(held_e6 + stood_e6);
    position_e6.min(money_e6)
}

/// The order size of a side: less, the larger the position it adds to.
pub(super) fn wanted_size_e6(order_size_e6: u64, ratio: f64) -> u64 {
    floor_size_e6((order_size_e6 as f64 * (1.0 - ratio).max(0.0)) as u64)
}

pub(super) const fn floor_size_e6(size_e6: u64) -> u64 {
    size_e6 - size_e6 % SIZE_STEP_E6
}
