//! Features of the top of a book.
//!
//! With bid b, ask a and their sizes B, A: microprice = (b·A + a·B) / (A + B), the mid weighted towards the
//! side that is likelier to be consumed (Gatheral & Oomen 2010); imbalance = (B − A) / (B + A) in (−1, 1).

use crate::ladder::Level;
use crate::units::PRICE_ONE_E4;

/// The best level of each side; an empty side is None.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Touch {
    /// Best bid.
    pub bid: Option<Level>,
    /// Best ask.
    pub ask: Option<Level>,
}

impl Touch {
    /// Whether the best bid is at or above the best ask.
    #[must_use]
    pub fn is_crossed(&self) -> bool {
        self.both().is_some_and(|(bid, ask)| bid.price_e4 >= ask.price_e4)
    }

    /// Size-weighted mid as a probability in (0, 1); None when a side is missing.
    #[must_use]
    pub fn microprice(&self) -> Option<f64> {
        self.both().map(|(bid, ask)| {
            let (bid_size, ask_size) = (bid.size_e6 as f64, ask.size_e6 as f64);
            let weighted = f64::from(bid.price_e4) * ask_size + f64::from(ask.price_e4) * bid_size;
            weighted / (bid_size + ask_size) / f64::from(PRICE_ONE_E4)
        })
    }

    /// Surplus of the bid's size over the ask's, in [-1, 1]; None when a side is missing.
    #[must_use]
    pub fn imbalance(&self) -> Option<f64> {
        self.both().map(|(bid, ask)| {
            let (bid_size, ask_size) = (bid.size_e6 as f64, ask.size_e6 as f64);
            (bid_size - ask_size) / (bid_size + ask_size)
        })
    }

    fn both(&self) -> Option<(Level, Level)> {
        self.bid.zip(self.ask)
    }
}
