//! The two frequent frames of the market channel, `price_change` and `book`, read by hand: 96 % of the stream.
//!
//! It reads what the venue really writes and gives up (None) on anything else: escapes, text beyond ASCII,
//! numbers where texts are due, a field that is missing, doubled, or not what it must be. [`crate::decode`] then
//! reads the frame from its start and says what is wrong with it, so this file never refuses a frame and needs no
//! words for errors. That both read every frame alike is a property of the tests.

mod cursor;

use crate::ladder::Level;
use crate::units::{Side, is_tick_e4};

use cursor::{SIZE_DIGITS, Scanner, stops_in};

/// Length of a book hash in hexadecimal.
pub const HASH_LENGTH: usize = 40;
/// A book hash as the venue writes it.
pub type HashText = [u8; HASH_LENGTH];

/// A token's place, as whoever holds the markets names it.
pub trait Tokens {
    /// What a token is.
    type Found: Copy;
    /// The place of a token, None when it is nobody's.
    fn find(&self, token: &[u8]) -> Option<Self::Found>;
    /// The token that `text` begins with and a quotation mark ends, with its length, if that is cheap to say.
    fn guess(&self, text: &[u8]) -> Option<(Self::Found, usize)>;
}

/// One entry of a `price_change`.
#[derive(Debug, Clone, Copy)]
pub struct ScannedChange<T> {
    /// Which token, None when it is nobody's.
    pub token: Option<T>,
    /// Side of the level in the token's frame.
    pub side: Side,
    /// Price and new size.
    pub level: Level,
    /// The venue's own best bid and ask after it, where it says so: 0 and 1e4 are empty sides.
    pub touch_e4: (Option<u16>, Option<u16>),
    /// Hash of the token's book after it.
    pub hash: Option<HashText>,
}

/// Room for one frame, used again for the next.
#[derive(Debug)]
pub struct Scanned<T> {
    /// Entries of a `price_change`.
    pub changes: Vec<ScannedChange<T>>,
    /// Levels of a `book`.
    pub bids: Vec<Level>,
    /// Levels of a `book`.
    pub asks: Vec<Level>,
    /// Whose `book`; outer None when the field is absent.
    pub token: Option<Option<T>>,
    /// Hash of a `book`.
    pub hash: Option<HashText>,
    /// Tick of a `book` in 1e-4.
    pub tick_e4: Option<u16>,
    /// Last trade price of a `book` in 1e-4; the outer None is a `book` that does not say.
    pub last_trade_e4: Option<Option<u16>>,
    /// Server time.
    pub server_ms: u64,
}

impl<T> Default for Scanned<T> {
    fn default() -> Self {
        Self {
            changes: Vec::new(),
            bids: Vec::new(),
            asks: Vec::new(),
            token: None,
            hash: None,
            tick_e4: None,
            last_trade_e4: None,
            server_ms: 0,
        }
    }
}

/// What a scanned frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// New aggregates of some levels.
    PriceChange,
    /// All levels of one token's book.
    Book,
}

const EVENT_TYPE: u16 = 1;
const MARKET: u16 = 1 << 1;
const ASSET: u16 = 1 << 2;
const TIMESTAMP: u16 = 1 << 3;
const HASH: u16 = 1 << 4;
const BIDS: u16 = 1 << 5;
const ASKS: u16 = 1 << 6;
const TICK: u16 = 1 << 7;
const LAST_TRADE: u16 = 1 << 8;
const CHANGES: u16 = 1 << 9;
const PRICE: u16 = 1 << 10;
const SIZE: u16 = 1 << 11;
const SIDE: u16 = 1 << 12;
const BEST_BID: u16 = 1 << 13;
const BEST_ASK: u16 = 1 << 14;

/// Read one frame into `out`; None when it is not one of the two in the venue's usual form.
pub fn scan<S: Tokens>(frame: &[u8], tokens: &S, out: &mut Scanned<S::Found>) -> Option<Kind> {
    let mut scanner = Scanner { text: frame, at: 0 };
    let (mut seen, mut kind) = (0_u16, None);
    out.changes.clear();
    out.bids.clear();
    out.asks.clear();
    (out.token, out.hash, out.tick_e4, out.last_trade_e4) = (None, None, None, None);
    scanner.take(b'{')?;
    loop {
        let key = scanner.key()?;
        let field = match key {
            b"event_type" => {
                kind = match scanner.string()? {
                    b"price_change" => Some(Kind::PriceChange),
                    b"book" => Some(Kind::Book),
                    _ => return None,
                };
                EVENT_TYPE
            }
            b"market" => {
                scanner.string()?;
                MARKET
            }
            b"asset_id" => {
                out.token = Some(scanner.token(tokens)?);
                ASSET
            }
            b"timestamp" => {
                out.server_ms = scanner.millis()?;
                TIMESTAMP
            }
            b"hash" => {
                out.hash = scanner.hash()?;
                HASH
            }
            b"bids" => {
                scanner.levels(&mut out.bids)?;
                BIDS
            }
            b"asks" => {
                scanner.levels(&mut out.asks)?;
                ASKS
            }
            b"tick_size" => {
                out.tick_e4 = scanner.optional_price()?;
                if !out.tick_e4.is_none_or(is_tick_e4) {
                    return None;
                }
                TICK
            }
            b"last_trade_price" => {
                out.last_trade_e4 = Some(scanner.optional_price()?);
                LAST_TRADE
            }
            b"price_changes" => {
                scanner.changes(tokens, &mut out.changes)?;
                CHANGES
            }
            _ => return None,
        };
        if seen & field != 0 {
            return None;
        }
        seen |= field;
        if !scanner.comma_or(b'}')? {
            break;
        }
    }
    scanner.end()?;
    let needed = match kind? {
        Kind::PriceChange => TIMESTAMP | CHANGES,
        Kind::Book => TIMESTAMP | ASSET | BIDS | ASKS,
    };
    (seen & needed == needed).then_some(kind?)
}

impl Scanner<'_> {
    #[inline]
    fn token<S: Tokens>(&mut self, tokens: &S) -> Option<Option<S::Found>> {
        self.skip_space();
        if self.peek()? == b'"' {
            if let Some((found, length)) = tokens.guess(&self.text[self.at + 1..]) {
                self.at += length + 2;
                return Some(Some(found));
            }
        }
        Some(tokens.find(self.string()?))
    }

    #[inline]
    fn hash(&mut self) -> Option<Option<HashText>> {
        self.skip_space();
        if self.peek()? == b'"' {
            let rest = &self.text[self.at + 1..];
            if let (Some(hash), Some(b'"')) = (rest.first_chunk::<HASH_LENGTH>(), rest.get(HASH_LENGTH)) {
                if is_plain(hash) {
                    self.at += HASH_LENGTH + 2;
                    return Some(Some(*hash));
                }
            }
        }
        self.string().map(|_| None)
    }

    fn levels(&mut self, out: &mut Vec<Level>) -> Option<()> {
        self.take(b'[')?;
        self.skip_space();
        if self.peek()? == b']' {
            self.at += 1;
            return Some(());
        }
        loop {
            let start = self.at;
            let level = match self.usual_level() {
                Some(level) => level,
                None => {
                    self.at = start;
                    self.level()?
                }
            };
            out.push(level);
            if !self.comma_or(b']')? {
                return Some(());
            }
        }
    }

    /// A level as the venue writes it today: keys in this order, no spaces.
    #[inline]
    fn usual_level(&mut self) -> Option<Level> {
        self.literal(b"{\"price\":")?;
        let price_e4 = self.price()?;
        self.literal(b",\"size\":")?;
        let size_e6 = self.decimal(SIZE_DIGITS)?;
        self.literal(b"}")?;
        Some(Level { price_e4, size_e6 })
    }

    /// A level with its keys in any order.
    fn level(&mut self) -> Option<Level> {
        self.take(b'{')?;
        let (mut price_e4, mut size_e6) = (None, None);
        loop {
            let is_new = match self.key()? {
                b"price" => price_e4.replace(self.price()?).is_none(),
                b"size" => size_e6.replace(self.decimal(SIZE_DIGITS)?).is_none(),
                _ => false,
            };
            if !is_new {
                return None;
            }
            if !self.comma_or(b'}')? {
                break;
            }
        }
        Some(Level {
            price_e4: price_e4?,
            size_e6: size_e6?,
        })
    }

    fn changes<S: Tokens>(&mut self, tokens: &S, out: &mut Vec<ScannedChange<S::Found>>) -> Option<()> {
        self.take(b'[')?;
        self.skip_space();
        if self.peek()? == b']' {
            self.at += 1;
            return Some(());
        }
        loop {
            let start = self.at;
            let change = match self.usual_change(tokens) {
                Some(change) => change,
                None => {
                    self.at = start;
                    self.change(tokens)?
                }
            };
            out.push(change);
            if !self.comma_or(b']')? {
                return Some(());
            }
        }
    }

    /// An entry as the venue writes it today: keys in this order, a space or none after each comma.
    #[inline]
    fn usual_change<S: Tokens>(&mut self, tokens: &S) -> Option<ScannedChange<S::Found>> {
        self.skip_space();
        self.literal(b"{\"asset_id\":")?;
        let token = self.token(tokens)?;
        self.next_key(b"\"price\":")?;
        let price_e4 = self.price()?;
        self.next_key(b"\"size\":")?;
        let size_e6 = self.decimal(SIZE_DIGITS)?;
        self.next_key(b"\"side\":\"")?;
        let side = match self.literal(b"BUY\"") {
            Some(()) => Side::Buy,
            None => {
                self.literal(b"SELL\"")?;
                Side::Sell
            }
        };
        self.next_key(b"\"hash\":")?;
        let hash = self.hash()?;
        self.next_key(b"\"best_bid\":")?;
        let bid_e4 = self.best()?;
        self.next_key(b"\"best_ask\":")?;
        let ask_e4 = self.best()?;
        self.literal(b"}")?;
        Some(ScannedChange {
            token,
            side,
            level: Level { price_e4, size_e6 },
            touch_e4: (bid_e4, ask_e4),
            hash,
        })
    }

    /// An entry with its keys in any order.
    fn change<S: Tokens>(&mut self, tokens: &S) -> Option<ScannedChange<S::Found>> {
        self.take(b'{')?;
        let mut seen = 0_u16;
        let mut change = ScannedChange {
            token: None,
            side: Side::Buy,
            level: Level::default(),
            touch_e4: (None, None),
            hash: None,
        };
        loop {
            let field = match self.key()? {
                b"asset_id" => {
                    change.token = self.token(tokens)?;
                    ASSET
                }
                b"price" => {
                    change.level.price_e4 = self.price()?;
                    PRICE
                }
                b"size" => {
                    change.level.size_e6 = self.decimal(SIZE_DIGITS)?;
                    SIZE
                }
                b"side" => {
                    change.side = match self.string()? {
                        b"BUY" => Side::Buy,
                        b"SELL" => Side::Sell,
                        _ => return None,
                    };
                    SIDE
                }
                b"hash" => {
                    change.hash = self.hash()?;
                    HASH
                }
                b"best_bid" => {
                    change.touch_e4.0 = self.best()?;
                    BEST_BID
                }
                b"best_ask" => {
                    change.touch_e4.1 = self.best()?;
                    BEST_ASK
                }
                _ => return None,
            };
            if seen & field != 0 {
                return None;
            }
            seen |= field;
            if !self.comma_or(b'}')? {
                break;
            }
        }
        const NEEDED: u16 = ASSET | PRICE | SIZE | SIDE;
        (seen & NEEDED == NEEDED).then_some(change)
    }
}

/// Whether a hash is text that needs no escape.
#[inline]
#[must_use]
pub fn is_plain(hash: &HashText) -> bool {
    let words = hash.chunks_exact(8).filter_map(<[u8]>::first_chunk::<8>);
    words.fold(0, |stops, word| stops | stops_in(u64::from_le_bytes(*word))) == 0
}
