//! What happens when on virtual time (`lab/simulation/loop.py`): a day has a hundred million callbacks, and frames of
//! Python around each of them would cost a tenth of it.
//!
//! ```text
//! ready    what runs now, in its order
//! timers   what runs later, by its time and, at equal times, in its order
//! ```
//!
//! Nothing here is borrowed while Python runs: whatever is called, or dropped, may come back. What never changes is
//! not cleared for the garbage collector, as in a tuple: every cycle goes through something that is.

use std::collections::{BTreeMap, VecDeque};

use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError, PySystemExit};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

const NS_PER_S: f64 = 1e9;
const NS_PER_MS: u64 = 1_000_000;
const LETTERS: usize = 64;

/// A callback, its context and its time: what asyncio calls a handle.
#[pyclass(module = "clawswarm._core")]
pub struct Due {
    context: Py<PyAny>,
    /// The callback and its arguments; None once it is cancelled.
    call: Option<Py<PyTuple>>,
    at_s: f64,
}

#[pymethods]
impl Due {
    /// It is left out when its time comes.
    fn cancel(slf: &Bound<'_, Self>) {
        let call = slf.borrow_mut().call.take();
        drop(call);
    }

    /// Whether it is left out.
    const fn cancelled(&self) -> bool {
        self.call.is_none()
    }

    /// Its time.
    const fn when(&self) -> f64 {
        self.at_s
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.context)?;
        visit.call(&self.call)
    }

    fn __clear__(&mut self) {
        self.call = None;
    }
}

/// Items from one to another in their order, each after its delay; they arrive in the receiver's context.
#[pyclass(module = "clawswarm._core", generic)]
pub struct Lane {
    agenda: Py<Agenda>,
    deliver: Py<PyAny>,
    context: Py<PyAny>,
    items: VecDeque<Py<PyAny>>,
    free_s: f64,
}

#[pymethods]
impl Lane {
    #[new]
    const fn new(agenda: Py<Agenda>, deliver: Py<PyAny>, context: Py<PyAny>) -> Self {
        Self {
            agenda,
            deliver,
            context,
            items: VecDeque::new(),
            free_s: 0.0,
        }
    }

    /// Send one item.
    #[pyo3(signature = (item, delay_s, not_before_s = 0.0))]
    fn put(slf: &Bound<'_, Self>, item: Py<PyAny>, delay_s: f64, not_before_s: f64) {
        let mut lane = slf.borrow_mut();
        let lane = &mut *lane;
        let mut agenda = lane.agenda.bind(slf.py()).borrow_mut();
        lane.free_s = lane.free_s.max(agenda.time() + delay_s).max(not_before_s);
        lane.items.push_back(item);
        // Whichever timer comes first takes the oldest: equal times cannot change the order.
        agenda.add(lane.free_s, Work::Arrival(slf.clone().unbind()));
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.agenda)?;
        visit.call(&self.deliver)?;
        visit.call(&self.context)?;
        self.items.iter().try_for_each(|item| visit.call(item))
    }

    fn __clear__(&mut self) {
        self.items.clear();
    }
}

/// What is on its way to whom it does not wake: it is handed over when the reader looks.
#[pyclass(module = "clawswarm._core", generic)]
pub struct Letterbox {
    agenda: Py<Agenda>,
    /// By time and, at equal times, in their order: who is told, and what.
    letters: BTreeMap<(u64, u64), (Py<PyAny>, Py<PyAny>)>,
    serial: u64,
}

#[pymethods]
impl Letterbox {
    #[new]
    const fn new(agenda: Py<Agenda>) -> Self {
        Self {
            agenda,
            letters: BTreeMap::new(),
            serial: 0,
        }
    }

    /// Hand over everything that has arrived, in that order.
    fn collect(slf: &Bound<'_, Self>) -> PyResult<()> {
        loop {
            let mut letterbox = slf.borrow_mut();
            let now_ns = letterbox.agenda.bind(slf.py()).borrow().elapsed_ns;
            let first = letterbox.letters.first_entry();
            let Some(first) = first.filter(|first| first.key().0 <= now_ns) else {
                return Ok(());
            };
            let (deliver, item) = first.remove();
            drop(letterbox);
            deliver.call1(slf.py(), (item,))?;
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.agenda)?;
        self.letters.values().try_for_each(|(deliver, item)| {
            visit.call(deliver)?;
            visit.call(item)
        })
    }

    fn __clear__(&mut self) {
        self.letters.clear();
    }
}

/// A lane into a letterbox.
#[pyclass(module = "clawswarm._core", generic)]
pub struct LetterLane {
    letterbox: Py<Letterbox>,
    deliver: Py<PyAny>,
    free_s: f64,
}

#[pymethods]
impl LetterLane {
    #[new]
    const fn new(letterbox: Py<Letterbox>, deliver: Py<PyAny>) -> Self {
        Self {
            letterbox,
            deliver,
            free_s: 0.0,
        }
    }

    /// Send one item.
    #[pyo3(signature = (item, delay_s, not_before_s = 0.0))]
    fn put(slf: &Bound<'_, Self>, item: Py<PyAny>, delay_s: f64, not_before_s: f64) -> PyResult<()> {
        let py = slf.py();
        let letterbox = slf.borrow().letterbox.bind(py).clone();
        if letterbox.borrow().letters.len() == LETTERS {
            // Whoever looks seldom finds the newest of each key, and not all there were.
            Letterbox::collect(&letterbox)?;
        }
        let (mut lane, mut letterbox) = (slf.borrow_mut(), letterbox.borrow_mut());
        let now_s = letterbox.agenda.bind(py).borrow().time();
        lane.free_s = lane.free_s.max(now_s + delay_s).max(not_before_s);
        letterbox.serial += 1;
        let key = (to_ns(lane.free_s), letterbox.serial);
        letterbox.letters.insert(key, (lane.deliver.clone_ref(py), item));
        Ok(())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.letterbox)?;
        visit.call(&self.deliver)
    }
}

/// What a time has come for.
enum Work {
    Call(Py<Due>),
    Arrival(Py<Lane>),
}

impl Work {
    /// What to call in which context; None where it was cancelled.
    fn call<'py>(&self, py: Python<'py>) -> PyResult<Option<(Bound<'py, PyAny>, Bound<'py, PyTuple>)>> {
        match self {
            Self::Call(due) => {
                let due = due.bind(py).borrow();
                let call = due.call.as_ref().map(|call| call.bind(py).clone());
                Ok(call.map(|call| (due.context.bind(py).clone(), call)))
            }
            Self::Arrival(lane) => {
                let mut lane = lane.bind(py).borrow_mut();
                let Some(item) = lane.items.pop_front() else {
                    return Ok(None);
                };
                let (deliver, context) = (lane.deliver.bind(py).clone(), lane.context.bind(py).clone());
                drop(lane);
                Ok(Some((context, (deliver, item).into_pyobject(py)?)))
            }
        }
    }

    fn visit(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::Call(due) => visit.call(due),
            Self::Arrival(lane) => visit.call(lane),
        }
    }
}

/// The half of an asyncio event loop that knows what is to be called when; its clock begins at `began_ns`.
#[pyclass(module = "clawswarm._core", subclass)]
pub struct Agenda {
    began_ns: u64,
    /// How much time has passed.
    #[pyo3(get)]
    elapsed_ns: u64,
    ready: VecDeque<Py<Due>>,
    timers: BTreeMap<(u64, u64), Work>,
    serial: u64,
    is_ending: bool,
    copy_context: Py<PyAny>,
}

#[pymethods]
impl Agenda {
    #[new]
    fn new(py: Python<'_>, began_ns: u64) -> PyResult<Self> {
        let copy_context = py.import("contextvars")?.getattr("copy_context")?;
        Ok(Self {
            began_ns,
            elapsed_ns: 0,
            ready: VecDeque::new(),
            timers: BTreeMap::new(),
            serial: 0,
            is_ending: false,
            copy_context: copy_context.unbind(),
        })
    }

    /// Seconds since the beginning.
    fn time(&self) -> f64 {
        self.elapsed_ns as f64 / NS_PER_S
    }

    /// The time, on everybody's clock.
    const fn now_ns(&self) -> u64 {
        self.began_ns + self.elapsed_ns
    }

    /// The same in ms.
    const fn wall_ms(&self) -> u64 {
        self.now_ns() / NS_PER_MS
    }

    /// Run a callback after everything that is ready already.
    #[pyo3(signature = (*call, context = None))]
    fn call_soon<'py>(
        slf: &Bound<'py, Self>,
        call: Bound<'py, PyTuple>,
        context: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Due>> {
        let due = Self::due(slf, call, context, 0.0)?;
        slf.borrow_mut().ready.push_back(due.clone().unbind());
        Ok(due)
    }

    /// Run a callback at a time.
    #[pyo3(signature = (when, *call, context = None))]
    fn call_at<'py>(
        slf: &Bound<'py, Self>,
        when: f64,
        call: Bound<'py, PyTuple>,
        context: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Due>> {
        let due = Self::due(slf, call, context, when)?;
        slf.borrow_mut().add(when, Work::Call(due.clone().unbind()));
        Ok(due)
    }

    /// Run a callback so many seconds from now.
    #[pyo3(signature = (delay, *call, context = None))]
    fn call_later<'py>(
        slf: &Bound<'py, Self>,
        delay: f64,
        call: Bound<'py, PyTuple>,
        context: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Due>> {
        let when = slf.borrow().time() + delay;
        Self::call_at(slf, when, call, context)
    }

    /// Run everything that is ready, and whenever nothing is, the next timer, until `end_turn`.
    ///
    /// A callback's failure goes to `call_exception_handler`.
    fn turn(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        loop {
            let mut agenda = slf.borrow_mut();
            if std::mem::take(&mut agenda.is_ending) {
                return Ok(());
            }
            let (at_ns, work) = match agenda.ready.pop_front() {
                Some(due) => (0, Work::Call(due)),
                None => match agenda.timers.pop_first() {
                    Some(((at_ns, _), work)) => (at_ns, work),
                    None => {
                        let sentence = "nothing can ever happen any more: every task waits for another";
                        return Err(PyRuntimeError::new_err(sentence));
                    }
                },
            };
            drop(agenda);
            let Some((context, call)) = work.call(py)? else {
                continue;
            };
            let mut agenda = slf.borrow_mut();
            agenda.elapsed_ns = agenda.elapsed_ns.max(at_ns);
            drop(agenda);
            if let Err(fault) = context.call_method1(intern!(py, "run"), call) {
                if fault.is_instance_of::<PySystemExit>(py) || fault.is_instance_of::<PyKeyboardInterrupt>(py)
                {
                    return Err(fault);
                }
                let told = PyDict::new(py);
                told.set_item("message", "callback failed")?;
                told.set_item("exception", fault.value(py))?;
                slf.call_method1("call_exception_handler", (told,))?;
            }
        }
    }

    /// End `turn` after the present callback.
    const fn end_turn(&mut self) {
        self.is_ending = true;
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.copy_context)?;
        self.ready.iter().try_for_each(|due| visit.call(due))?;
        self.timers.values().try_for_each(|work| work.visit(&visit))
    }

    fn __clear__(&mut self) {
        self.ready.clear();
        self.timers.clear();
    }
}

impl Agenda {
    fn due<'py>(
        slf: &Bound<'py, Self>,
        call: Bound<'py, PyTuple>,
        context: Option<Bound<'py, PyAny>>,
        at_s: f64,
    ) -> PyResult<Bound<'py, Due>> {
        let context = match context {
            Some(context) => context,
            None => {
                let copy_context = slf.borrow().copy_context.bind(slf.py()).clone();
                copy_context.call0()?
            }
        };
        let (context, call) = (context.unbind(), Some(call.unbind()));
        Bound::new(slf.py(), Due { context, call, at_s })
    }

    fn add(&mut self, when_s: f64, work: Work) {
        self.serial += 1;
        self.timers.insert((to_ns(when_s), self.serial), work);
    }
}

fn to_ns(seconds: f64) -> u64 {
    (seconds * NS_PER_S).round_ties_even() as u64
}
