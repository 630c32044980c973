//! What must hold at any time.

use super::*;

impl World {
    /// Whatever is open at the venue is in the engine's view, and inside its mandate in the worst case.
    pub fn check(&self) {
        for (order_id, order) in &self.live {
            let own = self.engine.orders().get(order_id);
            let own = own.unwrap_or_else(|| panic!("{order_id} is open and the engine does not know"));
            assert!(
                own.remaining_e6 >= order.remaining_e6,
                "the engine never sees less than there is"
            );
        }
        for (index, market) in MARKETS.into_iter().enumerate() {
            self.check_market(index, market);
        }
    }

    pub(super) fn check_market(&self, index: usize, market: &str) {
        let orders = || self.live.values().filter(|order| order.market == market);
        let stake = |order: &Resting| {
            let is_buy = order.side == Side::Buy;
            let price_e4 = if is_buy {
                order.price_e4
            } else {
                10_000 - order.price_e4
            };
            (u128::from(price_e4) * u128::from(order.remaining_e6)).div_ceil(10_000)
        };
        assert!(
            orders().map(stake).sum::<u128>() <= u128::from(CAPITAL_E6),
            "capital"
        );
        let held = |token: String| self.held.get(&token).copied().unwrap_or_default();
        let net = held(format!("yes{index}")) - held(format!("no{index}"));
        let is_long = |order: &&Resting| (order.side == Side::Buy) == order.token_id.starts_with("yes");
        let longs: u64 = orders().filter(is_long).map(|order| order.remaining_e6).sum();
        let shorts: u64 = orders()
            .filter(|order| !is_long(order))
            .map(|order| order.remaining_e6)
            .sum();
        assert!(net + signed(longs) <= signed(MAX_POSITION_E6), "position");
        assert!(-net + signed(shorts) <= signed(MAX_POSITION_E6), "position");
    }

    /// The engine's view is the venue's.
    pub fn check_equal(&self) {
        let ours: Vec<_> = self
            .engine
            .orders()
            .all()
            .map(|own| (own.order_id.clone(), own.remaining_e6))
            .collect();
        let theirs: Vec<_> = self
            .live
            .iter()
            .map(|(id, order)| (id.clone(), order.remaining_e6))
            .collect();
        assert_eq!(ours, theirs);
        assert!(self.engine.orders().all().all(|own| !own.is_unknown));
        for (index, market) in MARKETS.into_iter().enumerate() {
            let held = self.engine.inventories().of(market);
            let of = |token: String| self.held.get(&token).copied().unwrap_or_default();
            assert_eq!(
                (held.yes_e6, held.no_e6),
                (of(format!("yes{index}")), of(format!("no{index}")))
            );
        }
    }

    /// Orders of an owner that are open at the venue.
    pub fn live_of(&self, owner: &str) -> BTreeSet<String> {
        let ids = self
            .live
            .keys()
            .filter(|order_id| self.intents[*order_id] == owner);
        ids.cloned().collect()
    }
}
