//! Parameters of the quoter, and which values of them are usable.

use super::spread::SpreadModel;

/// Parameters of the strategy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuoterModel {
    /// The spread function.
    pub spread: SpreadModel,
    /// μ before there were fills.
    pub informed_prior: f64,
    /// Position, as a share of the largest, from which only the reducing side is quoted.
    pub reduce_only: f64,
    /// What replacing an order must bring beyond its tokens, in USD.
    pub change_usd: f64,
    /// Half-spreads grow in this time before the close.
    pub widen_s: f64,
    /// Nothing is quoted in this time before the close.
    pub withdraw_s: f64,
    /// How long an endangered side stays out of reach.
    pub pull_s: f64,
    /// A move of the reference by so many deviations of a second is a jump.
    pub jump_sigmas: f64,
}

impl QuoterModel {
    /// The first parameter that is out of its range.
    #[must_use]
    pub fn unusable(&self) -> Option<&'static str> {
        let spread = &self.spread;
        let positive = [
            ("fill_decay", spread.fill_decay),
            ("fill_rate", spread.fill_rate),
            ("queue_shares", spread.queue_shares),
            ("rest_s", spread.rest_s),
            ("jump_sigmas", self.jump_sigmas),
        ];
        let not_negative = [
            ("risk_aversion", spread.risk_aversion),
            ("holding_s", spread.holding_s),
            ("skew", spread.skew),
            ("widen_linear", spread.widen_linear),
            ("widen_quadratic", spread.widen_quadratic),
            ("uncertainty_weight", spread.uncertainty_weight),
            ("cost", spread.cost),
            ("pick_off", spread.pick_off),
            ("presence", spread.presence),
            ("reduce_only", self.reduce_only),
            ("change_usd", self.change_usd),
            ("widen_s", self.widen_s),
            ("withdraw_s", self.withdraw_s),
            ("pull_s", self.pull_s),
        ];
        let is_odd = |value: f64| !value.is_finite();
        let below = positive.iter().find(|(_, value)| is_odd(*value) || *value <= 0.0);
        let negative = not_negative
            .iter()
            .find(|(_, value)| is_odd(*value) || *value < 0.0);
        let share = [("informed_prior", self.informed_prior)];
        let no_share = share.iter().find(|(_, value)| !(0.0..1.0).contains(value));
        below.or(negative).or(no_share).map(|&(name, _)| name)
    }
}
