//! The messages that the engine exchanges with quoters and the bus: `model/messages.py`, field by field.
//!
//! Times ending in `_ns` are CLOCK_BOOTTIME of this host. Units: prices 1e-4, sizes and money 1e-6.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::batches::{BatchSigned, SignBatch};
use crate::units::Side;

/// The version of the wire: written as 1, and nothing else is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Version;

impl Version {
    const NUMBER: u8 = 1;
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(Self::NUMBER)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            1 => Ok(Self),
            other => Err(D::Error::custom(format!("version {other} of the wire"))),
        }
    }
}

/// One binary market.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Market {
    /// The venue's id.
    pub condition_id: String,
    /// For people.
    pub slug: String,
    /// Markets whose outcomes move together.
    pub underlying: String,
    /// The outcome token whose price is the book's price.
    pub yes_token: String,
    /// Its complement.
    pub no_token: String,
    /// Price grid.
    pub tick_e4: u16,
    /// Smallest order.
    pub min_size_e6: u64,
    /// Which exchange contract settles it.
    pub neg_risk: bool,
    /// Whether it takes orders.
    pub is_open: bool,
    /// When it ends, on the venue's clock.
    pub closes_ms: Option<i64>,
}

/// Permission of one quoter to trade one market.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mandate {
    /// The market.
    pub market: Market,
    /// Who may trade it.
    pub quoter: String,
    /// Grows with every change of owner.
    pub epoch: u64,
    /// Money that may be at work.
    pub capital_e6: u64,
    /// Largest net position, either way.
    pub max_position_e6: u64,
    /// Size of one order, for the quoter.
    pub order_size_e6: u64,
    /// Whether only what makes the position smaller may be placed.
    #[serde(default)]
    pub is_reduce_only: bool,
    /// What a plan in this market is worth, as a multiple of the value it names.
    #[serde(default = "one")]
    pub weight: f64,
}

const fn one() -> f64 {
    1.0
}

/// What the swarm may do, as the orchestrator judges it; the engine enforces it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SwarmState {
    /// Trade.
    #[default]
    Normal,
    /// Trade less, further out: the mandates say so.
    Cautious,
    /// Only make positions smaller: the mandates say so.
    ReduceOnly,
    /// Nothing is open and nothing is placed.
    Halted,
}

/// How the orchestrator wants the venue's limits used.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RatePolicy {
    /// Share of the address's place windows that is this engine's, above 0 and at most 1.
    pub window_share: f64,
    /// What a place must be worth for each token that it costs, in the value of plans times weight.
    pub least_value: f64,
}

impl Default for RatePolicy {
    fn default() -> Self {
        Self {
            window_share: 1.0,
            least_value: 0.0,
        }
    }
}

/// The whole mandate table of one orchestrator term.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Allocation {
    /// Grows at each start of the orchestrator.
    pub term: u64,
    /// When it was sent.
    pub sent_ns: u64,
    /// How long its mandates live from then.
    pub life_ns: u64,
    /// Markets that are absent are withdrawn.
    pub mandates: Vec<Mandate>,
    /// Pairs of both tokens, by market, that were ever taken out of the account to be merged: not for sale.
    #[serde(default)]
    pub merged_e6: BTreeMap<String, u64>,
    /// What the swarm may do.
    #[serde(default)]
    pub state: SwarmState,
    /// Why, when it is not everything.
    #[serde(default)]
    pub causes: Vec<String>,
    /// How the venue's limits are used.
    #[serde(default)]
    pub rate: RatePolicy,
}

/// Top of one market's book, of which the engine reads the fair price alone.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct BookState {
    /// The market.
    pub market: String,
    /// Size-weighted touch, a probability.
    pub microprice: Option<f64>,
    /// Whether the sentinel vouches for it.
    pub is_valid: bool,
}

/// Pulse of one sentinel, of which the engine reads alone whether its feed lives.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct FeedHealth {
    /// Whether its connection lives.
    pub is_live: bool,
}

/// Cancel everything and place nothing until a later `ResumeSwarm`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct HaltSwarm {
    /// Why.
    pub cause: String,
    /// When it was sent; one from before the last resume is over.
    pub sent_ns: u64,
}

/// The halts of before `sent_ns` are lifted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ResumeSwarm {
    /// Who.
    pub origin: String,
    /// When it was sent.
    pub sent_ns: u64,
}

/// First message of a quoter on its connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The quoter.
    pub name: String,
}

/// One new post-only order, in the YES frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Unique within the quoter's connection.
    #[serde(rename = "ref")]
    pub reference: u64,
    /// Side in the YES frame.
    pub side: Side,
    /// Price in the YES frame.
    pub price_e4: u16,
    /// Shares.
    pub size_e6: u64,
}

/// What a quoter wants changed in one market: cancels first, then places.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The market.
    pub market: String,
    /// Term of the mandate it relies on.
    pub term: u64,
    /// Epoch of the mandate it relies on.
    pub epoch: u64,
    /// Order ids to cancel.
    pub cancels: Vec<String>,
    /// Orders to place.
    pub places: Vec<Place>,
    /// What it is worth, for the order of the queue.
    pub value: f64,
    /// Sequence of the last book the quoter had seen.
    pub book_sequence: u64,
    /// When the book that caused it was read; None when something else caused it.
    pub book_received_ns: Option<u64>,
    /// When it was decided.
    pub decided_ns: u64,
    /// Tick of the book that the places are rounded to; None for the mandate's.
    ///
    /// The feed says of a new tick seconds before the orchestrator's listing does.
    #[serde(default)]
    pub tick_e4: Option<u16>,
}

/// A quoter's own loop has handled a book or a pulse of the sentinels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touch {
    /// Sequence of the last book it processed.
    pub book_sequence: u64,
}

/// What a quoter may send.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum EngineRequest {
    /// Who is calling.
    Hello(Hello),
    /// What to change.
    Plan(Plan),
    /// It goes on.
    Touch(Touch),
    /// The orchestrator asks whose account it is.
    OpenAccount,
    /// The orchestrator wants a batch of the wallet signed.
    SignBatch(SignBatch),
}

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OrderState {
    /// Resting.
    Live,
    /// Gone unfilled, or with a rest.
    Cancelled,
    /// Gone, all of it traded.
    Filled,
    /// The venue did not take it.
    Rejected,
    /// Counts as exposure until the venue has answered.
    Unknown,
}

/// What became of one order of the receiving quoter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub struct OrderUpdate {
    /// The market.
    pub market: String,
    /// The place it came from.
    #[serde(rename = "ref")]
    pub reference: u64,
    /// The venue's id: the order's hash.
    pub order_id: String,
    /// Its new state.
    pub state: OrderState,
    /// Side in the YES frame.
    pub side: Side,
    /// Price in the YES frame.
    pub price_e4: u16,
    /// Shares not yet traded.
    pub remaining_e6: u64,
    /// The venue's word, where it gave one.
    pub reason: Option<String>,
    /// Version of the wire.
    pub v: Version,
}

/// Every cancel and place of a plan has its outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub struct PlanDone {
    /// The market.
    pub market: String,
    /// Which plan.
    pub decided_ns: u64,
    /// Names the limit if the gate said no.
    pub refused: Option<String>,
    /// Version of the wire.
    pub v: Version,
}

/// What the account holds in one market.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub struct Inventory {
    /// The market.
    pub market: String,
    /// Shares of YES.
    pub yes_e6: i64,
    /// Shares of NO.
    pub no_e6: i64,
    /// Version of the wire.
    pub v: Version,
}

impl Fill {
    /// What makes it the same fill.
    #[must_use]
    pub fn key(&self) -> FillKey {
        (self.trade_id.clone(), self.order_id.clone(), self.bucket_index)
    }

    /// Side on the token that changed hands.
    #[must_use]
    pub const fn token_side(&self) -> Side {
        match self.outcome {
            Outcome::Yes => self.side,
            Outcome::No => self.side.opposite(),
        }
    }
}

/// (trade id, order id, bucket index).
pub type FillKey = (String, String, u32);

impl Inventory {
    /// Shares of YES net of NO: the directional position.
    #[must_use]
    pub const fn net_e6(&self) -> i64 {
        self.yes_e6.saturating_sub(self.no_e6)
    }
}

/// What a place costs now; said when it changes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub struct TokenPrice {
    /// Value per token, times weight, that the best refused place of the last second had; 0 when none was.
    pub shadow_price: f64,
    /// Version of the wire.
    pub v: Version,
}

/// What the engine says to a quoter.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum EngineReply {
    /// An order changed.
    OrderUpdate(OrderUpdate),
    /// A plan is done.
    PlanDone(PlanDone),
    /// The account's holding changed or was asked for.
    Inventory(Inventory),
    /// A batch is signed, or refused.
    BatchSigned(BatchSigned),
    /// What a place costs.
    TokenPrice(TokenPrice),
}

/// An outcome token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Outcome {
    /// The token whose price is the book's price.
    Yes,
    /// Its complement.
    No,
}

/// How far a trade's settlement is known to be; of two reports the later in this order holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Evidence {
    /// Agreed, not on the chain.
    Matched,
    /// Its transaction did not make it and is sent again.
    Retrying,
    /// On the chain.
    Mined,
    /// On the chain for good.
    Confirmed,
    /// It never happened.
    Failed,
}

/// One of our orders traded, or its settlement went on. Price and side in the YES frame.
///
/// The same (trade, order, bucket) comes again with each new evidence; FAILED takes it out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub struct Fill {
    /// The venue's trade.
    pub trade_id: String,
    /// Our order.
    pub order_id: String,
    /// Which part of a trade that is settled in several transactions.
    pub bucket_index: u32,
    /// What is known of its settlement.
    pub evidence: Evidence,
    /// When it was matched, on the venue's clock.
    pub matched_ms: u64,
    /// The token that changed hands.
    pub outcome: Outcome,
    /// The market.
    pub market: String,
    /// Its underlying.
    pub underlying: String,
    /// Whose order it was; empty when nobody's any more.
    pub owner: String,
    /// Side in the YES frame.
    pub side: Side,
    /// Price in the YES frame.
    pub price_e4: u16,
    /// Shares.
    pub size_e6: u64,
    /// Makers pay none.
    pub fee_e6: u64,
    /// Microprice when the fill was seen, None when no valid book was at hand.
    pub fair_e4: Option<f64>,
    /// YES held after it.
    pub yes_e6: i64,
    /// NO held after it.
    pub no_e6: i64,
    /// When it was seen.
    pub seen_ns: u64,
    /// Version of the wire.
    pub v: Version,
}

/// The engine withdrew orders without being asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub struct DeadmanFired {
    /// Why.
    pub cause: String,
    /// Whose orders: a quoter, or "all".
    pub victim: String,
    /// How many.
    pub cancelled: u64,
    /// From the cause until the venue's listing showed none.
    pub elapsed_ms: f64,
    /// When it was over.
    pub fired_ns: u64,
    /// Version of the wire.
    pub v: Version,
}

/// How much of the venue's limits is used, and what the scarce tokens went to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BudgetState {
    /// The signer's tier.
    pub tier: &'static str,
    /// Requests with places in the 10 s and 600 s windows of the busiest route: now, at most ever, and the limit.
    pub places: [[u32; 2]; 3],
    /// Whole tokens, less the headroom; below zero in debt.
    pub order_tokens: i64,
    /// Of a full bucket.
    pub order_burst: i64,
    /// Whole tokens, less the headroom; below zero in debt.
    pub cancel_tokens: i64,
    /// Of a full bucket.
    pub cancel_burst: i64,
    /// Cancel tokens that only withdrawals may use.
    pub cancel_reserve: i64,
    /// The most cancel tokens that were ever owed.
    pub most_debt: i64,
    /// See [`TokenPrice`].
    pub shadow_price: f64,
    /// See [`TokenPrice`].
    pub scarcity: f64,
    /// Plans whose places wait for tokens.
    pub queued: u32,
    /// Plans whose places were paid for, and those for which no token came in time.
    pub served: [u64; 2],
    /// What both were worth.
    pub value: [f64; 2],
}

/// Pulse and counters of one process.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type")]
pub struct Beat {
    /// The process.
    pub name: String,
    /// What it is.
    pub kind: &'static str,
    /// Its process id.
    pub pid: u32,
    /// One word.
    pub state: &'static str,
    /// How its way to the venue stands.
    pub route: &'static str,
    /// Why it is in this state.
    pub reason: Option<String>,
    /// Its use of the venue's limits.
    pub budget: BudgetState,
    /// When it was sent.
    pub sent_ns: u64,
    /// Running totals.
    pub counters: BTreeMap<&'static str, f64>,
    /// Latency name → bucket → count.
    pub histograms: BTreeMap<&'static str, BTreeMap<u32, u64>>,
    /// Version of the wire.
    pub v: Version,
}

/// What is journalled before an order is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The order's hash.
    pub order_id: String,
    /// The market.
    pub market: String,
    /// Whose it is.
    pub owner: String,
    /// Side in the YES frame.
    pub side: Side,
    /// Price in the YES frame.
    pub price_e4: u16,
    /// Shares.
    pub size_e6: u64,
}
