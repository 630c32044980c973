//! Which token is whose.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustc_hash::FxHashMap;

use super::Slot;
use crate::scan::Tokens;
use crate::units::Outcome;

/// Which token is whose; the market of the last token is tried first, because a message speaks of one market.
#[derive(Debug, Default)]
pub(super) struct Directory {
    pub(super) places: FxHashMap<Arc<[u8]>, (Slot, Outcome)>,
    texts: Vec<[Arc<[u8]>; 2]>,
    last: AtomicUsize,
}

impl Directory {
    pub(super) fn add(&mut self, slot: Slot, tokens: [&str; 2]) {
        let texts = tokens.map(|token| Arc::from(token.as_bytes()));
        for (text, outcome) in texts.iter().zip([Outcome::Yes, Outcome::No]) {
            self.places.insert(Arc::clone(text), (slot, outcome));
        }
        if slot == self.texts.len() {
            self.texts.push(texts);
        } else {
            self.texts[slot] = texts;
        }
    }

    pub(super) fn remove(&mut self, slot: Slot) {
        for text in std::mem::take(&mut self.texts[slot]) {
            self.places.remove(&text);
        }
    }
}

impl Tokens for Directory {
    type Found = (Slot, Outcome);

    #[inline]
    fn find(&self, token: &[u8]) -> Option<(Slot, Outcome)> {
        let found = self.places.get(token).copied();
        if let Some((slot, _)) = found {
            self.last.store(slot, Ordering::Relaxed);
        }
        found
    }

    #[inline]
    fn guess(&self, text: &[u8]) -> Option<((Slot, Outcome), usize)> {
        let slot = self.last.load(Ordering::Relaxed);
        let [yes, no] = self.texts.get(slot)?;
        [(yes, Outcome::Yes), (no, Outcome::No)]
            .into_iter()
            .find(|(token, _)| {
                !token.is_empty() && text.starts_with(token) && text.get(token.len()) == Some(&b'"')
            })
            .map(|(token, outcome)| ((slot, outcome), token.len()))
    }
}
