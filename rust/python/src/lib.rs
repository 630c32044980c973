//! The Python module `clawswarm._core`: conversions around `claw-core`, nothing else.
#![warn(missing_docs)]

mod book;
mod quoting;

/// The Rust core: books, features and quoting.
#[pyo3::pymodule]
mod _core {
    #[pymodule_export]
    use crate::book::{BookTop, Books, MarketResolved, TradePrint};
    #[pymodule_export]
    use crate::quoting::{Quote, quote};
}
