//! Trades of the account: our part of each is booked once, its settlement followed, and one that fails taken out.
//!
//! Everybody learns of a settlement the way they learn of a fill: the same `Fill` comes again with its new evidence
//! and with what is held after it.

use std::collections::BTreeSet;

use super::events::{Action, Level};
use super::machine::Engine;
use super::messages::{Evidence, Fill, FillKey, OrderState, Outcome, Version};
use super::orders::yes_frame;
use super::signing::SignOrder;
use crate::order::amounts::SIZE_STEP_E6;
use crate::units::Side;

/// How far before the last listing the next one begins: trades may appear in it late.
const OVERLAP_MS: u64 = 60_000;
/// A fill that is older than this must be in a listing.
const GHOST_MS: u64 = 60_000;
/// Listings without a fill after which it never happened.
const DENIALS: u8 = 2;

/// Our part of a trade in which we were the maker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MakerPart {
    /// Our order.
    pub order_id: String,
    /// The outcome token it was on.
    pub token_id: String,
    /// Its side on that token.
    pub side: Side,
    /// Price of that token.
    pub price_e4: u16,
    /// Shares.
    pub size_e6: u64,
}

/// One trade, with those parts of it that are this key's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trade {
    /// The venue's id.
    pub id: String,
    /// The market.
    pub market: String,
    /// Which part of a trade that is settled in several transactions.
    pub bucket_index: u32,
    /// What is known of its settlement.
    pub evidence: Evidence,
    /// When it was matched, on the venue's clock; None when the venue did not say.
    pub matched_ms: Option<u64>,
    /// Our parts.
    pub parts: Vec<MakerPart>,
}

/// Which trades a listing covers, in venue ms.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TradeListing {
    pub(super) after_ms: u64,
    pub(super) asked_ms: u64,
}

impl<S: SignOrder> Engine<S> {
    /// Book our part of a trade, once.
    pub(super) fn take_trade(&mut self, trade: &Trade, now_ns: u64) {
        if trade.parts.is_empty() || self.refused_trades.contains(&trade.id) {
            return;
        }
        if !self.markets.contains_key(&trade.market) {
            let cause = format!("trade {} is in a market this engine does not know", trade.id);
            self.refused_trades.insert(trade.id.clone());
            return self.escalate(&cause, now_ns);
        }
        for part in &trade.parts {
            self.suspicion.found(&part.order_id, now_ns);
            if let Some(fill) = self.fill_of(trade, part, now_ns) {
                self.take_fill(fill);
            }
        }
    }

    /// Since when (venue s) trades are to be listed: what may be new, and what has no end yet.
    pub(super) fn trades_after_s(&self) -> Option<u64> {
        let pending = self.inventories.pending().map(|fill| fill.matched_ms);
        let since_ms = pending.fold(self.trades_listed_ms?, u64::min);
        Some(since_ms.saturating_sub(OVERLAP_MS) / 1_000)
    }

    /// A listing came in whole. A fill that it should show and does not, twice, never happened.
    pub(super) fn note_listed(&mut self, listing: TradeListing, trades: &[Trade], now_ns: u64) {
        self.trades_listed_ms = Some(listing.asked_ms);
        let listed: BTreeSet<&str> = trades.iter().map(|trade| trade.id.as_str()).collect();
        let is_missing = |fill: &&Fill| {
            !listed.contains(fill.trade_id.as_str())
                && fill.matched_ms >= listing.after_ms
                && fill.matched_ms.saturating_add(GHOST_MS) < listing.asked_ms
        };
        let missing: Vec<Fill> = self.inventories.pending().filter(is_missing).cloned().collect();
        let before = std::mem::take(&mut self.ghosts);
        for fill in missing {
            let key: FillKey = fill.key();
            let denials = before.get(&key).copied().unwrap_or_default() + 1;
            if denials < DENIALS {
                self.ghosts.insert(key, denials);
                continue;
            }
            self.give_back(&fill.order_id, fill.size_e6);
            self.take_fill(Fill {
                evidence: Evidence::Failed,
                seen_ns: now_ns,
                ..fill
            });
        }
    }

    fn fill_of(&self, trade: &Trade, part: &MakerPart, now_ns: u64) -> Option<Fill> {
        let market = self.markets.get(&trade.market)?;
        let (side, price_e4) = yes_frame(market, &part.token_id, part.side, part.price_e4);
        let is_yes = part.token_id == market.yes_token;
        let departed = self.orders.departed().find(|own| own.order_id == part.order_id);
        let own = self.orders.get(&part.order_id).or(departed);
        Some(Fill {
            trade_id: trade.id.clone(),
            order_id: part.order_id.clone(),
            bucket_index: trade.bucket_index,
            evidence: trade.evidence,
            matched_ms: trade
                .matched_ms
                .unwrap_or_else(|| self.venue_clock.venue_ms(now_ns)),
            outcome: if is_yes { Outcome::Yes } else { Outcome::No },
            market: trade.market.clone(),
            underlying: market.underlying.clone(),
            owner: own.map(|own| own.owner.clone()).unwrap_or_default(),
            side,
            price_e4,
            size_e6: part.size_e6,
            fee_e6: 0,
            fair_e4: self.fair_e4.get(&trade.market).copied(),
            yes_e6: 0,
            no_e6: 0,
            seen_ns: now_ns,
            v: Version,
        })
    }

    fn take_fill(&mut self, fill: Fill) {
        let is_first = !self.inventories.knows(&fill.key());
        let Some(fill) = self.inventories.apply(fill) else {
            return;
        };
        let is_failed = fill.evidence == Evidence::Failed;
        if is_failed {
            let fields = vec![
                ("trade_id", fill.trade_id.clone()),
                ("order_id", fill.order_id.clone()),
            ];
            self.log(Level::Warning, "trade.failed", fields);
        }
        let (market, order_id, size_e6) = (fill.market.clone(), fill.order_id.clone(), fill.size_e6);
        self.actions.push(Action::PublishFill(fill));
        if is_first != is_failed {
            self.tell_held(&market);
        }
        if is_first {
            self.counters.filled += u64::from(!is_failed);
            // A match that failed has used up its part of the order all the same.
            self.reduce(&order_id, size_e6);
        }
    }

    fn tell_held(&mut self, market: &str) {
        let held = self.inventories.of(market);
        self.actions.push(Action::PublishInventory(held.clone()));
        if let Some(mandate) = self.gate.mandate(market) {
            let quoter = mandate.quoter.clone();
            self.reply_inventory(&quoter, held);
        }
    }

    /// What never traded still rests.
    fn give_back(&mut self, order_id: &str, size_e6: u64) {
        if let Some(departed) = self.orders.departed_mut(order_id) {
            departed.remaining_e6 = departed.remaining_e6.saturating_add(size_e6);
        }
        if let Some(own) = self.orders.get_mut(order_id) {
            own.remaining_e6 = own.remaining_e6.saturating_add(size_e6);
            let own = own.clone();
            self.reply_update(&own, OrderState::Live, None);
        }
    }

    fn reduce(&mut self, order_id: &str, size_e6: u64) {
        if let Some(departed) = self.orders.departed_mut(order_id) {
            departed.remaining_e6 = departed.remaining_e6.saturating_sub(size_e6);
        }
        let Some(own) = self.orders.get_mut(order_id) else {
            return;
        };
        own.remaining_e6 = own.remaining_e6.saturating_sub(size_e6);
        let own = own.clone();
        // The venue cuts what it matches to hundredths: what is below one rests no more, and nothing says so.
        if own.remaining_e6 >= SIZE_STEP_E6 {
            self.reply_update(&own, OrderState::Live, None);
        } else {
            self.orders.remove(order_id);
            self.reply_update(&own, OrderState::Filled, None);
        }
    }
}
