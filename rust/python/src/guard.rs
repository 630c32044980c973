//! Binding of `claw_core::guard`.

use claw_core::guard::{self, GuardAction, GuardEvent};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// The guard's state machine.
#[pyclass(module = "clawswarm._core")]
pub struct Guard(guard::Guard);

/// What to do, a number (the engine, orders, an exit code) and a text.
type ActionTuple = (&'static str, u64, String);

#[pymethods]
impl Guard {
    #[new]
    const fn new(silence_ns: u64) -> Self {
        Self(guard::Guard::new(silence_ns))
    }

    /// One word on what it does.
    #[getter]
    const fn state(&self) -> &'static str {
        self.0.state()
    }

    /// An engine says something, or its connection is gone.
    fn hear(&mut self, word: &str, engine: u64, now_ns: u64) -> PyResult<Vec<ActionTuple>> {
        let event = match word {
            "hello" => GuardEvent::Hello(engine),
            "tick" => GuardEvent::Ticked(engine),
            "leaving" => GuardEvent::Left(engine),
            "closed" => GuardEvent::Closed(engine),
            _ => {
                return Err(PyValueError::new_err(format!(
                    "{word:?} is no word of an engine: hello, tick, leaving or closed"
                )));
            }
        };
        Ok(self.take(event, now_ns))
    }

    /// Time has passed.
    fn look(&mut self, now_ns: u64) -> Vec<ActionTuple> {
        self.take(GuardEvent::Look, now_ns)
    }

    /// The killed engine is dead.
    fn dead(&mut self, now_ns: u64) -> Vec<ActionTuple> {
        self.take(GuardEvent::Dead, now_ns)
    }

    /// The venue cancelled so many orders; None: it did not.
    fn cancelled(&mut self, count: Option<u64>, now_ns: u64) -> Vec<ActionTuple> {
        self.take(GuardEvent::Cancelled(outcome(count)), now_ns)
    }

    /// The venue lists so many open orders; None: it does not.
    fn listed(&mut self, count: Option<u64>, now_ns: u64) -> Vec<ActionTuple> {
        self.take(GuardEvent::Listed(outcome(count)), now_ns)
    }
}

impl Guard {
    fn take(&mut self, event: GuardEvent, now_ns: u64) -> Vec<ActionTuple> {
        self.0.handle(event, now_ns).into_iter().map(to_tuple).collect()
    }
}

fn outcome(count: Option<u64>) -> Result<u64, String> {
    count.ok_or_else(|| "no answer".to_owned())
}

fn to_tuple(action: GuardAction) -> ActionTuple {
    match action {
        GuardAction::Arm(engine) => ("arm", engine, String::new()),
        GuardAction::Echo(engine) => ("echo", engine, String::new()),
        GuardAction::Kill(engine) => ("kill", engine, String::new()),
        GuardAction::CancelAll => ("cancel all", 0, String::new()),
        GuardAction::List => ("list", 0, String::new()),
        GuardAction::Warn(reason) => ("warn", 0, reason),
        GuardAction::Report { cause, cancelled, .. } => ("report", cancelled, cause.to_owned()),
        GuardAction::Exit(code) => ("exit", u64::from(code), String::new()),
    }
}
