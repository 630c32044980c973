//! Own orders and inventory of one account; idempotent by order id and by (trade id, order id, bucket).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::events::{ConnectionId, RequestId};
use super::messages::{Evidence, Fill, FillKey, Inventory, Market, Outcome, Version};
use crate::units::{PRICE_ONE_E4, Side, mirror_price_e4};

/// One order of ours that is or may be open. `side` and `price_e4` are in the YES frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnOrder {
    /// The venue's id: the order's hash.
    pub order_id: String,
    /// The place it came from.
    pub reference: u64,
    /// The quoter whose it is.
    pub owner: String,
    /// The connection it came over: references mean something to that life of the quoter alone.
    pub connection: ConnectionId,
    /// The market.
    pub market: String,
    /// Side in the YES frame.
    pub side: Side,
    /// Price in the YES frame.
    pub price_e4: u16,
    /// Shares not yet traded.
    pub remaining_e6: u64,
    /// The outcome token it is on.
    pub token_id: String,
    /// Its side on that token.
    pub token_side: Side,
    /// Its price on that token.
    pub token_price_e4: u16,
    /// From before it is sent until the venue has answered; such an order counts as open.
    pub is_unknown: bool,
    /// The last request before that answer: a cancel up to it may have overtaken the place, and not found the order.
    pub known_after: RequestId,
}

/// An order as the venue knows it: on one outcome token, at that token's price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenOrder {
    /// The outcome token.
    pub token_id: String,
    /// Side on that token.
    pub side: Side,
    /// Price of that token.
    pub price_e4: u16,
    /// Shares.
    pub size_e6: u64,
    /// The market's tick.
    pub tick_e4: u16,
    /// Which exchange contract it is signed for.
    pub neg_risk: bool,
    /// Makes the hash unique together with the timestamp.
    pub salt: u64,
    /// The venue's clock when it was signed.
    pub timestamp_ms: u64,
}

/// The outcome token on which a YES-frame order is best placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenChoice {
    /// The outcome token.
    pub token_id: String,
    /// Side on that token.
    pub side: Side,
    /// Price of that token.
    pub price_e4: u16,
}

/// Every order of the account that is or may be open.
#[derive(Debug, Default)]
pub struct OwnOrders {
    orders: BTreeMap<String, OwnOrder>,
    by_market: BTreeMap<String, BTreeSet<String>>,
    departed: BTreeMap<String, OwnOrder>,
}

impl OwnOrders {
    /// Remember an order, before it is sent.
    pub fn add(&mut self, order: OwnOrder) {
        self.by_market
            .entry(order.market.clone())
            .or_default()
            .insert(order.order_id.clone());
        self.orders.insert(order.order_id.clone(), order);
    }

    /// One order, None once it is gone.
    #[must_use]
    pub fn get(&self, order_id: &str) -> Option<&OwnOrder> {
        self.orders.get(order_id)
    }

    /// One order, to change it.
    pub fn get_mut(&mut self, order_id: &str) -> Option<&mut OwnOrder> {
        self.orders.get_mut(order_id)
    }

    /// Forget an order that is certainly gone.
    pub fn remove(&mut self, order_id: &str) -> Option<OwnOrder> {
        let order = self.orders.remove(order_id)?;
        if let Some(ids) = self.by_market.get_mut(&order.market) {
            ids.remove(order_id);
            if ids.is_empty() {
                self.by_market.remove(&order.market);
            }
        }
        Some(order)
    }

    /// An order is not open any more, but trades of it may still be unseen: until they are it is exposure.
    pub fn depart(&mut self, order_id: &str) -> Option<OwnOrder> {
        let order = self.remove(order_id)?;
        self.departed.insert(order.order_id.clone(), order.clone());
        Some(order)
    }

    /// One order that departed, to change it.
    pub fn departed_mut(&mut self, order_id: &str) -> Option<&mut OwnOrder> {
        self.departed.get_mut(order_id)
    }

    /// Every trade of an order has been seen.
    pub fn forget(&mut self, order_id: &str) {
        self.departed.remove(order_id);
    }

    /// Orders whose last trades may be unseen.
    pub fn departed(&self) -> impl Iterator<Item = &OwnOrder> {
        self.departed.values()
    }

    /// Every order.
    pub fn all(&self) -> impl Iterator<Item = &OwnOrder> {
        self.orders.values()
    }

    /// The orders of one market.
    pub fn of_market(&self, market: &str) -> impl Iterator<Item = &OwnOrder> {
        let ids = self.by_market.get(market).into_iter().flatten();
        ids.filter_map(|order_id| self.orders.get(order_id))
    }

    /// Ids of an owner's orders, in one market or (None) in all.
    #[must_use]
    pub fn of_owner(&self, owner: &str, market: Option<&str>) -> Vec<String> {
        let is_chosen =
            |order: &&OwnOrder| order.owner == owner && market.is_none_or(|market| order.market == market);
        self.all()
            .filter(is_chosen)
            .map(|order| order.order_id.clone())
            .collect()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.orders.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.orders.is_empty()
    }
}

/// Outcome tokens held, by market, with the trades that made them.
#[derive(Debug, Default)]
pub struct Inventories {
    held: HashMap<String, (i64, i64)>,
    /// What was paid for them, YES and NO; 1e-6.
    paid: HashMap<String, (u64, u64)>,
    known: HashMap<FillKey, Evidence>,
    /// Fills whose settlement has no end yet.
    pending: BTreeMap<FillKey, Fill>,
    /// Pairs taken out to be merged, by market; a pair is no position, so `held` keeps counting them.
    merged: BTreeMap<String, u64>,
}

impl Inventories {
    /// What is held in a market.
    #[must_use]
    pub fn of(&self, market: &str) -> Inventory {
        let (yes_e6, no_e6) = self.held.get(market).copied().unwrap_or_default();
        Inventory {
            market: market.to_owned(),
            yes_e6,
            no_e6,
            v: Version,
        }
    }

    /// What of it can be sold: tokens can be used once the trade that bought them is on the chain.
    #[must_use]
    pub fn settled(&self, market: &str) -> Inventory {
        let mut settled = self.of(market);
        let is_due = |fill: &&Fill| fill.market == market && fill.evidence < Evidence::Mined;
        for bought in self.pending.values().filter(is_due) {
            if bought.token_side() == Side::Buy {
                let size_e6 = i64::try_from(bought.size_e6).unwrap_or(i64::MAX);
                match bought.outcome {
                    Outcome::Yes => settled.yes_e6 = settled.yes_e6.saturating_sub(size_e6),
                    Outcome::No => settled.no_e6 = settled.no_e6.saturating_sub(size_e6),
                }
            }
        }
        let merged = i64::try_from(self.merged_e6(market)).unwrap_or(i64::MAX);
        settled.yes_e6 = settled.yes_e6.saturating_sub(merged);
        settled.no_e6 = settled.no_e6.saturating_sub(merged);
        settled
    }

    /// Pairs of a market that were ever taken out to be merged.
    #[must_use]
    pub fn merged_e6(&self, market: &str) -> u64 {
        self.merged.get(market).copied().unwrap_or_default()
    }

    /// All pairs that were ever taken out to be merged.
    pub fn set_merged(&mut self, merged: BTreeMap<String, u64>) {
        self.merged = merged;
    }

    /// Fills whose settlement has no end yet.
    pub fn pending(&self) -> impl Iterator<Item = &Fill> {
        self.pending.values()
    }

    /// Whether a fill was booked, or is known to have failed.
    #[must_use]
    pub fn knows(&self, key: &FillKey) -> bool {
        self.known.contains_key(key)
    }

    /// What was paid for the tokens of a market that are not paired with their complement; 1e-6.
    #[must_use]
    pub fn paid_e6(&self, market: &str) -> u64 {
        let (yes_e6, no_e6) = self.held.get(market).copied().unwrap_or_default();
        let (yes_paid, no_paid) = self.paid.get(market).copied().unwrap_or_default();
        let (held_e6, paid) = if yes_e6 > no_e6 {
            (yes_e6, yes_paid)
        } else {
            (no_e6, no_paid)
        };
        share_of(paid, yes_e6.saturating_sub(no_e6).unsigned_abs(), held_e6)
    }

    /// Take over a fill that an earlier life of this process had recorded, the oldest first.
    pub fn restore(&mut self, fill: Fill) {
        let (yes_e6, no_e6) = self.held.get(&fill.market).copied().unwrap_or_default();
        let mirror = mirror_price_e4(fill.price_e4);
        for (is_yes, change, price_e4) in [
            (true, fill.yes_e6.saturating_sub(yes_e6), fill.price_e4),
            (false, fill.no_e6.saturating_sub(no_e6), mirror),
        ] {
            self.change(&fill.market, is_yes, change, price_e4);
        }
        self.remember(fill);
    }

    fn remember(&mut self, fill: Fill) {
        let key = fill.key();
        self.known.insert(key.clone(), fill.evidence);
        if fill.evidence < Evidence::Confirmed {
            self.pending.insert(key, fill);
        } else {
            self.pending.remove(&key);
        }
    }

    /// More or less of a token, at its own price.
    fn change(&mut self, market: &str, is_yes: bool, change: i64, price_e4: u16) {
        let (yes_e6, no_e6) = self.held.entry(market.to_owned()).or_default();
        let (yes_paid, no_paid) = self.paid.entry(market.to_owned()).or_default();
        let (held, paid) = if is_yes {
            (yes_e6, yes_paid)
        } else {
            (no_e6, no_paid)
        };
        let size_e6 = change.unsigned_abs();
        *paid = if change > 0 {
            let cost = (u128::from(price_e4) * u128::from(size_e6)).div_ceil(u128::from(PRICE_ONE_E4));
            paid.saturating_add(u64::try_from(cost).unwrap_or(u64::MAX))
        } else {
            paid.saturating_sub(share_of(*paid, size_e6, *held))
        };
        *held = held.saturating_add(change);
    }

    /// Take in what is known of a fill, once: the fill with what is held after it, None when nothing is new.
    pub fn apply(&mut self, mut fill: Fill) -> Option<Fill> {
        let before = self.known.get(&fill.key()).copied();
        if before.is_some_and(|known| known >= fill.evidence) {
            return None;
        }
        if let Some(first) = self.pending.get(&fill.key()) {
            // Whose it was and what was fair are known best when it is seen first.
            fill.owner.clone_from(&first.owner);
            (fill.fair_e4, fill.matched_ms) = (first.fair_e4, first.matched_ms);
        }
        let size_e6 = i64::try_from(fill.size_e6).unwrap_or(i64::MAX);
        let (is_yes, price_e4) = match fill.outcome {
            Outcome::Yes => (true, fill.price_e4),
            Outcome::No => (false, mirror_price_e4(fill.price_e4)),
        };
        let bought_e6 = match fill.token_side() {
            Side::Buy => size_e6,
            Side::Sell => -size_e6,
        };
        match (before.is_some(), fill.evidence == Evidence::Failed) {
            (false, false) => self.change(&fill.market, is_yes, bought_e6, price_e4),
            (true, true) => self.change(&fill.market, is_yes, -bought_e6, price_e4),
            _ => {}
        }
        let held = self.of(&fill.market);
        (fill.yes_e6, fill.no_e6) = (held.yes_e6, held.no_e6);
        self.remember(fill.clone());
        Some(fill)
    }
}

/// The part of what was paid for `held_e6` that `size_e6` of them stand for.
fn share_of(paid: u64, size_e6: u64, held_e6: i64) -> u64 {
    let Ok(held_e6 @ 1..) = u64::try_from(held_e6) else {
        return 0;
    };
    let share = u128::from(paid) * u128::from(size_e6.min(held_e6)) / u128::from(held_e6);
    u64::try_from(share).unwrap_or(u64::MAX)
}

/// Sell a token that is held free of other orders; without one, buy the complement instead.
pub fn choose_token<'a>(
    market: &Market,
    (side, price_e4): (Side, u16),
    size_e6: u64,
    held: &Inventory,
    open_orders: impl Iterator<Item = &'a OwnOrder>,
) -> TokenChoice {
    let (mut yes_reserved, mut no_reserved) = (0_i128, 0_i128);
    for order in open_orders.filter(|order| order.token_side == Side::Sell) {
        let reserved = if order.token_id == market.yes_token {
            &mut yes_reserved
        } else {
            &mut no_reserved
        };
        *reserved += i128::from(order.remaining_e6);
    }
    let mirror = mirror_price_e4(price_e4);
    let size = i128::from(size_e6);
    let (token_id, side, price_e4) = match side {
        Side::Sell if i128::from(held.yes_e6) - yes_reserved >= size => {
            (&market.yes_token, Side::Sell, price_e4)
        }
        Side::Sell => (&market.no_token, Side::Buy, mirror),
        Side::Buy if i128::from(held.no_e6) - no_reserved >= size => (&market.no_token, Side::Sell, mirror),
        Side::Buy => (&market.yes_token, Side::Buy, price_e4),
    };
    TokenChoice {
        token_id: token_id.clone(),
        side,
        price_e4,
    }
}

/// Side and price in the YES frame of an order on either token.
#[must_use]
pub fn yes_frame(market: &Market, token_id: &str, token_side: Side, token_price_e4: u16) -> (Side, u16) {
    if token_id == market.yes_token {
        (token_side, token_price_e4)
    } else {
        (token_side.opposite(), mirror_price_e4(token_price_e4))
    }
}
