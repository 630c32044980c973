//! Who must speak, and what happens when they do not.
//!
//! ```text
//! guard      silent for 3 s     everything is withdrawn; nothing is placed until it speaks again
//! sentinels  silent for 0.5 s   no book and no pulse of a live feed: every quoter's orders are withdrawn
//! quoter     late by 0.5 s      no touch from its own loop: its orders are withdrawn, its plans refused
//! ```
//!
//! A quiet market is not silence: the sentinels' pulse goes on. Source: design.md §6.

use std::collections::BTreeMap;

use super::events::{ConnectionId, Level};
use super::machine::{Engine, Phase};
use super::signing::SignOrder;
use crate::silence::Silence;

const NO_GUARD: &str = "no guard watches this engine";
const NO_SENTINEL: &str = "every sentinel is silent";
const LATE_TOUCH: &str = "touch late";

/// How long each may be silent; None is not watched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WatchSettings {
    /// The guard.
    pub guard_ns: Option<u64>,
    /// A quoter.
    pub touch_ns: Option<u64>,
    /// The sentinels, all together.
    pub sentinel_ns: Option<u64>,
}

/// One who must speak: absent from the start, and again after too long a silence.
#[derive(Debug)]
struct Speaker {
    silence: Silence,
    is_present: bool,
}

impl Speaker {
    fn absent(limit_ns: u64, now_ns: u64) -> Self {
        Self {
            silence: Silence::new(limit_ns, now_ns),
            is_present: false,
        }
    }

    /// True when it was absent.
    fn hear(&mut self, now_ns: u64) -> bool {
        self.silence.hear(now_ns);
        !std::mem::replace(&mut self.is_present, true)
    }

    /// True when it is absent from now on.
    fn look(&mut self, now_ns: u64) -> bool {
        let is_silent = self.silence.look(now_ns);
        self.is_present && {
            self.is_present = !is_silent;
            is_silent
        }
    }
}

/// Everyone who is watched.
#[derive(Debug)]
pub(super) struct Watch {
    settings: WatchSettings,
    guard: Option<Speaker>,
    sentinels: Option<Speaker>,
    quoters: BTreeMap<String, Speaker>,
}

impl Watch {
    pub fn new(settings: WatchSettings, now_ns: u64) -> Self {
        let absent = |limit_ns| Speaker::absent(limit_ns, now_ns);
        Self {
            settings,
            guard: settings.guard_ns.map(absent),
            sentinels: settings.sentinel_ns.map(absent),
            quoters: BTreeMap::new(),
        }
    }

    /// A quoter has connected: it has the whole time for its first touch.
    pub fn meet(&mut self, quoter: &str, now_ns: u64) {
        if let Some(limit_ns) = self.settings.touch_ns {
            let mut speaker = Speaker::absent(limit_ns, now_ns);
            speaker.hear(now_ns);
            self.quoters.insert(quoter.to_owned(), speaker);
        }
    }

    /// A quoter's connection is gone.
    pub fn part(&mut self, quoter: &str) {
        self.quoters.remove(quoter);
    }

    /// Whether the guard that should be there is not.
    pub fn is_unguarded(&self) -> bool {
        self.guard.as_ref().is_some_and(|guard| !guard.is_present)
    }

    /// Why this quoter may place nothing.
    pub fn refusal(&self, quoter: &str) -> Option<String> {
        let is_absent = |speaker: &Speaker| !speaker.is_present;
        if self.is_unguarded() {
            return Some(format!("{NO_GUARD}: it only cancels"));
        }
        if self.sentinels.as_ref().is_some_and(is_absent) {
            return Some(format!("{NO_SENTINEL}: books could not be seen"));
        }
        let is_late = self.quoters.get(quoter).is_some_and(is_absent);
        is_late.then(|| format!("{LATE_TOUCH}: the quoter has not said that it processes books"))
    }
}

impl<S: SignOrder> Engine<S> {
    pub(super) fn hear_guard(&mut self, now_ns: u64) {
        if self.watch.guard.as_mut().is_some_and(|guard| guard.hear(now_ns)) {
            self.log(Level::Info, "engine.guarded", Vec::new());
        }
    }

    pub(super) fn hear_sentinel(&mut self, now_ns: u64) {
        let sentinels = self.watch.sentinels.as_mut();
        if sentinels.is_some_and(|sentinels| sentinels.hear(now_ns)) {
            self.log(Level::Info, "engine.sentinels.heard", Vec::new());
        }
    }

    pub(super) fn take_touch(&mut self, connection: ConnectionId, book_sequence: u64, now_ns: u64) {
        let Some(name) = self.name_of(connection) else {
            return;
        };
        if self
            .watch
            .quoters
            .get_mut(&name)
            .is_some_and(|it| it.hear(now_ns))
        {
            let fields = vec![("quoter", name), ("book_sequence", book_sequence.to_string())];
            self.log(Level::Info, "engine.quoter.touched", fields);
        }
    }

    /// Withdraw the orders of whoever fell silent.
    pub(super) fn watch_all(&mut self, now_ns: u64) {
        let guard_lost = self.watch.guard.as_mut().is_some_and(|it| it.look(now_ns));
        let sentinels_lost = self.watch.sentinels.as_mut().is_some_and(|it| it.look(now_ns));
        let quoters = self.watch.quoters.iter_mut();
        let late = quoters.filter_map(|(name, it)| it.look(now_ns).then(|| name.clone()));
        let late: Vec<String> = late.collect();
        if guard_lost {
            self.log(Level::Error, "engine.guard.lost", Vec::new());
            if self.phase == Phase::Running {
                self.clear(Some(NO_GUARD), now_ns);
            }
        }
        if sentinels_lost {
            self.log(Level::Warning, "engine.sentinels.silent", Vec::new());
            for quoter in self.quoters.keys().cloned().collect::<Vec<_>>() {
                self.withdraw_while_running(&quoter, NO_SENTINEL, now_ns);
            }
        }
        for quoter in late {
            self.log(
                Level::Warning,
                "engine.quoter.late",
                vec![("quoter", quoter.clone())],
            );
            self.withdraw_while_running(&quoter, LATE_TOUCH, now_ns);
        }
    }

    fn withdraw_while_running(&mut self, quoter: &str, cause: &str, now_ns: u64) {
        if self.phase == Phase::Running {
            self.withdraw(quoter, None, cause, now_ns);
        }
    }
}
