//! Binding of `claw_core::books`.

use claw_core::books::{self, MarketError, Slot, Update};
use claw_core::decode::FrameError;
use claw_core::ladder::Level;
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};

use crate::quoting::to_e4;

/// Top of one book in the YES frame after a frame.
#[pyclass(frozen, get_all, module = "clawswarm._core")]
pub struct BookTop {
    market: Py<PyString>,
    sequence: u64,
    epoch: u64,
    received_ns: u64,
    server_ms: u64,
    tick_e4: u16,
    bid_e4: Option<u16>,
    bid_size_e6: Option<u64>,
    ask_e4: Option<u16>,
    ask_size_e6: Option<u64>,
    microprice: Option<f64>,
    imbalance: Option<f64>,
    is_valid: bool,
    reason: Option<&'static str>,
}

/// A trade in the YES frame; `side` is the aggressor's.
#[pyclass(frozen, get_all, module = "clawswarm._core")]
pub struct TradePrint {
    market: Py<PyString>,
    side: &'static str,
    price_e4: u16,
    size_e6: u64,
    server_ms: u64,
    received_ns: u64,
}

/// A decided market.
#[pyclass(frozen, get_all, module = "clawswarm._core")]
pub struct MarketResolved {
    market: Py<PyString>,
    winner: &'static str,
    server_ms: u64,
}

/// The books of all markets of one feed.
#[pyclass(module = "clawswarm._core")]
pub struct Books {
    inner: books::Books,
    names: Vec<Py<PyString>>,
}

type Levels = Vec<(u16, u64)>;

#[pymethods]
impl Books {
    #[new]
    fn new() -> Self {
        Self {
            inner: books::Books::new(),
            names: Vec::new(),
        }
    }

    /// Hold a market from now on.
    fn add_market(
        &mut self,
        py: Python<'_>,
        condition_id: &str,
        yes_token: &str,
        no_token: &str,
        tick_e4: i64,
    ) -> PyResult<()> {
        let tick_e4 = to_e4("tick_e4", tick_e4)?;
        let slot = self
            .inner
            .add_market(condition_id, yes_token, no_token, tick_e4)
            .map_err(market_error)?;
        let name = PyString::new(py, condition_id).unbind();
        if slot == self.names.len() {
            self.names.push(name);
        } else {
            self.names[slot] = name;
        }
        Ok(())
    }

    /// Stop holding a market.
    fn remove_market(&mut self, condition_id: &str) -> PyResult<()> {
        self.inner
            .remove_market(condition_id)
            .map(|_| ())
            .map_err(market_error)
    }

    /// The connection is lost: every book waits for its next snapshot in a new epoch.
    fn reset(&mut self) {
        self.inner.reset();
    }

    /// Decode and apply one frame, all of it or nothing.
    fn apply<'py>(
        &mut self,
        py: Python<'py>,
        frame: &[u8],
        received_ns: u64,
    ) -> PyResult<Bound<'py, PyList>> {
        let updates = self.inner.apply(frame, received_ns).map_err(frame_error)?;
        let list = PyList::empty(py);
        for update in updates {
            match update {
                Update::Top(top) => list.append(self.book_top(py, &top))?,
                Update::Print(print) => list.append(TradePrint {
                    market: self.name(py, print.slot),
                    side: print.side.as_str(),
                    price_e4: print.level.price_e4,
                    size_e6: print.level.size_e6,
                    server_ms: print.server_ms,
                    received_ns: print.received_ns,
                })?,
                Update::Resolved(resolved) => list.append(MarketResolved {
                    market: self.name(py, resolved.slot),
                    winner: resolved.winner.as_str(),
                    server_ms: resolved.server_ms,
                })?,
            }
        }
        Ok(list)
    }

    /// The current top of one book.
    fn top(&self, py: Python<'_>, condition_id: &str) -> PyResult<BookTop> {
        let top = self.inner.top(condition_id).map_err(market_error)?;
        Ok(self.book_top(py, &top))
    }

    /// The best bids and asks as (price_e4, size_e6), best first.
    fn levels(&self, condition_id: &str, depth: usize) -> PyResult<(Levels, Levels)> {
        let pairs = |levels: Vec<Level>| {
            levels
                .iter()
                .map(|level| (level.price_e4, level.size_e6))
                .collect()
        };
        let (bids, asks) = self.inner.levels(condition_id, depth).map_err(market_error)?;
        Ok((pairs(bids), pairs(asks)))
    }

    /// Events so far of an unknown type or about a market or token that is not held.
    #[getter]
    const fn ignored_events(&self) -> u64 {
        self.inner.ignored_events()
    }
}

impl Books {
    fn name(&self, py: Python<'_>, slot: Slot) -> Py<PyString> {
        self.names[slot].clone_ref(py)
    }

    fn book_top(&self, py: Python<'_>, top: &books::BookTop) -> BookTop {
        let (touch, is_valid) = (top.touch, top.invalidity.is_none());
        BookTop {
            market: self.name(py, top.slot),
            sequence: top.sequence,
            epoch: top.epoch,
            received_ns: top.received_ns,
            server_ms: top.server_ms,
            tick_e4: top.tick_e4,
            bid_e4: touch.bid.map(|bid| bid.price_e4),
            bid_size_e6: touch.bid.map(|bid| bid.size_e6),
            ask_e4: touch.ask.map(|ask| ask.price_e4),
            ask_size_e6: touch.ask.map(|ask| ask.size_e6),
            microprice: touch.microprice().filter(|_| is_valid),
            imbalance: touch.imbalance().filter(|_| is_valid),
            is_valid,
            reason: top.invalidity.map(|invalidity| invalidity.as_str()),
        }
    }
}

fn market_error(error: MarketError) -> PyErr {
    match error {
        MarketError::NotHeld(_) => PyKeyError::new_err(error.to_string()),
        _ => PyValueError::new_err(error.to_string()),
    }
}

fn frame_error(error: FrameError) -> PyErr {
    PyValueError::new_err(error.to_string())
}
