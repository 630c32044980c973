//! Batches that the orchestrator wants signed: the key never leaves the engine, and the engine signs only what cannot
//! hurt an order of its own.
//!
//! Pairs that are merged were taken off sale first (`Allocation::merged_e6`), the request is of the term in force, and
//! a signature does not live longer than an hour. What a batch may do at all, `order/batch.rs` says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::events::{Action, ConnectionId, Level};
use super::machine::Engine;
use super::messages::{EngineReply, Version};
use super::signing::SignOrder;
use crate::order::batch::{PositionCall, PositionKind};

const LONGEST_S: u64 = 3_600;

/// A batch to be signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignBatch {
    /// Of the orchestrator that asks.
    pub term: u64,
    /// The wallet's next nonce.
    pub nonce: u64,
    /// Unix second after which it is void.
    pub deadline_s: u64,
    /// What it does.
    pub calls: Vec<PositionCall>,
}

/// The owner's signature, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub struct BatchSigned {
    /// `0x` and 65 bytes.
    pub signature: Option<String>,
    /// Why not.
    pub refused: Option<String>,
    /// Version of the wire.
    pub v: Version,
}

impl<S: SignOrder> Engine<S> {
    pub(super) fn sign_batch(&mut self, connection: ConnectionId, batch: &SignBatch, now_ns: u64) {
        let signed = self
            .check_batch(batch, now_ns)
            .and_then(|()| self.signer.sign_batch(batch));
        let calls = ("calls", batch.calls.len().to_string());
        match &signed {
            Ok(_) => self.log(Level::Info, "engine.batch.signed", vec![calls]),
            Err(reason) => self.log(
                Level::Warning,
                "engine.batch.refused",
                vec![calls, ("reason", reason.clone())],
            ),
        }
        let reply = BatchSigned {
            refused: signed.as_ref().err().cloned(),
            signature: signed.ok(),
            v: Version,
        };
        self.actions
            .push(Action::Reply(connection, EngineReply::BatchSigned(reply)));
    }

    fn check_batch(&self, batch: &SignBatch, now_ns: u64) -> Result<(), String> {
        if batch.term != self.gate.term() {
            return Err(format!("the table in force is of term {}", self.gate.term()));
        }
        let now_s = self.venue_clock.venue_ms(now_ns) / 1_000;
        if batch.deadline_s > now_s + LONGEST_S {
            return Err(format!("its signature would live longer than {LONGEST_S} s"));
        }
        let mut pairs: BTreeMap<&str, u64> = BTreeMap::new();
        for call in batch.calls.iter().filter(|call| call.kind == PositionKind::Merge) {
            let sum = pairs.entry(&call.market).or_default();
            *sum = sum.saturating_add(call.amount_e6);
        }
        let on_sale = pairs
            .into_iter()
            .find(|(market, sum)| *sum > self.inventories.merged_e6(market));
        on_sale.map_or(Ok(()), |(market, _)| {
            Err(format!("the pairs of {market} were not taken off sale"))
        })
    }
}
