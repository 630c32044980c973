//! What the quoter of a market is told and answers, and when it does not quote at all.

use super::belief::Fair;
use super::reference::ReferencePath;
use super::rewards::RewardTerms;
use super::settlement::Settlement;
use super::spread::Spread;
use crate::ladder::Level;
use crate::units::{PRICE_ONE_E4, Side, is_tick_e4};

/// At these prices of the touch a market is decided, or nobody knows that it is.
const EXTREME_E4: u16 = 10;

/// How a market ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// An event: nothing but the book tells its value.
    Event,
    /// A price of the underlying.
    Price(Settlement),
    /// It cannot be read: nothing is quoted.
    Unknown,
}

/// What does not change from one instant to the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MarketTerms {
    /// How it ends.
    pub rule: Rule,
    /// When, in the venue's ms.
    pub closes_ms: Option<u64>,
    /// Smallest order in 1e-6 shares.
    pub min_size_e6: u64,
    /// Fee rate times the makers' share of it.
    pub rebate: f64,
    /// Liquidity rewards.
    pub rewards: Option<RewardTerms>,
}

/// What is seen and allowed at one instant.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// The quoter's clock.
    pub now_ns: u64,
    /// The venue's clock, as far as it is known.
    pub venue_ms: u64,
    /// Best first, own orders included.
    pub bids: &'a [Level],
    /// Best first, own orders included.
    pub asks: &'a [Level],
    /// Tick in 1e-4.
    pub tick_e4: u16,
    /// Bought less sold, placed less cancelled: signed flow in shares.
    pub flow_shares: f64,
    /// The last sweep: the aggressor's side and when.
    pub sweep: Option<(Side, u64)>,
    /// How much to widen for what is doubtful, at least 1.
    pub doubt: f64,
    /// Net position.
    pub net_e6: i64,
    /// Largest position either way.
    pub max_position_e6: u64,
    /// Usual order.
    pub order_size_e6: u64,
    /// Money that may be at stake.
    pub capital_e6: u64,
    /// Own orders that rest.
    pub own: &'a [(Side, Level)],
    /// The underlying.
    pub reference: Option<&'a ReferencePath>,
    /// Shift of fair value in logits that the other outcomes of the event ask for.
    pub shift: f64,
    /// Price of an order and of a cancel in USD.
    pub token_usd: (f64, f64),
    /// Only what makes the position smaller is allowed.
    pub is_reduce_only: bool,
}

/// Why nothing is quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The rule that settles the market cannot be read.
    UnknownRule,
    /// A number is not finite or out of its range.
    Unusable,
    /// A side of the book is empty.
    OneSided,
    /// The best bid is not below the best ask.
    Crossed,
    /// The touch is at 0.001 or 0.999.
    Extreme,
    /// The market has closed.
    Expired,
    /// The close is near.
    Closing,
}

impl Reason {
    /// The reason in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownRule => "unknown settlement rule",
            Self::Unusable => "unusable number",
            Self::OneSided => "one-sided book",
            Self::Crossed => "no width between bid and ask",
            Self::Extreme => "price at the end of the scale",
            Self::Expired => "market closed",
            Self::Closing => "close is near",
        }
    }
}

/// An order that should rest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    /// Price and size.
    pub level: Level,
    /// Whether it is one that rests already.
    pub is_kept: bool,
    /// For a new one: what placing it brings over its rest beyond what rests already, in USD.
    pub gain_usd: f64,
}

/// The answer to one situation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decision {
    /// The bid that should rest.
    pub bid: Option<Target>,
    /// The ask that should rest.
    pub ask: Option<Target>,
    /// Why neither, when the market as a whole is not quoted.
    pub reason: Option<Reason>,
    /// Fair value; None when there is a reason.
    pub fair: Option<Fair>,
    /// The spread; None when there is a reason.
    pub spread: Option<Spread>,
    /// U of the targets in USD per second.
    pub value: f64,
    /// What of it are rewards.
    pub reward: f64,
    /// Whether every order that rests is to stay as it is and none is new.
    pub keeps_orders: bool,
}

pub(super) fn refusal(terms: &MarketTerms, seen: &Situation<'_>, to_close_s: f64) -> Option<Reason> {
    if terms.rule == Rule::Unknown {
        return Some(Reason::UnknownRule);
    }
    let is_usable = is_tick_e4(seen.tick_e4)
        && seen.doubt.is_finite()
        && seen.doubt >= 1.0
        && seen.flow_shares.is_finite()
        && seen.shift.is_finite()
        && seen.max_position_e6 > 0
        && seen.token_usd.0 >= 0.0
        && seen.token_usd.1 >= 0.0;
    if !is_usable {
        return Some(Reason::Unusable);
    }
    if to_close_s <= 0.0 {
        return Some(Reason::Expired);
    }
    let (Some(bid), Some(ask)) = (seen.bids.first(), seen.asks.first()) else {
        return Some(Reason::OneSided);
    };
    if bid.price_e4 == 0 || ask.price_e4 >= PRICE_ONE_E4 || bid.size_e6 == 0 || ask.size_e6 == 0 {
        return Some(Reason::Unusable);
    }
    if bid.price_e4 >= ask.price_e4 {
        return Some(Reason::Crossed);
    }
    let is_extreme = bid.price_e4 <= EXTREME_E4 || ask.price_e4 >= PRICE_ONE_E4 - EXTREME_E4;
    is_extreme.then_some(Reason::Extreme)
}
