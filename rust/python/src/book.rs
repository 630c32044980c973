//! Binding of `claw_core::books`.

use claw_core::books::{self, HashTerms, MarketError, Slot};
use claw_core::decode::FrameError;
use claw_core::features::{self, Touch, depth_imbalance, touch_without};
use claw_core::ladder::Level;
use claw_core::units::{Outcome, Side};
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};

use crate::quoting::to_e4;

/// Top of one book in the YES frame after a frame.
#[pyclass(frozen, module = "clawswarm._core")]
pub struct BookTop {
    #[pyo3(get)]
    market: Py<PyString>,
    inner: books::BookTop,
}

#[pymethods]
impl BookTop {
    #[getter]
    const fn sequence(&self) -> u64 {
        self.inner.sequence
    }
    #[getter]
    const fn epoch(&self) -> u64 {
        self.inner.epoch
    }
    #[getter]
    const fn received_ns(&self) -> u64 {
        self.inner.received_ns
    }
    #[getter]
    const fn server_ms(&self) -> u64 {
        self.inner.server_ms
    }
    #[getter]
    const fn tick_e4(&self) -> u16 {
        self.inner.tick_e4
    }
    #[getter]
    fn bids(&self) -> Levels {
        pairs(self.inner.bids.levels())
    }
    #[getter]
    fn asks(&self) -> Levels {
        pairs(self.inner.asks.levels())
    }
    #[getter]
    fn bid_e4(&self) -> Option<u16> {
        self.inner.touch().bid.map(|bid| bid.price_e4)
    }
    #[getter]
    fn bid_size_e6(&self) -> Option<u64> {
        self.inner.touch().bid.map(|bid| bid.size_e6)
    }
    #[getter]
    fn ask_e4(&self) -> Option<u16> {
        self.inner.touch().ask.map(|ask| ask.price_e4)
    }
    #[getter]
    fn ask_size_e6(&self) -> Option<u64> {
        self.inner.touch().ask.map(|ask| ask.size_e6)
    }
    #[getter]
    fn microprice(&self) -> Option<f64> {
        self.valid_touch().and_then(|touch| touch.microprice())
    }
    #[getter]
    fn imbalance(&self) -> Option<f64> {
        self.valid_touch().and_then(|touch| touch.imbalance())
    }
    #[getter]
    fn depth_imbalance(&self) -> Option<f64> {
        self.valid_touch()
            .and_then(|_| depth_imbalance(self.inner.bids.levels(), self.inner.asks.levels()))
    }
    #[getter]
    const fn order_flow(&self) -> f64 {
        self.inner.flow.order_flow
    }
    #[getter]
    const fn trade_flow(&self) -> f64 {
        self.inner.flow.trade_flow
    }
    #[getter]
    const fn volatility(&self) -> Option<f64> {
        self.inner.flow.volatility
    }
    #[getter]
    fn sweep(&self) -> Option<(&'static str, u64, u64)> {
        let sweep = self.inner.flow.sweep?;
        Some((sweep.side.as_str(), sweep.size_e6, sweep.received_ns))
    }
    #[getter]
    const fn is_valid(&self) -> bool {
        self.inner.invalidity.is_none()
    }
    #[getter]
    fn reason(&self) -> Option<&'static str> {
        self.inner.invalidity.map(|invalidity| invalidity.as_str())
    }
    #[getter]
    fn winner(&self) -> Option<&'static str> {
        self.inner.winner.map(|winner| winner.as_str())
    }
    #[getter]
    const fn fingerprint(&self) -> u64 {
        self.inner.fingerprint
    }
    #[getter]
    const fn touch_doubt_ns(&self) -> Option<u64> {
        self.inner.doubts.touch_ns
    }
    #[getter]
    const fn hash_doubt_ns(&self) -> Option<u64> {
        self.inner.doubts.hash_ns
    }
    #[getter]
    const fn proven_ms(&self) -> u64 {
        self.inner.proven_ms
    }
}

impl BookTop {
    fn valid_touch(&self) -> Option<Touch> {
        self.inner.invalidity.is_none().then(|| self.inner.touch())
    }
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
    #[allow(
        clippy::too_many_arguments,
        reason = "the terms of one market, passed flat across the language border"
    )]
    #[pyo3(signature = (condition_id, yes_token, no_token, tick_e4, min_size_e6 = None, is_neg_risk = false))]
    fn add_market(
        &mut self,
        condition_id: &Bound<'_, PyString>,
        yes_token: &str,
        no_token: &str,
        tick_e4: i64,
        min_size_e6: Option<u64>,
        is_neg_risk: bool,
    ) -> PyResult<()> {
        let tick_e4 = to_e4("tick_e4", tick_e4)?;
        let terms = min_size_e6.map(|min_size_e6| HashTerms {
            min_size_e6,
            is_neg_risk,
        });
        let slot = self
            .inner
            .add_market(condition_id.to_str()?, [yes_token, no_token], tick_e4, terms)
            .map_err(market_error)?;
        // The caller's own object: a dictionary that knows it need not compare its text.
        let name = condition_id.clone().unbind();
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

    /// One market's connection is lost.
    fn reset_market(&mut self, condition_id: &str) -> PyResult<()> {
        self.inner.reset_market(condition_id).map_err(market_error)
    }

    /// Decode and apply one frame, all of it or nothing; whether it changed a state.
    fn apply(&mut self, frame: &[u8], received_ns: u64) -> PyResult<bool> {
        let changed = self.inner.apply(frame, received_ns).map_err(frame_error)?;
        Ok(!changed.is_empty())
    }

    /// The state of every market that changed since the last call.
    fn changed<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for top in self.inner.changed() {
            list.append(book_top(py, &self.names, &top))?;
        }
        Ok(list)
    }

    /// Apply books that were asked for.
    fn apply_listing<'py>(
        &mut self,
        py: Python<'py>,
        body: &[u8],
        received_ns: u64,
    ) -> PyResult<Bound<'py, PyList>> {
        let changed = self.inner.apply_listing(body, received_ns).map_err(frame_error)?;
        named(py, &self.names, changed)
    }

    /// Compare the newest hash of every market that changed.
    fn compare<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        named(py, &self.names, self.inner.compare())
    }

    /// Markets that are silent for unusually long.
    fn silent(&self, py: Python<'_>, now_ns: u64, factor: f64, least_ns: u64) -> Vec<Py<PyString>> {
        let slots = self.inner.silent(now_ns, factor, least_ns);
        slots
            .into_iter()
            .map(|slot| self.names[slot].clone_ref(py))
            .collect()
    }

    /// Until when no other market will be that.
    fn next_silence_ns(&self, now_ns: u64, factor: f64, least_ns: u64) -> Option<u64> {
        self.inner.next_silence_ns(now_ns, factor, least_ns)
    }

    /// When the stream last spoke of a market.
    fn spoke_ns(&self, condition_id: &str) -> PyResult<Option<u64>> {
        self.inner.spoke_ns(condition_id).map_err(market_error)
    }

    /// The hash of one token's book as it is now.
    fn book_hash(
        &mut self,
        condition_id: &str,
        is_yes: bool,
        server_ms: u64,
        last_trade_e4: Option<u16>,
    ) -> PyResult<Option<String>> {
        let outcome = if is_yes { Outcome::Yes } else { Outcome::No };
        let hash = self
            .inner
            .hash(condition_id, outcome, server_ms, last_trade_e4)
            .map_err(market_error)?;
        Ok(hash.map(|text| text.iter().map(|&byte| char::from(byte)).collect()))
    }

    /// How many hashes agreed and differed.
    #[getter]
    fn hashes_compared(&self) -> (u64, u64) {
        self.inner.hashes_compared()
    }

    /// The current top of one book.
    fn top(&self, py: Python<'_>, condition_id: &str) -> PyResult<BookTop> {
        let top = self.inner.top(condition_id).map_err(market_error)?;
        Ok(book_top(py, &self.names, &top))
    }

    /// The best bids and asks as (price_e4, size_e6), best first.
    fn levels(&self, condition_id: &str, depth: usize) -> PyResult<(Levels, Levels)> {
        let (bids, asks) = self.inner.levels(condition_id, depth).map_err(market_error)?;
        Ok((pairs(&bids), pairs(&asks)))
    }

    /// Events so far of an unknown type or about a market or token that is not held.
    #[getter]
    const fn ignored_events(&self) -> u64 {
        self.inner.ignored_events()
    }
}

/// The touch without one's own orders.
#[pyfunction]
pub fn microprice_without(bids: Levels, asks: Levels, own: Vec<(bool, u16, u64)>) -> Option<f64> {
    let levels = |pairs: Levels| -> Vec<Level> { pairs.into_iter().map(to_level).collect() };
    let own: Vec<(Side, Level)> = own
        .into_iter()
        .map(|(is_buy, price_e4, size_e6)| {
            let side = if is_buy { Side::Buy } else { Side::Sell };
            (side, Level { price_e4, size_e6 })
        })
        .collect();
    touch_without(&levels(bids), &levels(asks), &own).microprice()
}

/// Log returns of a reference price.
#[pyclass(module = "clawswarm._core")]
pub struct ReferenceReturn(features::ReferenceReturn);

#[pymethods]
impl ReferenceReturn {
    #[new]
    const fn new(span_ms: u64) -> Self {
        Self(features::ReferenceReturn::new(span_ms))
    }

    /// Take a price; the return over the span.
    fn take(&mut self, value_e6: u64, source_ms: u64) -> Option<f64> {
        self.0.take(value_e6, source_ms)
    }
}

fn pairs(levels: &[Level]) -> Levels {
    levels
        .iter()
        .map(|level| (level.price_e4, level.size_e6))
        .collect()
}

const fn to_level((price_e4, size_e6): (u16, u64)) -> Level {
    Level { price_e4, size_e6 }
}

fn named<'py>(py: Python<'py>, names: &[Py<PyString>], slots: &[Slot]) -> PyResult<Bound<'py, PyList>> {
    PyList::new(py, slots.iter().map(|&slot| names[slot].bind(py)))
}

fn book_top(py: Python<'_>, names: &[Py<PyString>], top: &books::BookTop) -> BookTop {
    BookTop {
        market: names[top.slot].clone_ref(py),
        inner: *top,
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
