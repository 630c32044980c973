//! How long mandated markets carried quotes on both sides.

use super::orders::OwnOrders;
use crate::units::Side;

const NS_PER_S: f64 = 1e9;

/// Sums market-seconds; sample it on every tick.
#[derive(Debug, Default)]
pub struct QuotingUptime {
    last_ns: Option<u64>,
    mandated_s: f64,
    two_sided_s: f64,
}

impl QuotingUptime {
    /// Add the time since the last sample for every market, as its orders stand now.
    pub fn sample<'a>(&mut self, markets: impl Iterator<Item = &'a str>, orders: &OwnOrders, now_ns: u64) {
        let elapsed_s = self
            .last_ns
            .map_or(0.0, |last| now_ns.saturating_sub(last) as f64 / NS_PER_S);
        self.last_ns = Some(now_ns);
        for market in markets {
            self.mandated_s += elapsed_s;
            let has = |side| {
                orders
                    .of_market(market)
                    .any(|order| !order.is_unknown && order.side == side)
            };
            if has(Side::Buy) && has(Side::Sell) {
                self.two_sided_s += elapsed_s;
            }
        }
    }

    /// Seconds during which markets were mandated.
    #[must_use]
    pub const fn mandated_s(&self) -> f64 {
        self.mandated_s
    }

    /// Seconds of those with a known order on either side.
    #[must_use]
    pub const fn two_sided_s(&self) -> f64 {
        self.two_sided_s
    }
}
