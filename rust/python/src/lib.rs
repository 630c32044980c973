//! The Python module `clawswarm._core`: conversions around `claw-core`, and the agenda of virtual time.
#![warn(missing_docs)]

mod agenda;
mod book;
mod engine;
mod guard;
mod limits;
mod matching;
mod order;
mod quoting;

/// The Rust core: books, features, quoting, orders, limits, matching, the state machines of engine and guard.
#[pyo3::pymodule]
mod _core {
    #[pymodule_export]
    use crate::agenda::{Agenda, Due, Lane, LetterLane, Letterbox};
    #[pymodule_export]
    use crate::book::{BookTop, Books, ReferenceReturn, microprice_without};
    #[pymodule_export]
    use crate::engine::Engine;
    #[pymodule_export]
    use crate::guard::Guard;
    #[pymodule_export]
    use crate::limits::Limits;
    #[pymodule_export]
    use crate::matching::{Flow, MatchingMarket, OrderReport, Replay, ReplayFill};
    #[pymodule_export]
    use crate::order::{OrderSigner, RequestSigner, amounts};
    #[pymodule_export]
    use crate::quoting::{
        Decision, Digital, MarketQuoter, MarketTerms, QuoterModel, ReferencePath, average_digital,
        consistent, digital, reward_income, reward_scores,
    };
}
