//! Trades of the account: our part of each is booked once, and a settlement that fails halts the swarm.

use super::events::Action;
use super::machine::Engine;
use super::messages::{Fill, OrderState, Version};
use super::orders::yes_frame;
use super::signing::SignOrder;
use crate::units::Side;

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
    /// Whether its settlement failed for good.
    pub is_failed: bool,
    /// Whether it is on the chain, so that what it bought can be sold.
    pub is_settled: bool,
    /// Our parts.
    pub parts: Vec<MakerPart>,
}

impl<S: SignOrder> Engine<S> {
    /// Book our part of a trade, once.
    pub(super) fn take_trade(&mut self, trade: &Trade, now_ns: u64) {
        if trade.parts.is_empty() || self.refused_trades.contains(&trade.id) {
            return;
        }
        if trade.is_failed {
            let cause = format!("settlement of trade {} failed after it was matched", trade.id);
            return self.refuse_trade(trade, &cause, now_ns);
        }
        if !self.markets.contains_key(&trade.market) {
            let cause = format!("trade {} is in a market this engine does not know", trade.id);
            return self.refuse_trade(trade, &cause, now_ns);
        }
        for part in &trade.parts {
            self.take_fill(trade, part, now_ns);
            if trade.is_settled {
                self.inventories.settle(&trade.id, &part.order_id);
            }
        }
    }

    fn refuse_trade(&mut self, trade: &Trade, cause: &str, now_ns: u64) {
        self.refused_trades.insert(trade.id.clone());
        self.escalate(cause, now_ns);
    }

    fn take_fill(&mut self, trade: &Trade, part: &MakerPart, now_ns: u64) {
        let Some(market) = self.markets.get(&trade.market) else {
            return;
        };
        let ids = (trade.id.as_str(), part.order_id.as_str());
        let held = self.inventories.apply(
            ids,
            market,
            (&part.token_id, part.side, part.price_e4),
            part.size_e6,
        );
        let Some(held) = held else {
            return;
        };
        self.counters.filled += 1;
        let (side, price_e4) = yes_frame(market, &part.token_id, part.side, part.price_e4);
        let departed = self.orders.departed().find(|own| own.order_id == part.order_id);
        let own = self.orders.get(&part.order_id).or(departed);
        let fill = Fill {
            trade_id: trade.id.clone(),
            order_id: part.order_id.clone(),
            market: trade.market.clone(),
            underlying: market.underlying.clone(),
            owner: own.map(|own| own.owner.clone()).unwrap_or_default(),
            side,
            price_e4,
            size_e6: part.size_e6,
            fee_e6: 0,
            fair_e4: self.fair_e4.get(&trade.market).copied(),
            yes_e6: held.yes_e6,
            no_e6: held.no_e6,
            seen_ns: now_ns,
            v: Version,
        };
        self.actions.push(Action::PublishFill(fill));
        self.actions.push(Action::PublishInventory(held.clone()));
        if let Some(mandate) = self.gate.mandate(&trade.market) {
            let quoter = mandate.quoter.clone();
            self.reply_inventory(&quoter, held);
        }
        self.reduce(&part.order_id, part.size_e6);
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
        if own.remaining_e6 > 0 {
            self.reply_update(&own, OrderState::Live, None);
        } else {
            self.orders.remove(order_id);
            self.reply_update(&own, OrderState::Filled, None);
        }
    }
}
