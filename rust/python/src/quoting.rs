//! Binding of `claw_core::quoting`.

use claw_core::quoting::{self, QuoteState, SpreadModel};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// Target prices of one market; None where the side should not be quoted.
#[pyclass(frozen, get_all, module = "clawswarm._core")]
pub struct Quote {
    bid_e4: Option<u16>,
    ask_e4: Option<u16>,
    reservation: f64,
    half_spread: f64,
}

/// Price both sides of one market.
#[pyfunction]
#[allow(
    clippy::too_many_arguments,
    reason = "the numbers of one formula, passed flat across the language border"
)]
pub fn quote(
    microprice: f64,
    half_spread_base: f64,
    inventory_ratio: f64,
    skew: f64,
    widen_linear: f64,
    widen_quadratic: f64,
    tick_e4: i64,
    bid_e4: Option<i64>,
    ask_e4: Option<i64>,
) -> PyResult<Quote> {
    let model = SpreadModel {
        half_spread_base,
        skew,
        widen_linear,
        widen_quadratic,
    };
    let state = QuoteState {
        microprice,
        inventory_ratio,
        tick_e4: to_e4("tick_e4", tick_e4)?,
        bid_e4: bid_e4.map(|price| to_e4("bid_e4", price)).transpose()?,
        ask_e4: ask_e4.map(|price| to_e4("ask_e4", price)).transpose()?,
    };
    let quoting::Quote {
        bid_e4,
        ask_e4,
        reservation,
        half_spread,
    } = quoting::quote(&model, &state).map_err(|error| PyValueError::new_err(error.to_string()))?;
    Ok(Quote {
        bid_e4,
        ask_e4,
        reservation,
        half_spread,
    })
}

/// Narrow a Python integer; ValueError, where PyO3 by itself would raise OverflowError.
pub fn to_e4(name: &str, value: i64) -> PyResult<u16> {
    u16::try_from(value).map_err(|_| PyValueError::new_err(format!("{name} {value} is out of range")))
}
