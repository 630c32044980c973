//! One side of a book as an array over the price grid 0..=10000, so that a level is found by its index.
//!
//! A bitmap marks the occupied prices and the best one is cached: a change costs O(1), removing the best
//! level a scan of at most 157 words. Every level remembers the server time of its last change, because
//! messages arrive out of server-time order.

use crate::units::{PRICE_ONE_E4, Side};

const GRID: usize = PRICE_ONE_E4 as usize + 1;
const WORDS: usize = GRID.div_ceil(64);

/// Price and aggregate size of one level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// Price in 1e-4.
    pub price_e4: u16,
    /// Aggregate size in 1e-6 shares; 0 in a change removes the level.
    pub size_e6: u64,
}

/// The levels of one side.
#[derive(Debug, Clone)]
pub struct Ladder {
    side: Side,
    sizes_e6: Vec<u64>,
    changed_ms: Vec<u64>,
    occupied: [u64; WORDS],
    best_e4: Option<u16>,
}

impl Ladder {
    /// An empty ladder of bids (`Side::Buy`) or asks.
    #[must_use]
    pub fn new(side: Side) -> Self {
        Self {
            side,
            sizes_e6: vec![0; GRID],
            changed_ms: vec![0; GRID],
            occupied: [0; WORDS],
            best_e4: None,
        }
    }

    /// The best level, None when the side is empty.
    #[must_use]
    pub fn best(&self) -> Option<Level> {
        self.best_e4.map(|price_e4| self.level(usize::from(price_e4)))
    }

    /// Aggregate size at a price, 0 where nothing stands.
    #[must_use]
    pub fn size_e6(&self, price_e4: u16) -> u64 {
        self.sizes_e6[usize::from(price_e4)]
    }

    /// The levels, best first.
    pub fn iter(&self) -> impl Iterator<Item = Level> + '_ {
        std::iter::successors(self.best_e4, |&price_e4| self.next_worse(price_e4))
            .map(|price_e4| self.level(usize::from(price_e4)))
    }

    /// Set one level as of a server time: None when that level has a later change, else whether its size changed.
    pub fn set(&mut self, level: Level, server_ms: u64) -> Option<bool> {
        let changed_ms = &mut self.changed_ms[usize::from(level.price_e4)];
        if server_ms < *changed_ms {
            return None;
        }
        *changed_ms = server_ms;
        Some(self.write(level))
    }

    /// Make the side equal to a snapshot, except for levels that changed after its server time.
    pub fn replace(&mut self, levels: &[Level], server_ms: u64) -> bool {
        let mut is_changed = false;
        let mut kept = [0_u64; WORDS];
        for &level in levels.iter().filter(|level| level.size_e6 > 0) {
            let index = usize::from(level.price_e4);
            kept[index / 64] |= 1 << (index % 64);
            if server_ms >= self.changed_ms[index] {
                is_changed |= self.write(level);
            }
        }
        for (word, kept_bits) in kept.iter().enumerate() {
            let mut gone = self.occupied[word] & !kept_bits;
            while gone != 0 {
                let index = word * 64 + gone.trailing_zeros() as usize;
                gone &= gone - 1;
                if server_ms >= self.changed_ms[index] {
                    is_changed |= self.write(Level {
                        price_e4: index as u16,
                        size_e6: 0,
                    });
                }
            }
        }
        is_changed
    }

    /// Forget every level and every change time.
    pub fn clear(&mut self) {
        self.sizes_e6.fill(0);
        self.changed_ms.fill(0);
        self.occupied = [0; WORDS];
        self.best_e4 = None;
    }

    fn level(&self, index: usize) -> Level {
        Level {
            price_e4: index as u16,
            size_e6: self.sizes_e6[index],
        }
    }

    fn write(&mut self, Level { price_e4, size_e6 }: Level) -> bool {
        let index = usize::from(price_e4);
        if self.sizes_e6[index] == size_e6 {
            return false;
        }
        self.sizes_e6[index] = size_e6;
        let bit = 1_u64 << (index % 64);
        if size_e6 > 0 {
            self.occupied[index / 64] |= bit;
            if self
                .best_e4
                .is_none_or(|best_e4| self.is_better(price_e4, best_e4))
            {
                self.best_e4 = Some(price_e4);
            }
        } else {
            self.occupied[index / 64] &= !bit;
            if self.best_e4 == Some(price_e4) {
                self.best_e4 = self.next_worse(price_e4);
            }
        }
        true
    }

    const fn is_better(&self, price_e4: u16, than_e4: u16) -> bool {
        match self.side {
            Side::Buy => price_e4 > than_e4,
            Side::Sell => price_e4 < than_e4,
        }
    }

    fn next_worse(&self, price_e4: u16) -> Option<u16> {
        let index = usize::from(price_e4);
        let (word, bit) = (index / 64, index % 64);
        let found = match self.side {
            Side::Buy => {
                let below = self.occupied[word] & ((1 << bit) - 1);
                std::iter::once((word, below))
                    .chain((0..word).rev().map(|lower| (lower, self.occupied[lower])))
                    .find(|&(_, bits)| bits != 0)
                    .map(|(at, bits)| at * 64 + 63 - bits.leading_zeros() as usize)
            }
            Side::Sell => {
                let above = self.occupied[word] & !(u64::MAX >> (63 - bit));
                std::iter::once((word, above))
                    .chain((word + 1..WORDS).map(|higher| (higher, self.occupied[higher])))
                    .find(|&(_, bits)| bits != 0)
                    .map(|(at, bits)| at * 64 + bits.trailing_zeros() as usize)
            }
        };
        found.map(|index| index as u16)
    }
}
