//! Frames of Polymarket's market channel: text in, typed events out, nothing applied.
//!
//! A frame is one JSON object or an array of them. Keys come in any order and extra ones are skipped, so an
//! event is read in one pass into [`WireEvent`], where every field is optional, and then asked for the fields
//! of its type. Strings are borrowed from the frame. Source: reference/polymarket.md §5.2.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::ladder::Level;
use crate::scan::{HashText, is_plain};
use crate::units::{self, PRICE_ONE_E4, Side};

/// Why a frame was refused; nothing of it has been applied.
#[derive(Debug, Error)]
pub enum FrameError {
    /// The bytes are not text.
    #[error("the frame is not UTF-8 text: {0}")]
    NotText(#[from] std::str::Utf8Error),
    /// The text is not JSON, or JSON of another shape.
    #[error("the frame is not a JSON object or array of objects: {0}")]
    NotJson(#[source] serde_json::Error),
    /// A field of a known event is not what it must be.
    #[error("{event_type} event: {cause}")]
    InvalidField {
        /// The venue's name of the event.
        event_type: String,
        /// What was read, and where.
        #[source]
        cause: serde_json::Error,
    },
    /// A field of a known event is absent.
    #[error("{event_type} event has no {field}")]
    MissingField {
        /// The venue's name of the event.
        event_type: &'static str,
        /// The venue's name of the field.
        field: &'static str,
    },
    /// An object that does not say what it is.
    #[error("the frame holds an event without event_type")]
    MissingType,
    /// A resolution in favour of a token the market does not have.
    #[error("market_resolved event: winning_asset_id {token:?} is no token of market {market:?}")]
    ForeignWinner {
        /// Condition id.
        market: String,
        /// The token said to have won.
        token: String,
    },
}

/// Text of the frame, owned only where it contains escapes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

impl std::ops::Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// One level's new aggregate, in its own token's frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LevelChange<'a> {
    /// Outcome token.
    pub token: Text<'a>,
    /// Side of the level.
    pub side: Side,
    /// Price and new size.
    pub level: Level,
    /// The venue's own best bid and ask after it, where it says so: 0 and 1e4 are empty sides.
    pub touch_e4: (Option<u16>, Option<u16>),
    /// Hash of the token's book after it.
    pub hash: Option<HashText>,
}

/// One event of the market channel, in its token's own frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    /// All levels of one token's book.
    Book {
        /// Outcome token.
        token: Text<'a>,
        /// Bids in wire order.
        bids: Vec<Level>,
        /// Asks in wire order.
        asks: Vec<Level>,
        /// Tick in 1e-4, sent at subscription only.
        tick_e4: Option<u16>,
        /// Last trade price in 1e-4, sent at subscription only; the inner None is a market without trades.
        last_trade_e4: Option<Option<u16>>,
        /// Hash of the book.
        hash: Option<HashText>,
        /// Server time.
        server_ms: u64,
    },
    /// New aggregates of some levels.
    PriceChange {
        /// Usually the order's token and its mirror.
        changes: Vec<LevelChange<'a>>,
        /// Server time.
        server_ms: u64,
    },
    /// A trade.
    LastTradePrice {
        /// Outcome token.
        token: Text<'a>,
        /// The aggressor's side.
        side: Side,
        /// Price in 1e-4.
        price_e4: u16,
        /// Size in 1e-6 shares.
        size_e6: u64,
        /// Server time.
        server_ms: u64,
    },
    /// A new tick size.
    TickSizeChange {
        /// Outcome token.
        token: Text<'a>,
        /// Tick in 1e-4.
        tick_e4: u16,
        /// Server time.
        server_ms: u64,
    },
    /// The outcome is decided.
    MarketResolved {
        /// Condition id.
        market: Text<'a>,
        /// Token that pays 1.
        winning_token: Text<'a>,
        /// Server time.
        server_ms: u64,
    },
    /// `best_bid_ask` and `new_market`: known, but they change no book.
    Notice,
    /// An event type this version does not know.
    Unknown,
}

/// Decode a whole frame.
///
/// # Errors
/// When it is not JSON or any known event in it misses a field or has an invalid one.
pub fn decode_frame(frame: &[u8]) -> Result<Vec<Event<'_>>, FrameError> {
    let text = std::str::from_utf8(frame)?;
    match read_wire_events(text) {
        Ok(events) => events.into_iter().map(WireEvent::into_event).collect(),
        Err(error) if error.is_data() => decode_one_by_one(text),
        Err(error) => Err(FrameError::NotJson(error)),
    }
}

/// Decode the books that were asked for: an array of `book` objects, which do not say what they are.
///
/// # Errors
/// When it is not JSON or a book in it misses a field or has an invalid one.
pub fn decode_books(body: &[u8]) -> Result<Vec<Event<'_>>, FrameError> {
    let text = std::str::from_utf8(body)?;
    let events: Vec<WireEvent> = serde_json::from_str(text).map_err(FrameError::NotJson)?;
    events
        .into_iter()
        .map(|event| event.into_event_of(EventType::Book))
        .collect()
}

fn read_wire_events(text: &str) -> serde_json::Result<Vec<WireEvent<'_>>> {
    if is_array(text) {
        serde_json::from_str(text)
    } else {
        serde_json::from_str(text).map(|event| vec![event])
    }
}

fn is_array(text: &str) -> bool {
    text.trim_start().starts_with('[')
}

/// Find the event whose field is wrong and its type; event types that are not ours may hold anything.
fn decode_one_by_one(text: &str) -> Result<Vec<Event<'_>>, FrameError> {
    let raw_events: Vec<&RawValue> = if is_array(text) {
        serde_json::from_str(text).map_err(FrameError::NotJson)?
    } else {
        vec![serde_json::from_str(text).map_err(FrameError::NotJson)?]
    };
    raw_events
        .into_iter()
        .map(|raw| decode_object(raw.get()))
        .collect()
}

fn decode_object(raw: &str) -> Result<Event<'_>, FrameError> {
    let tag: WireTag = serde_json::from_str(raw).map_err(FrameError::NotJson)?;
    let event_type = tag.event_type.ok_or(FrameError::MissingType)?;
    if EventType::of(&event_type) == EventType::Unknown {
        return Ok(Event::Unknown);
    }
    let event: WireEvent = serde_json::from_str(raw).map_err(|cause| FrameError::InvalidField {
        event_type: event_type.0.into_owned(),
        cause,
    })?;
    event.into_event()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum EventType {
    Book,
    PriceChange,
    LastTradePrice,
    TickSizeChange,
    MarketResolved,
    Notice,
    Unknown,
}

impl EventType {
    fn of(event_type: &str) -> Self {
        match event_type {
            "book" => Self::Book,
            "price_change" => Self::PriceChange,
            "last_trade_price" => Self::LastTradePrice,
            "tick_size_change" => Self::TickSizeChange,
            "market_resolved" => Self::MarketResolved,
            "best_bid_ask" | "new_market" => Self::Notice,
            _ => Self::Unknown,
        }
    }
}

#[derive(Deserialize)]
#[serde(expecting = "an event object")]
struct WireTag<'a> {
    #[serde(borrow)]
    event_type: Option<Text<'a>>,
}

/// The union of all events' fields.
#[derive(Deserialize)]
#[serde(expecting = "an event object")]
struct WireEvent<'a> {
    #[serde(borrow)]
    event_type: Option<Text<'a>>,
    #[serde(borrow)]
    market: Option<Text<'a>>,
    #[serde(borrow)]
    asset_id: Option<Text<'a>>,
    timestamp: Option<WireMillis>,
    bids: Option<Vec<WireLevel>>,
    asks: Option<Vec<WireLevel>>,
    tick_size: Option<WireTick>,
    last_trade_price: Option<WireLastTrade>,
    #[serde(borrow)]
    hash: Option<Text<'a>>,
    #[serde(borrow)]
    price_changes: Option<Vec<WireChange<'a>>>,
    price: Option<WirePrice>,
    size: Option<WireSize>,
    side: Option<WireSide>,
    new_tick_size: Option<WireTick>,
    #[serde(borrow)]
    winning_asset_id: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(expecting = "a level object")]
struct WireLevel {
    price: WirePrice,
    size: WireSize,
}

#[derive(Deserialize)]
#[serde(expecting = "a price change object")]
struct WireChange<'a> {
    #[serde(borrow)]
    asset_id: Text<'a>,
    price: WirePrice,
    size: WireSize,
    side: WireSide,
    #[serde(borrow)]
    hash: Option<Text<'a>>,
    best_bid: Option<WireBest>,
    best_ask: Option<WireBest>,
}

impl<'a> WireEvent<'a> {
    fn into_event(self) -> Result<Event<'a>, FrameError> {
        let event_type = EventType::of(self.event_type.as_deref().ok_or(FrameError::MissingType)?);
        self.into_event_of(event_type)
    }

    fn into_event_of(self, event_type: EventType) -> Result<Event<'a>, FrameError> {
        Ok(match event_type {
            EventType::Book => {
                let need = Required("book");
                Event::Book {
                    token: need.field("asset_id", self.asset_id)?,
                    bids: need
                        .field("bids", self.bids)?
                        .into_iter()
                        .map(WireLevel::into_level)
                        .collect(),
                    asks: need
                        .field("asks", self.asks)?
                        .into_iter()
                        .map(WireLevel::into_level)
                        .collect(),
                    tick_e4: self.tick_size.and_then(|tick| tick.0),
                    last_trade_e4: self.last_trade_price.map(|price| price.0),
                    hash: self.hash.as_deref().and_then(hash_text),
                    server_ms: need.field("timestamp", self.timestamp)?.0,
                }
            }
            EventType::PriceChange => {
                let need = Required("price_change");
                let changes = need.field("price_changes", self.price_changes)?;
                Event::PriceChange {
                    changes: changes.into_iter().map(WireChange::into_change).collect(),
                    server_ms: need.field("timestamp", self.timestamp)?.0,
                }
            }
            EventType::LastTradePrice => {
                let need = Required("last_trade_price");
                Event::LastTradePrice {
                    token: need.field("asset_id", self.asset_id)?,
                    side: need.field("side", self.side)?.0,
                    price_e4: need.field("price", self.price)?.0,
                    size_e6: need.field("size", self.size)?.0,
                    server_ms: need.field("timestamp", self.timestamp)?.0,
                }
            }
            EventType::TickSizeChange => {
                let need = Required("tick_size_change");
                Event::TickSizeChange {
                    token: need.field("asset_id", self.asset_id)?,
                    tick_e4: need.field("new_tick_size", self.new_tick_size.and_then(|tick| tick.0))?,
                    server_ms: need.field("timestamp", self.timestamp)?.0,
                }
            }
            EventType::MarketResolved => {
                let need = Required("market_resolved");
                Event::MarketResolved {
                    market: need.field("market", self.market)?,
                    winning_token: need.field("winning_asset_id", self.winning_asset_id)?,
                    server_ms: need.field("timestamp", self.timestamp)?.0,
                }
            }
            EventType::Notice => Event::Notice,
            EventType::Unknown => Event::Unknown,
        })
    }
}

impl WireLevel {
    const fn into_level(self) -> Level {
        Level {
            price_e4: self.price.0,
            size_e6: self.size.0,
        }
    }
}

impl<'a> WireChange<'a> {
    fn into_change(self) -> LevelChange<'a> {
        let level = Level {
            price_e4: self.price.0,
            size_e6: self.size.0,
        };
        LevelChange {
            token: self.asset_id,
            side: self.side.0,
            level,
            touch_e4: (
                self.best_bid.and_then(|price| price.0),
                self.best_ask.and_then(|price| price.0),
            ),
            hash: self.hash.as_deref().and_then(hash_text),
        }
    }
}

/// Asks for the fields of one event type.
struct Required(&'static str);

impl Required {
    fn field<T>(&self, field: &'static str, value: Option<T>) -> Result<T, FrameError> {
        value.ok_or(FrameError::MissingField {
            event_type: self.0,
            field,
        })
    }
}

/// Define a wire type that is read from a JSON string by a function of the text.
macro_rules! wire_text {
    ($name:ident($value:ty), $expecting:literal, $parse:expr) => {
        struct $name($value);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct TextVisitor;

                impl Visitor<'_> for TextVisitor {
                    type Value = $name;

                    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                        formatter.write_str($expecting)
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        $parse(text).map($name).map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(TextVisitor)
            }
        }
    };
}

wire_text!(WirePrice(u16), "a price as text", units::parse_price_e4);
wire_text!(WireSize(u64), "a size as text", units::parse_size_e6);
wire_text!(
    WireTick(Option<u16>),
    "a tick size as text",
    parse_optional_tick_e4
);
wire_text!(
    WireLastTrade(Option<u16>),
    "a price as text",
    parse_optional_price_e4
);
wire_text!(WireBest(Option<u16>), "a best price as text", parse_best_e4);
wire_text!(WireMillis(u64), "milliseconds as text", parse_millis);
wire_text!(WireSide(Side), "\"BUY\" or \"SELL\"", Side::parse);

fn parse_optional_tick_e4(text: &str) -> Result<Option<u16>, units::UnitError> {
    if text.is_empty() {
        Ok(None)
    } else {
        units::parse_tick_e4(text).map(Some)
    }
}

fn parse_optional_price_e4(text: &str) -> Result<Option<u16>, units::UnitError> {
    if text.is_empty() {
        Ok(None)
    } else {
        units::parse_price_e4(text).map(Some)
    }
}

/// A best price: "0" and "1" stand for empty sides, "" for what the venue does not say.
fn parse_best_e4(text: &str) -> Result<Option<u16>, units::UnitError> {
    match text {
        "" => Ok(None),
        "0" => Ok(Some(0)),
        "1" => Ok(Some(PRICE_ONE_E4)),
        text => units::parse_price_e4(text).map(Some),
    }
}

/// A hash as it is written; None for a text that is none.
fn hash_text(text: &str) -> Option<HashText> {
    let hash: HashText = text.as_bytes().try_into().ok()?;
    is_plain(&hash).then_some(hash)
}

fn parse_millis(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| format!("timestamp {text:?} is not whole milliseconds"))
}
