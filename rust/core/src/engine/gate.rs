//! The gate: which quoter may trade which market, until when, and how much.
//!
//! The table is written by the orchestrator's allocations alone; a lower term is refused, so an old
//! orchestrator that wakes up is powerless. A mandate lives `life_ns` from the allocation's own send time.

use std::collections::BTreeMap;

use super::messages::{Allocation, Inventory, Mandate, Place, Plan};
use super::orders::OwnOrder;
use crate::order::body::MAX_BATCH;
use crate::units::{PRICE_ONE_E4, Side, is_tick_e4};

/// The venue takes sizes in hundredths of a share.
const SIZE_STEP_E6: u64 = 10_000;

const MOVED: &str = "the mandate moved or was withdrawn";
const REDUCE_ONLY: &str = "positions may only be made smaller";

/// A mandate that ended or was narrowed: the quoter's orders in this market must go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// The market.
    pub market: String,
    /// Who held it.
    pub quoter: String,
    /// Why it ended.
    pub cause: &'static str,
}

/// What a market already has at stake.
#[derive(Debug)]
pub struct Exposure<'a> {
    /// Orders that are or may be open.
    pub open: Vec<&'a OwnOrder>,
    /// Orders that are not open any more, whose last trades may be unseen.
    pub departed: Vec<&'a OwnOrder>,
    /// What is held.
    pub held: Inventory,
    /// What was paid for those tokens held that are not paired with their complement; 1e-6.
    pub paid_e6: u64,
}

/// The mandate table of one engine.
#[derive(Debug, Default)]
pub struct Gate {
    term: u64,
    sent_ns: u64,
    expires_ns: u64,
    table: BTreeMap<String, Mandate>,
}

impl Gate {
    /// Take a newer table and return the mandates it ends; None when it is an older one, which changes nothing.
    pub fn install(&mut self, allocation: Allocation, now_ns: u64) -> Option<Vec<Revoked>> {
        if (allocation.term, allocation.sent_ns) <= (self.term, self.sent_ns) {
            return None;
        }
        (self.term, self.sent_ns) = (allocation.term, allocation.sent_ns);
        // A clock that is ahead makes no mandate live longer.
        self.expires_ns = allocation.sent_ns.min(now_ns).saturating_add(allocation.life_ns);
        let mandates = allocation.mandates.into_iter();
        let table: BTreeMap<_, _> = mandates
            .map(|mandate| (mandate.market.condition_id.clone(), mandate))
            .collect();
        let revoked = self
            .table
            .iter()
            .filter_map(|(market, old)| match table.get(market) {
                Some(new) if (&new.quoter, new.epoch) != (&old.quoter, old.epoch) => Some(ended(old, MOVED)),
                Some(new) if new.is_reduce_only && !old.is_reduce_only => Some(ended(old, REDUCE_ONLY)),
                Some(_) => None,
                None => Some(ended(old, MOVED)),
            });
        let revoked = revoked.collect();
        self.table = table;
        Some(revoked)
    }

    /// End every mandate once the orchestrator has been silent too long.
    pub fn expire(&mut self, now_ns: u64) -> Vec<Revoked> {
        if now_ns < self.expires_ns {
            return Vec::new();
        }
        let table = std::mem::take(&mut self.table);
        table
            .values()
            .map(|old| ended(old, "the mandate ran out"))
            .collect()
    }

    /// Of the table in force; 0 before the first.
    #[must_use]
    pub const fn term(&self) -> u64 {
        self.term
    }

    /// The mandate in force in a market.
    #[must_use]
    pub fn mandate(&self, market: &str) -> Option<&Mandate> {
        self.table.get(market)
    }

    /// Every mandate in force.
    pub fn mandates(&self) -> impl Iterator<Item = &Mandate> {
        self.table.values()
    }

    /// Why a plan may not pass, naming the limit; None when it may.
    ///
    /// The worst case counts: every cancel of the plan fails, every order fills, and so did what `departed` had
    /// left. While an order of a former owner may still be open nothing is placed: at no instant do two quoters
    /// trade one market.
    #[must_use]
    pub fn refusal(&self, plan: &Plan, quoter: &str, exposure: &Exposure<'_>, now_ns: u64) -> Option<String> {
        let mandate = self
            .table
            .get(&plan.market)
            .filter(|mandate| mandate.quoter == quoter);
        let Some(mandate) = mandate else {
            return Some("mandate: this market is not yours".to_owned());
        };
        if now_ns >= self.expires_ns {
            return Some("mandate: it ran out".to_owned());
        }
        // The term orders tables, owner and epoch name a mandate: whoever relies on this very mandate as an earlier
        // or a later orchestrator renewed it may go on, so that no restart of the orchestrator interrupts a quote.
        if plan.epoch != mandate.epoch {
            return Some(format!("epoch: the mandate is of epoch {}", mandate.epoch));
        }
        if plan.places.is_empty() {
            return None;
        }
        if exposure.open.iter().any(|order| order.owner != quoter) {
            return Some("owner: orders of this market's former quoter are still being withdrawn".to_owned());
        }
        if plan.places.len() > MAX_BATCH {
            return Some(format!(
                "batch: {} places in one plan, {MAX_BATCH} are allowed",
                plan.places.len()
            ));
        }
        let tick_e4 = plan.tick_e4.unwrap_or(mandate.market.tick_e4);
        let misplaced = plan
            .places
            .iter()
            .find_map(|place| misplacement(place, tick_e4, mandate));
        misplaced
            .or_else(|| reduce_refusal(&plan.places, mandate, exposure))
            .or_else(|| capital_refusal(&plan.places, mandate, exposure))
            .or_else(|| position_refusal(&plan.places, mandate, exposure))
    }
}

fn ended(mandate: &Mandate, cause: &'static str) -> Revoked {
    Revoked {
        market: mandate.market.condition_id.clone(),
        quoter: mandate.quoter.clone(),
        cause,
    }
}

fn misplacement(place: &Place, tick: u16, mandate: &Mandate) -> Option<String> {
    let price = place.price_e4;
    let is_on_grid =
        is_tick_e4(tick) && price >= tick && price <= PRICE_ONE_E4.saturating_sub(tick) && price % tick == 0;
    if !is_on_grid {
        return Some(format!("price: {price} is outside the tick grid"));
    }
    if place.size_e6 < mandate.market.min_size_e6 {
        return Some(format!("size: {} is below the market's minimum", place.size_e6));
    }
    if place.size_e6 % SIZE_STEP_E6 != 0 {
        return Some(format!("size: {} is not in hundredths of a share", place.size_e6));
    }
    None
}

/// Where only less is allowed: nothing on the side that adds, and never more than is held on the other.
fn reduce_refusal(places: &[Place], mandate: &Mandate, exposure: &Exposure<'_>) -> Option<String> {
    if !mandate.is_reduce_only {
        return None;
    }
    let net = exposure.held.net_e6();
    let leaving = if net > 0 { Side::Sell } else { Side::Buy };
    let resting = exposure.open.iter().chain(&exposure.departed);
    let resting = resting.map(|order| (order.side, order.remaining_e6));
    let adding = places.iter().map(|place| (place.side, place.size_e6));
    let leaves: u128 = resting
        .chain(adding)
        .filter(|(side, _)| *side == leaving)
        .map(|(_, size_e6)| u128::from(size_e6))
        .sum();
    let is_adding = places.iter().any(|place| place.side != leaving);
    (is_adding || leaves > u128::from(net.unsigned_abs()))
        .then(|| format!("{REDUCE_ONLY}: {net} is held, {leaves} would be on its way out"))
}

/// Money at work: what was paid for what is held, and what the orders put at stake.
///
/// Orders that only give back what is held add nothing to it, so that a full position can be left; all orders
/// together are bounded as well.
fn capital_refusal(places: &[Place], mandate: &Mandate, exposure: &Exposure<'_>) -> Option<String> {
    let resting = exposure.open.iter().chain(&exposure.departed);
    let resting = resting.map(|order| (order.side, order.price_e4, order.remaining_e6));
    let adding = places
        .iter()
        .map(|place| (place.side, place.price_e4, place.size_e6));
    let net = exposure.held.net_e6();
    let leaving = if net > 0 { Side::Sell } else { Side::Buy };
    let (mut held_e6, mut all, mut at_work) = (net.unsigned_abs(), 0, u128::from(exposure.paid_e6));
    for (side, price_e4, size_e6) in resting.chain(adding) {
        all += stake_e6(side, price_e4, size_e6);
        let given_back_e6 = if side == leaving { size_e6.min(held_e6) } else { 0 };
        held_e6 -= given_back_e6;
        at_work += stake_e6(side, price_e4, size_e6 - given_back_e6);
    }
    let at_work = at_work.max(all);
    let allowed = mandate.capital_e6;
    (at_work > u128::from(allowed))
        .then(|| format!("capital: {at_work} would be at work, {allowed} is allowed"))
}

fn position_refusal(places: &[Place], mandate: &Mandate, exposure: &Exposure<'_>) -> Option<String> {
    let held = &exposure.held;
    let net = i128::from(held.yes_e6) - i128::from(held.no_e6);
    let allowed = mandate.max_position_e6;
    [(Side::Buy, net), (Side::Sell, -net)]
        .into_iter()
        .find_map(|(side, position)| {
            if !places.iter().any(|place| place.side == side) {
                return None;
            }
            let adding = places
                .iter()
                .filter(|place| place.side == side)
                .map(|place| place.size_e6);
            let resting = exposure
                .open
                .iter()
                .chain(&exposure.departed)
                .filter(|order| order.side == side)
                .map(|order| order.remaining_e6);
            let worst = position + adding.chain(resting).map(i128::from).sum::<i128>();
            (worst > i128::from(allowed))
                .then(|| format!("position: {worst} could be reached, {allowed} is allowed"))
        })
}

/// Money in 1e-6 that an order puts at stake, rounded up: never too little is set aside.
///
/// A sale counts as buying the complement, whether or not tokens are at hand for it.
fn stake_e6(side: Side, price_e4: u16, size_e6: u64) -> u128 {
    let price_e4 = match side {
        Side::Buy => price_e4,
        Side::Sell => PRICE_ONE_E4.saturating_sub(price_e4),
    };
    (u128::from(price_e4) * u128::from(size_e6)).div_ceil(u128::from(PRICE_ONE_E4))
}
