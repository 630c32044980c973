//! What a quoter is told of its orders.

use super::events::Action;
use super::machine::Engine;
use super::messages::{EngineReply, Inventory, OrderState, OrderUpdate, Version};
use super::orders::OwnOrder;
use super::signing::SignOrder;
use crate::units::Side;

/// So many mandate tables after another every holding is said again, whatever was said before.
const RESTATED_TABLES: u32 = 10;

impl<S: SignOrder> Engine<S> {
    /// An order is certainly not open any more; trades of it may still be unseen.
    pub(super) fn order_gone(&mut self, order_id: &str, reason: Option<String>) {
        if let Some(own) = self.orders.depart(order_id) {
            self.counters.cancelled += 1;
            self.reply_update(&own, OrderState::Cancelled, reason);
        }
    }

    pub(super) fn reply_update(&mut self, own: &OwnOrder, state: OrderState, reason: Option<String>) {
        let update = OrderUpdate {
            market: own.market.clone(),
            reference: own.reference,
            order_id: own.order_id.clone(),
            state,
            side: own.side,
            price_e4: own.price_e4,
            remaining_e6: own.remaining_e6,
            reason,
            v: Version,
        };
        // A restarted quoter counts its references from one again: another life's order is none of its own.
        if self.quoters.get(&own.owner) == Some(&own.connection) {
            self.reply(&own.owner, EngineReply::OrderUpdate(update));
        }
    }

    /// A quoter asked for the end of an order that this engine does not have: to it, the order is gone.
    pub(super) fn reply_gone(&mut self, quoter: &str, market: &str, order_id: String) {
        let update = OrderUpdate {
            market: market.to_owned(),
            reference: 0,
            order_id,
            state: OrderState::Cancelled,
            side: Side::Buy,
            price_e4: 0,
            remaining_e6: 0,
            reason: Some("the engine has no such order".to_owned()),
            v: Version,
        };
        self.reply(quoter, EngineReply::OrderUpdate(update));
    }

    /// Whoever has a mandate learns what is held: with the first table of its connection, and when it changes.
    pub(super) fn tell_holders(&mut self) {
        self.tables_told += 1;
        let is_restating = self.tables_told % RESTATED_TABLES == 0;
        let told = std::mem::take(&mut self.told);
        let mandates = self.gate.mandates();
        let holders = mandates.map(|mandate| (mandate.quoter.clone(), mandate.market.condition_id.clone()));
        let holders: Vec<(String, String)> = holders.collect();
        for (quoter, market) in holders {
            let held = self.inventories.of(&market);
            match (self.quoters.get(&quoter), told.get(&market)) {
                (Some(to), Some((whom, known))) if !is_restating && to == whom && *known == held => {
                    self.told.insert(market, (*to, held));
                }
                _ => self.reply_inventory(&quoter, held),
            }
        }
    }

    pub(super) fn reply_inventory(&mut self, quoter: &str, held: Inventory) {
        if let Some(connection) = self.quoters.get(quoter) {
            self.told.insert(held.market.clone(), (*connection, held.clone()));
            self.actions
                .push(Action::Reply(*connection, EngineReply::Inventory(held)));
        }
    }

    pub(super) fn reply(&mut self, quoter: &str, reply: EngineReply) {
        if let Some(connection) = self.quoters.get(quoter) {
            self.actions.push(Action::Reply(*connection, reply));
        }
    }
}
