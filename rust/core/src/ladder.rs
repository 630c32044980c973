//! One side of a book as an array over the prices the market trades at, so that a level is found by its index.
//!
//! The array's step is the largest that holds every price seen (a cent at first): a book of cents takes 1.6 kB, so
//! that a thousand books stay in the cache. A price between two steps makes the grid finer, once. A bitmap marks
//! the occupied prices and the best one is cached. Every level remembers the server time of its last change,
//! because messages arrive out of server-time order.

use crate::units::{PRICE_ONE_E4, Side};

const COARSEST_E4: u16 = 100;
const RECIPROCAL_BITS: u32 = 20;

/// Price and aggregate size of one level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Level {
    /// Price in 1e-4.
    pub price_e4: u16,
    /// Aggregate size in 1e-6 shares; 0 in a change removes the level.
    pub size_e6: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    size_e6: u64,
    changed_ms: u64,
}

/// The levels of one side.
#[derive(Debug, Clone)]
pub struct Ladder {
    side: Side,
    step_e4: u16,
    reciprocal: u64,
    cells: Vec<Cell>,
    occupied: Vec<u64>,
    kept: Vec<u64>,
    best_e4: Option<u16>,
    fingerprint: u64,
}

impl Ladder {
    /// An empty ladder of bids (`Side::Buy`) or asks.
    #[must_use]
    pub fn new(side: Side) -> Self {
        let mut ladder = Self {
            side,
            step_e4: COARSEST_E4,
            reciprocal: 0,
            cells: Vec::new(),
            occupied: Vec::new(),
            kept: Vec::new(),
            best_e4: None,
            fingerprint: 0,
        };
        ladder.lay_out(COARSEST_E4);
        ladder
    }

    /// The best level, None when the side is empty.
    #[must_use]
    pub fn best(&self) -> Option<Level> {
        self.best_e4.map(|price_e4| self.level(price_e4))
    }

    /// Aggregate size at a price, 0 where nothing stands.
    #[must_use]
    pub fn size_e6(&self, price_e4: u16) -> u64 {
        let index = self.on_grid(price_e4);
        // A price between two steps was never seen.
        if index * usize::from(self.step_e4) == usize::from(price_e4) {
            self.cells[index].size_e6
        } else {
            0
        }
    }

    /// The levels, best first.
    pub fn iter(&self) -> impl Iterator<Item = Level> + '_ {
        std::iter::successors(self.best_e4, |&price_e4| self.next_worse(price_e4))
            .map(|price_e4| self.level(price_e4))
    }

    /// The levels, worst first.
    pub fn worst_first(&self) -> impl Iterator<Item = Level> + '_ {
        let count = self.occupied.len();
        (0..count).flat_map(move |at| {
            let word = match self.side {
                Side::Buy => at,
                Side::Sell => count - 1 - at,
            };
            let mut bits = self.occupied[word];
            std::iter::from_fn(move || {
                if bits == 0 {
                    return None;
                }
                let bit = match self.side {
                    Side::Buy => bits.trailing_zeros(),
                    Side::Sell => 63 - bits.leading_zeros(),
                };
                bits ^= 1 << bit;
                Some(word * 64 + bit as usize)
            })
            .map(|index| Level {
                price_e4: self.price_e4(index),
                size_e6: self.cells[index].size_e6,
            })
        })
    }

    /// A number that equal sides share and different ones practically never do.
    #[must_use]
    pub const fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Set one level as of a server time: None when that level has a later change, else whether its size changed.
    pub fn set(&mut self, level: Level, server_ms: u64) -> Option<bool> {
        let index = self.index(level.price_e4);
        if server_ms < self.cells[index].changed_ms {
            return None;
        }
        self.cells[index].changed_ms = server_ms;
        Some(self.write(index, level))
    }

    /// Make the side equal to a snapshot, except for levels that changed after its server time.
    pub fn replace(&mut self, levels: &[Level], server_ms: u64) -> bool {
        for level in levels {
            // Refining the grid moves every level, so it comes before the bitmap of what is kept.
            self.index(level.price_e4);
        }
        let mut kept = std::mem::take(&mut self.kept);
        kept.clear();
        kept.resize(self.occupied.len(), 0);
        let mut is_changed = false;
        for &level in levels.iter().filter(|level| level.size_e6 > 0) {
            let index = self.index(level.price_e4);
            kept[index / 64] |= 1 << (index % 64);
            if server_ms >= self.cells[index].changed_ms {
                is_changed |= self.write(index, level);
            }
        }
        for (word, kept_bits) in kept.iter().enumerate() {
            let mut gone = self.occupied[word] & !kept_bits;
            while gone != 0 {
                let index = word * 64 + gone.trailing_zeros() as usize;
                gone &= gone - 1;
                if server_ms >= self.cells[index].changed_ms {
                    let price_e4 = self.price_e4(index);
                    is_changed |= self.write(index, Level { price_e4, size_e6: 0 });
                }
            }
        }
        self.kept = kept;
        is_changed
    }

    /// Forget every level and every change time.
    pub fn clear(&mut self) {
        self.cells.fill(Cell::default());
        self.occupied.fill(0);
        self.best_e4 = None;
        self.fingerprint = 0;
    }

    fn lay_out(&mut self, step_e4: u16) {
        let count = usize::from(PRICE_ONE_E4 / step_e4) + 1;
        self.step_e4 = step_e4;
        self.reciprocal = (1_u64 << RECIPROCAL_BITS).div_ceil(u64::from(step_e4));
        self.cells = vec![Cell::default(); count];
        self.occupied = vec![0; count.div_ceil(64)];
    }

    /// Where a price lives; the grid becomes finer when it lies between two steps.
    #[inline]
    fn index(&mut self, price_e4: u16) -> usize {
        let index = self.on_grid(price_e4);
        if index * usize::from(self.step_e4) == usize::from(price_e4) {
            return index;
        }
        self.refine(greatest_common_divisor(self.step_e4, price_e4));
        self.on_grid(price_e4)
    }

    /// price / step by multiplication: exact for every price on the grid, as price < 2^20.
    #[inline]
    const fn on_grid(&self, price_e4: u16) -> usize {
        ((price_e4 as u64 * self.reciprocal) >> RECIPROCAL_BITS) as usize
    }

    #[cold]
    fn refine(&mut self, step_e4: u16) {
        let factor = usize::from(self.step_e4 / step_e4);
        let coarse = std::mem::take(&mut self.cells);
        self.lay_out(step_e4);
        for (at, cell) in coarse.into_iter().enumerate() {
            let index = at * factor;
            self.cells[index] = cell;
            if cell.size_e6 > 0 {
                self.occupied[index / 64] |= 1 << (index % 64);
            }
        }
    }

    const fn price_e4(&self, index: usize) -> u16 {
        index as u16 * self.step_e4
    }

    fn level(&self, price_e4: u16) -> Level {
        let size_e6 = self.cells[self.on_grid(price_e4)].size_e6;
        Level { price_e4, size_e6 }
    }

    #[inline]
    fn write(&mut self, index: usize, Level { price_e4, size_e6 }: Level) -> bool {
        let before_e6 = self.cells[index].size_e6;
        if before_e6 == size_e6 {
            return false;
        }
        self.cells[index].size_e6 = size_e6;
        self.fingerprint ^= mark(self.side, price_e4, before_e6) ^ mark(self.side, price_e4, size_e6);
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
        let index = self.on_grid(price_e4);
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
                    .chain((word + 1..self.occupied.len()).map(|higher| (higher, self.occupied[higher])))
                    .find(|&(_, bits)| bits != 0)
                    .map(|(at, bits)| at * 64 + bits.trailing_zeros() as usize)
            }
        };
        found.map(|index| self.price_e4(index))
    }
}

const fn greatest_common_divisor(a: u16, b: u16) -> u16 {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

/// One level's share of the fingerprint: its bits, well mixed (the finaliser of SplitMix64); 0 for no level.
#[inline]
const fn mark(side: Side, price_e4: u16, size_e6: u64) -> u64 {
    if size_e6 == 0 {
        return 0;
    }
    let place = (price_e4 as u64) << 1 | matches!(side, Side::Buy) as u64;
    let mut bits = size_e6.wrapping_add(place.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
