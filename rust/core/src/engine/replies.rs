//! What a quoter is told of its orders.

use super::events::Action;
use super::machine::Engine;
use super::messages::{EngineReply, Inventory, OrderState, OrderUpdate, Version};
use super::orders::OwnOrder;
use super::signing::SignOrder;

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

    pub(super) fn reply_inventory(&mut self, quoter: &str, held: Inventory) {
        self.reply(quoter, EngineReply::Inventory(held));
    }

    pub(super) fn reply(&mut self, quoter: &str, reply: EngineReply) {
        if let Some(connection) = self.quoters.get(quoter) {
            self.actions.push(Action::Reply(*connection, reply));
        }
    }
}
