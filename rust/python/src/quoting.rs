//! Binding of `claw_core::quoting`.

use claw_core::ladder::Level;
use claw_core::quoting::rewards::{self, RewardTerms, Scores};
use claw_core::quoting::settlement::{Settlement, value_by_reference};
use claw_core::quoting::situation::{self, Reason, Rule, Situation, Target};
use claw_core::quoting::spread::SpreadModel;
use claw_core::quoting::{digital as digitals, exclusive, model, quoter, reference};
use claw_core::units::Side;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::PyTuple;

type Pairs = Vec<(u16, u64)>;

/// A probability and how it moves.
#[pyclass(frozen, get_all, module = "clawswarm._core")]
pub struct Digital {
    probability: f64,
    delta: f64,
    gamma: f64,
    vega: f64,
}

impl From<digitals::Digital> for Digital {
    fn from(value: digitals::Digital) -> Self {
        let digitals::Digital {
            probability,
            delta,
            gamma,
            vega,
        } = value;
        Self {
            probability,
            delta,
            gamma,
            vega,
        }
    }
}

/// Value of a market that the price at its close settles.
#[pyfunction]
pub fn digital(spot_usd: f64, strike_usd: f64, volatility: f64, to_close_s: f64) -> PyResult<Digital> {
    let found = digitals::digital(spot_usd, strike_usd, volatility, to_close_s);
    found.map(Into::into).map_err(refused)
}

/// Value of a market that an average settles.
#[pyfunction]
#[pyo3(signature = (spot_usd, volatility_usd, to_close_s, window_s, span_s=None, strike_usd=None, final_usd=None))]
pub fn average_digital(
    spot_usd: f64,
    volatility_usd: f64,
    to_close_s: f64,
    window_s: f64,
    span_s: Option<f64>,
    strike_usd: Option<f64>,
    final_usd: Option<f64>,
) -> PyResult<Digital> {
    let terms = digitals::AverageTerms { window_s, span_s };
    let averages = digitals::Averages {
        strike_usd,
        final_usd,
    };
    let found = digitals::average_digital(spot_usd, volatility_usd, to_close_s, &terms, &averages);
    found.map(Into::into).map_err(refused)
}

/// The logits of exclusive outcomes moved so that their probabilities sum to one.
#[pyfunction]
#[allow(clippy::needless_pass_by_value, reason = "PyO3 hands over owned vectors")]
pub fn consistent(logits: Vec<f64>, variances: Vec<f64>) -> PyResult<Vec<f64>> {
    exclusive::consistent(&logits, &variances).ok_or_else(|| {
        PyValueError::new_err("two or more finite logits and as many positive variances are needed")
    })
}

/// USD per second that reward scores earn beside the Q_min of all others.
#[pyfunction]
pub fn reward_income(daily_usd: f64, score_one: f64, score_two: f64, others: f64, midpoint_e4: f64) -> f64 {
    let terms = RewardTerms {
        daily_usd,
        min_size_e6: 0,
        max_spread_e4: 0.0,
        min_age_s: 0.0,
    };
    let ours = Scores {
        one: score_one,
        two: score_two,
    };
    terms.income(ours, others, midpoint_e4)
}

/// Q_one, Q_two and Q_min of orders as (price_e4, size_e6).
#[pyfunction]
#[allow(clippy::needless_pass_by_value, reason = "PyO3 hands over owned vectors")]
pub fn reward_scores(
    max_spread_e4: f64,
    min_size_e6: u64,
    midpoint_e4: f64,
    bids: Pairs,
    asks: Pairs,
) -> (f64, f64, f64) {
    let terms = RewardTerms {
        daily_usd: 0.0,
        min_size_e6,
        max_spread_e4,
        min_age_s: 0.0,
    };
    let scores = terms.scores(midpoint_e4, &levels(&bids), &levels(&asks));
    (scores.one, scores.two, rewards::combine(scores, midpoint_e4))
}

fn refused(reason: digitals::NoDigital) -> PyErr {
    PyValueError::new_err(reason.to_string())
}

/// The price of an underlying over time.
#[pyclass(module = "clawswarm._core")]
pub struct ReferencePath(reference::ReferencePath);

#[pymethods]
impl ReferencePath {
    #[new]
    fn new() -> Self {
        Self(reference::ReferencePath::default())
    }
    fn take(&mut self, usd: f64, source_ms: u64) -> bool {
        self.0.take(usd, source_ms)
    }
    #[getter]
    fn last(&self) -> Option<(u64, f64)> {
        self.0.last()
    }
    #[getter]
    fn volatility(&self) -> Option<f64> {
        self.0.volatility()
    }
    fn at(&self, at_ms: u64) -> Option<f64> {
        self.0.at(at_ms)
    }
    fn average(&self, from_ms: u64, to_ms: u64) -> Option<f64> {
        self.0.average(from_ms, to_ms)
    }
    fn log_return(&self, span_ms: u64) -> Option<f64> {
        self.0.log_return(span_ms)
    }
}

/// Parameters of the strategy.
#[pyclass(frozen, module = "clawswarm._core")]
pub struct QuoterModel(model::QuoterModel);

#[pymethods]
impl QuoterModel {
    #[new]
    #[pyo3(signature = (*, risk_aversion, holding_s, fill_decay, fill_rate, queue_shares, rest_s, skew, widen_linear,
        widen_quadratic, uncertainty_weight, cost, pick_off, presence, informed_prior, reduce_only, change_usd, widen_s, withdraw_s,
        pull_s, jump_sigmas))]
    #[allow(
        clippy::too_many_arguments,
        reason = "the parameters of one strategy, by keyword"
    )]
    fn new(
        risk_aversion: f64,
        holding_s: f64,
        fill_decay: f64,
        fill_rate: f64,
        queue_shares: f64,
        rest_s: f64,
        skew: f64,
        widen_linear: f64,
        widen_quadratic: f64,
        uncertainty_weight: f64,
        cost: f64,
        pick_off: f64,
        presence: f64,
        informed_prior: f64,
        reduce_only: f64,
        change_usd: f64,
        widen_s: f64,
        withdraw_s: f64,
        pull_s: f64,
        jump_sigmas: f64,
    ) -> PyResult<Self> {
        let spread = SpreadModel {
            risk_aversion,
            holding_s,
            fill_decay,
            fill_rate,
            queue_shares,
            rest_s,
            skew,
            widen_linear,
            widen_quadratic,
            uncertainty_weight,
            cost,
            pick_off,
            presence,
        };
        let found = model::QuoterModel {
            spread,
            informed_prior,
            reduce_only,
            change_usd,
            widen_s,
            withdraw_s,
            pull_s,
            jump_sigmas,
        };
        found.unusable().map_or(Ok(Self(found)), |name| {
            Err(PyValueError::new_err(format!("{name} is out of range")))
        })
    }
}

/// What does not change about a market.
#[pyclass(frozen, module = "clawswarm._core")]
pub struct MarketTerms(situation::MarketTerms);

#[pymethods]
impl MarketTerms {
    #[new]
    #[pyo3(signature = (*, rule, closes_ms, min_size_e6, rebate, window_s=0.0, opens_ms=None, strike_usd=None,
        rewards=None))]
    #[allow(clippy::too_many_arguments, reason = "the terms of one market, by keyword")]
    fn new(
        rule: &str,
        closes_ms: Option<u64>,
        min_size_e6: u64,
        rebate: f64,
        window_s: f64,
        opens_ms: Option<u64>,
        strike_usd: Option<f64>,
        rewards: Option<(f64, u64, f64, f64)>,
    ) -> PyResult<Self> {
        let rule = match rule {
            "event" => Rule::Event,
            "price" => Rule::Price(Settlement {
                window_s,
                opens_ms,
                strike_usd,
            }),
            "unknown" => Rule::Unknown,
            _ => {
                return Err(PyValueError::new_err(format!(
                    "rule {rule} is none of event, price, unknown"
                )));
            }
        };
        let rewards = rewards.map(|(daily_usd, min_size_e6, max_spread_e4, min_age_s)| RewardTerms {
            daily_usd,
            min_size_e6,
            max_spread_e4,
            min_age_s,
        });
        Ok(Self(situation::MarketTerms {
            rule,
            closes_ms,
            min_size_e6,
            rebate,
            rewards,
        }))
    }

    fn value(&self, path: &ReferencePath, venue_ms: u64) -> Option<Digital> {
        let Rule::Price(mut settlement) = self.0.rule else {
            return None;
        };
        settlement.strike_usd = settlement
            .strike_usd
            .or_else(|| settlement.drawn_strike_usd(&path.0, venue_ms));
        value_by_reference(&settlement, &path.0, self.0.closes_ms?, venue_ms)
            .ok()
            .map(Into::into)
    }
}

/// The answer to one situation; targets as (price_e4, size_e6, whether it rests already, gain in USD).
#[pyclass(frozen, get_all, module = "clawswarm._core")]
pub struct Decision {
    bid: Option<(u16, u64, bool, f64)>,
    ask: Option<(u16, u64, bool, f64)>,
    reason: Option<&'static str>,
    fair: Option<f64>,
    uncertainty: Option<f64>,
    volatility: Option<f64>,
    reservation: Option<f64>,
    break_even: Option<(f64, f64)>,
    half_spread: Option<(f64, f64)>,
    value: f64,
    reward: f64,
    keeps_orders: bool,
}

impl From<situation::Decision> for Decision {
    fn from(made: situation::Decision) -> Self {
        let flat = |target: Target| {
            let Level { price_e4, size_e6 } = target.level;
            (price_e4, size_e6, target.is_kept, target.gain_usd)
        };
        Self {
            bid: made.bid.map(flat),
            ask: made.ask.map(flat),
            reason: made.reason.map(Reason::as_str),
            fair: made.fair.map(|fair| fair.logit),
            uncertainty: made.fair.map(|fair| fair.uncertainty),
            volatility: made.fair.map(|fair| fair.volatility),
            reservation: made.spread.map(|spread| spread.reservation),
            break_even: made.spread.map(|spread| spread.break_even.into()),
            half_spread: made.spread.map(|spread| spread.half_spread.into()),
            value: made.value,
            reward: made.reward,
            keeps_orders: made.keeps_orders,
        }
    }
}

/// The quoter of one market, and room for what it is shown.
#[pyclass(module = "clawswarm._core")]
pub struct MarketQuoter {
    quoter: quoter::MarketQuoter,
    bids: Vec<Level>,
    asks: Vec<Level>,
    own: Vec<(Side, Level)>,
}

#[pymethods]
impl MarketQuoter {
    #[new]
    fn new(model: &QuoterModel) -> Self {
        Self {
            quoter: quoter::MarketQuoter::new(model.0),
            bids: Vec::new(),
            asks: Vec::new(),
            own: Vec::new(),
        }
    }

    fn take_fill(&mut self, is_buy: bool, now_ns: u64) {
        self.quoter.take_fill(side(is_buy), now_ns);
    }

    #[getter]
    fn informed(&self) -> (f64, f64) {
        self.quoter.informed().into()
    }

    #[getter]
    fn weights(&self) -> (f64, f64) {
        self.quoter.weights()
    }

    #[allow(
        clippy::too_many_arguments,
        clippy::needless_pass_by_value,
        reason = "the numbers of one instant, passed flat across the language border"
    )]
    fn decide(
        &mut self,
        terms: &MarketTerms,
        now_ns: u64,
        venue_ms: u64,
        bids: &Bound<'_, PyTuple>,
        asks: &Bound<'_, PyTuple>,
        tick_e4: i64,
        flow_shares: f64,
        sweep: Option<(PyBackedStr, u64, u64)>,
        doubt: f64,
        net_e6: i64,
        max_position_e6: u64,
        order_size_e6: u64,
        capital_e6: u64,
        own: &Bound<'_, PyTuple>,
        reference: Option<PyRef<'_, ReferencePath>>,
        shift: f64,
        order_token_usd: f64,
        cancel_token_usd: f64,
        is_reduce_only: bool,
    ) -> PyResult<Decision> {
        read_levels(bids, &mut self.bids)?;
        read_levels(asks, &mut self.asks)?;
        self.own.clear();
        for order in own {
            let (is_buy, price_e4, size_e6) = order.extract()?;
            self.own.push((side(is_buy), Level { price_e4, size_e6 }));
        }
        let situation = Situation {
            now_ns,
            venue_ms,
            bids: &self.bids,
            asks: &self.asks,
            tick_e4: to_e4("tick_e4", tick_e4)?,
            flow_shares,
            sweep: sweep.map(|(aggressor, _, at_ns)| (side(aggressor == "BUY"), at_ns)),
            doubt,
            net_e6,
            max_position_e6,
            order_size_e6,
            capital_e6,
            own: &self.own,
            reference: reference.as_ref().map(|path| &path.0),
            shift,
            token_usd: (order_token_usd, cancel_token_usd),
            is_reduce_only,
        };
        Ok(self.quoter.decide(&terms.0, &situation).into())
    }
}

fn read_levels(pairs: &Bound<'_, PyTuple>, levels: &mut Vec<Level>) -> PyResult<()> {
    levels.clear();
    for pair in pairs {
        let (price_e4, size_e6) = pair.extract()?;
        levels.push(Level { price_e4, size_e6 });
    }
    Ok(())
}

fn levels(pairs: &[(u16, u64)]) -> Vec<Level> {
    let level = |&(price_e4, size_e6)| Level { price_e4, size_e6 };
    pairs.iter().map(level).collect()
}

const fn side(is_buy: bool) -> Side {
    if is_buy { Side::Buy } else { Side::Sell }
}

/// Narrow a Python integer; ValueError, where PyO3 by itself would raise OverflowError.
pub fn to_e4(name: &str, value: i64) -> PyResult<u16> {
    u16::try_from(value).map_err(|_| PyValueError::new_err(format!("{name} {value} is out of range")))
}
