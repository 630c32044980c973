//! Binding of `claw_core::limits`, with one route: the simulation and the Python order path use no more.

use claw_core::limits::{self, BucketName, Headers, LimitSettings, Refusal, Request, Tier, Withdrawal};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

const ROUTE: usize = 0;

/// What may still be sent to the venue.
#[pyclass(module = "clawswarm._core")]
pub struct Limits(limits::Limits);

#[pymethods]
impl Limits {
    #[new]
    fn new(tier: &str, place_requests: (u32, u32), jitter_ns: u64, now_ns: u64) -> PyResult<Self> {
        let settings = LimitSettings {
            tier: Tier::parse(tier)
                .ok_or_else(|| PyValueError::new_err(format!("tier {tier:?} is unknown")))?,
            routes: 1,
            jitter_ns,
            place_requests: place_requests.into(),
        };
        Ok(Self(limits::Limits::new(settings, now_ns)))
    }

    /// Pay for one place request.
    fn place(&mut self, orders: u32, open: u32, now_ns: u64) -> Option<String> {
        refusal(self.0.admit(ROUTE, Request::Place { orders, open }, now_ns))
    }

    /// Pay for one cancel request in the course of trading.
    fn cancel(&mut self, orders: u32, now_ns: u64) -> Option<String> {
        refusal(self.0.admit(ROUTE, Request::Cancel { orders }, now_ns))
    }

    /// Pay for withdrawing orders that must go.
    fn withdraw(&mut self, orders: u32, open: u32, now_ns: u64) -> Option<&'static str> {
        match self.0.withdraw(ROUTE, orders, open, now_ns) {
            Ok(Withdrawal::ByIds) => Some("ids"),
            Ok(Withdrawal::All) => Some("all"),
            Err(_) => None,
        }
    }

    /// Pay for one cancel-all.
    fn withdraw_all(&mut self, open: u32, now_ns: u64) -> bool {
        self.0.withdraw_all(ROUTE, open, now_ns).is_ok()
    }

    /// Pay for what a cancel-all has really cancelled.
    fn settle(&mut self, expected: u32, cancelled: u32, now_ns: u64) {
        self.0.settle(expected, cancelled, now_ns);
    }

    /// Take in the headers of an answer.
    #[allow(
        clippy::too_many_arguments,
        reason = "the headers of one answer, passed flat across the language border"
    )]
    fn correct(
        &mut self,
        is_cancel: bool,
        remaining: Option<&str>,
        reset: Option<&str>,
        tier: Option<&str>,
        is_refused: bool,
        venue_ms: u64,
        now_ns: u64,
    ) {
        let name = if is_cancel {
            BucketName::Cancels
        } else {
            BucketName::Orders
        };
        let headers = Headers {
            remaining,
            reset,
            tier,
            is_refused,
        };
        self.0.correct(name, &headers, venue_ms, now_ns);
    }

    /// What an order token is worth.
    fn shadow_price(&mut self, now_ns: u64) -> f64 {
        self.0.shadow_price(now_ns)
    }

    /// The most place requests in 10 s and in 600 s.
    #[getter]
    fn highest_places(&self) -> (u32, u32) {
        self.0.highest_places().into()
    }

    /// Whole order and cancel tokens left.
    fn tokens(&self, now_ns: u64) -> (i64, i64) {
        let of = |name| self.0.tokens(name, now_ns);
        (of(BucketName::Orders), of(BucketName::Cancels))
    }

    /// The tier in force.
    #[getter]
    const fn tier(&self) -> &'static str {
        self.0.tier().as_str()
    }
}

fn refusal(outcome: Result<(), Refusal>) -> Option<String> {
    outcome.err().map(|refusal| refusal.to_string())
}
