//! Binding of `claw_core::matching`.

use std::sync::Arc;

use claw_core::features::depth_imbalance;
use claw_core::ladder::Level;
use claw_core::matching::{
    self, Change, Event, FlowError, Latency, MarketRules, Observation, Placement, What,
};
use claw_core::units::{Side, is_tick_e4};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::order::value_error;
use crate::quoting::to_e4;

/// A recording as the venue meets it.
#[pyclass(module = "clawswarm._core")]
#[derive(Default)]
pub struct Flow(Arc<matching::Flow>);

#[pymethods]
impl Flow {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// Append new aggregates of recorded levels.
    fn levels(&mut self, at_ns: u64, changes: Vec<(u8, u16, u64)>) -> PyResult<()> {
        let changes: Vec<Change> = changes.into_iter().map(to_change).collect::<PyResult<_>>()?;
        self.own()?.levels(at_ns, &changes).map_err(flow_error)
    }

    /// Append someone who trades at once, up to a limit.
    fn taker(&mut self, at_ns: u64, side: &str, size_e6: u64, limit_e4: u16) -> PyResult<()> {
        let side = Side::parse(side).map_err(value_error)?;
        let what = What::Taker {
            side,
            size_e6,
            limit_e4,
        };
        self.own()?.push(at_ns, what).map_err(flow_error)
    }

    /// Append a price of the underlying.
    fn reference(&mut self, at_ns: u64, value_e6: u64) -> PyResult<()> {
        self.own()?
            .push(at_ns, What::Reference(value_e6))
            .map_err(flow_error)
    }

    /// Append a change of the tick.
    fn tick(&mut self, at_ns: u64, tick_e4: i64) -> PyResult<()> {
        let tick_e4 = to_e4("tick_e4", tick_e4)?;
        self.own()?.push(at_ns, What::Tick(tick_e4)).map_err(flow_error)
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }
}

impl Flow {
    fn own(&mut self) -> PyResult<&mut matching::Flow> {
        Arc::get_mut(&mut self.0).ok_or_else(|| {
            PyValueError::new_err("a flow that is being replayed cannot grow: build another one")
        })
    }
}

/// What the strategy is told about one of its orders.
#[pyclass(frozen, get_all, module = "clawswarm._core")]
pub struct OrderReport {
    order: u32,
    state: &'static str,
    price_e4: Option<u16>,
    size_e6: Option<u64>,
    remaining_e6: u64,
    reason: Option<&'static str>,
}

/// One fill at the venue.
#[pyclass(frozen, get_all, module = "clawswarm._core")]
pub struct ReplayFill {
    order: u32,
    side: &'static str,
    price_e4: u16,
    size_e6: u64,
    is_maker: bool,
    venue_ns: u64,
}

/// One run of a flow against one strategy.
#[pyclass(module = "clawswarm._core")]
pub struct Replay {
    inner: matching::Replay,
    report: Option<matching::Report>,
    reference_e6: Option<u64>,
}

type Levels = Vec<(u16, u64)>;
type Features = (
    Option<f64>,
    Option<f64>,
    Option<f64>,
    f64,
    f64,
    Option<f64>,
    Option<(&'static str, u64, u64)>,
);

#[pymethods]
impl Replay {
    #[new]
    #[pyo3(signature = (flow, *, tick_e4, min_size_e6, ends_ns, taker_delay_ns=0, feed_ns=0, order_ns=0, jitter_ns=0, seed=0))]
    #[allow(
        clippy::too_many_arguments,
        reason = "the settings of one run, passed by name across the language border"
    )]
    fn new(
        flow: &Flow,
        tick_e4: i64,
        min_size_e6: u64,
        ends_ns: u64,
        taker_delay_ns: u64,
        feed_ns: u64,
        order_ns: u64,
        jitter_ns: u64,
        seed: u64,
    ) -> PyResult<Self> {
        let rules = MarketRules {
            tick_e4: checked_tick(tick_e4)?,
            min_size_e6,
            taker_delay_ns,
        };
        let latency = Latency {
            feed_ns,
            order_ns,
            jitter_ns,
            seed,
        };
        Ok(Self {
            inner: matching::Replay::new(Arc::clone(&flow.0), rules, latency, ends_ns),
            report: None,
            reference_e6: None,
        })
    }

    /// Let time pass until something is seen.
    fn step(&mut self) -> u8 {
        match self.inner.step() {
            None => 0,
            Some(Observation::Book) => 1,
            Some(Observation::Own(report)) => {
                self.report = Some(report);
                2
            }
            Some(Observation::Trade { .. }) => 3,
            Some(Observation::Reference(value_e6)) => {
                self.reference_e6 = Some(value_e6);
                4
            }
        }
    }

    /// Send an order; the number it will have.
    fn place(&mut self, side: &str, price_e4: u16, size_e6: u64, is_post_only: bool) -> PyResult<u32> {
        let side = Side::parse(side).map_err(value_error)?;
        Ok(self.inner.place(Placement {
            side,
            price_e4,
            size_e6,
            is_post_only,
        }))
    }

    /// Send the cancel of an order.
    fn cancel(&mut self, order: u32) {
        self.inner.cancel(order);
    }

    /// The strategy's time.
    #[getter]
    const fn now_ns(&self) -> u64 {
        self.inner.now_ns()
    }

    /// Best bid as seen.
    #[getter]
    fn bid_e4(&self) -> Option<u16> {
        self.inner.top().touch().bid.map(|level| level.price_e4)
    }

    /// Best ask as seen.
    #[getter]
    fn ask_e4(&self) -> Option<u16> {
        self.inner.top().touch().ask.map(|level| level.price_e4)
    }

    /// Best bids, best asks, tick, as seen.
    #[getter]
    fn top(&self) -> (Levels, Levels, u16) {
        let top = self.inner.top();
        let shown = |levels: &[Level]| {
            levels
                .iter()
                .map(|level| (level.price_e4, level.size_e6))
                .collect()
        };
        (shown(top.bids.levels()), shown(top.asks.levels()), top.tick_e4)
    }

    /// Microprice, imbalance, depth imbalance, order flow, trade flow, volatility, sweep, as seen.
    #[getter]
    fn features(&self) -> Features {
        let (top, flow) = (self.inner.top(), self.inner.flow());
        let touch = top.touch();
        (
            touch.microprice(),
            touch.imbalance(),
            depth_imbalance(top.bids.levels(), top.asks.levels()),
            flow.order_flow,
            flow.trade_flow,
            flow.volatility,
            flow.sweep
                .map(|sweep| (sweep.side.as_str(), sweep.size_e6, sweep.received_ns)),
        )
    }

    /// The last report about an order.
    #[getter]
    fn report(&self) -> Option<OrderReport> {
        self.report.map(to_report)
    }

    /// The last price of the underlying.
    #[getter]
    const fn reference_e6(&self) -> Option<u64> {
        self.reference_e6
    }

    /// Every fill so far.
    #[getter]
    fn fills(&self) -> Vec<ReplayFill> {
        self.inner
            .fills()
            .iter()
            .map(|fill| ReplayFill {
                order: fill.order,
                side: fill.side.as_str(),
                price_e4: fill.level.price_e4,
                size_e6: fill.level.size_e6,
                is_maker: fill.is_maker,
                venue_ns: fill.venue_ns,
            })
            .collect()
    }

    /// How long orders have rested on both sides.
    #[getter]
    const fn quoted_ns(&self) -> u64 {
        self.inner.quoted_ns()
    }

    /// Shares before one of our orders.
    fn ahead_e6(&self, order: u32) -> Option<u64> {
        self.inner.market().ahead_e6(order)
    }
}

/// The venue's side of one market, without latency.
#[pyclass(module = "clawswarm._core")]
pub struct MatchingMarket {
    inner: matching::Market,
    events: Vec<Event>,
}

type EventTuple = (&'static str, u32, &'static str, u16, u64, u64);

#[pymethods]
impl MatchingMarket {
    #[new]
    fn new(tick_e4: i64, min_size_e6: u64, taker_delay_ns: u64) -> PyResult<Self> {
        let rules = MarketRules {
            tick_e4: checked_tick(tick_e4)?,
            min_size_e6,
            taker_delay_ns,
        };
        Ok(Self {
            inner: matching::Market::new(rules),
            events: Vec::new(),
        })
    }

    /// Make the public book equal to the recorded one.
    fn follow(&mut self, changes: Vec<(u8, u16, u64)>) -> PyResult<Vec<EventTuple>> {
        let changes: Vec<Change> = changes.into_iter().map(to_change).collect::<PyResult<_>>()?;
        self.inner.follow(&changes, &mut self.events);
        Ok(self.told())
    }

    /// Someone trades at once, up to a limit.
    fn take(&mut self, side: &str, size_e6: u64, limit_e4: u16, now_ns: u64) -> PyResult<Vec<EventTuple>> {
        let side = Side::parse(side).map_err(value_error)?;
        self.inner.take(side, size_e6, limit_e4, now_ns, &mut self.events);
        Ok(self.told())
    }

    /// Admit one order of ours.
    fn place(
        &mut self,
        side: &str,
        price_e4: u16,
        size_e6: u64,
        is_post_only: bool,
        now_ns: u64,
    ) -> PyResult<Vec<EventTuple>> {
        let placement = Placement {
            side: Side::parse(side).map_err(value_error)?,
            price_e4,
            size_e6,
            is_post_only,
        };
        self.inner.place(placement, now_ns, &mut self.events);
        Ok(self.told())
    }

    /// Withdraw one order of ours.
    fn cancel(&mut self, order: u32) -> Vec<EventTuple> {
        self.inner.cancel(order, &mut self.events);
        self.told()
    }

    /// Let everything held until a time meet the book.
    fn advance(&mut self, now_ns: u64) -> Vec<EventTuple> {
        self.inner.advance(now_ns, &mut self.events);
        self.told()
    }

    /// Shares before one of our orders.
    fn ahead_e6(&self, order: u32) -> Option<u64> {
        self.inner.ahead_e6(order)
    }
}

impl MatchingMarket {
    fn told(&mut self) -> Vec<EventTuple> {
        self.events.drain(..).map(to_tuple).collect()
    }
}

fn to_tuple(event: Event) -> EventTuple {
    let of = |kind, order, side: Option<Side>, level: Option<Level>, remaining_e6| {
        let (price_e4, size_e6) = level.map_or((0, 0), |level| (level.price_e4, level.size_e6));
        (
            kind,
            order,
            side.map_or("", Side::as_str),
            price_e4,
            size_e6,
            remaining_e6,
        )
    };
    match event {
        Event::Level { side, level } => of("level", 0, Some(side), Some(level), 0),
        Event::Traded { side, level } => of("traded", 0, Some(side), Some(level), 0),
        Event::Filled {
            order,
            side,
            level,
            remaining_e6,
            is_maker,
        } => {
            let kind = if is_maker { "made" } else { "took" };
            of(kind, order, Some(side), Some(level), remaining_e6)
        }
        Event::Rested { order, remaining_e6 } => of("rested", order, None, None, remaining_e6),
        Event::Held { order } => of("held", order, None, None, 0),
        Event::Cancelled { order, remaining_e6 } => of("cancelled", order, None, None, remaining_e6),
        Event::Refused { order, reason } => of(reason.as_str(), order, None, None, 0),
    }
}

fn to_report(report: matching::Report) -> OrderReport {
    let of = |order, state, level: Option<Level>, remaining_e6, reason| OrderReport {
        order,
        state,
        price_e4: level.map(|level| level.price_e4),
        size_e6: level.map(|level| level.size_e6),
        remaining_e6,
        reason,
    };
    match report {
        matching::Report::Live { order, remaining_e6 } => of(order, "live", None, remaining_e6, None),
        matching::Report::Filled(fill) => of(fill.order, "filled", Some(fill.level), fill.remaining_e6, None),
        matching::Report::Cancelled { order, remaining_e6 } => {
            of(order, "cancelled", None, remaining_e6, None)
        }
        matching::Report::Refused { order, reason } => of(order, "refused", None, 0, Some(reason.as_str())),
    }
}

fn to_change((side, price_e4, size_e6): (u8, u16, u64)) -> PyResult<Change> {
    let side = match side {
        0 => Side::Buy,
        1 => Side::Sell,
        _ => {
            return Err(PyValueError::new_err(format!(
                "side {side} is neither 0 (bid) nor 1 (ask)"
            )));
        }
    };
    if price_e4 == 0 || price_e4 >= claw_core::units::PRICE_ONE_E4 {
        return Err(flow_error(FlowError::Price(price_e4)));
    }
    Ok(Change {
        side,
        price_e4,
        size_e6,
    })
}

fn checked_tick(tick_e4: i64) -> PyResult<u16> {
    let tick_e4 = to_e4("tick_e4", tick_e4)?;
    if is_tick_e4(tick_e4) {
        Ok(tick_e4)
    } else {
        Err(flow_error(FlowError::Tick(tick_e4)))
    }
}

fn flow_error(error: FlowError) -> PyErr {
    PyValueError::new_err(error.to_string())
}
