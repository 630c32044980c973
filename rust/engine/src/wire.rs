//! Shapes of the venue's REST and WebSocket messages, and what they mean; every known variant is accepted.
//!
//! Prefixed and plain states, empty decimals, missing keys, null for what is empty; answers to places are read in
//! `places.rs`. Source: polymarket.md §3 and §5. Nothing here panics on any bytes.

use claw_core::engine::{Answer, CancelReport, Event, Evidence, MakerPart, Market, Trade};
use claw_core::limits::Tier;
use claw_core::units::{Side, UnitError, parse_price_e4, parse_size_e6, parse_tick_e4};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// Cursor of the first page.
pub const ZERO_CURSOR: &str = "MA==";
/// Cursor after the last page.
pub const LAST_CURSOR: &str = "LTE=";

/// Seconds of any time are below this, ms above.
const FIRST_MS: u64 = 100_000_000_000;

/// Why a text is not what it should be.
pub type Unreadable = String;

/// One page of a listing.
#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
pub struct Page<T> {
    #[serde(deserialize_with = "or_default")]
    pub data: Vec<T>,
    #[serde(deserialize_with = "or_default")]
    pub next_cursor: String,
}

/// Answer of the key endpoints; erased on drop and never printed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiKey {
    pub api_key: String,
    pub secret: Zeroizing<String>,
    pub passphrase: Zeroizing<String>,
}

/// Answer of GET /v1/user/rate-limit-tier, whose schema is not published: all that counts is the tier's name.
#[derive(Deserialize)]
struct TierRecord {
    tier: String,
}

/// Which tier a signer is in; one that nobody knows is an error, never a guess.
pub fn read_tier(body: &[u8]) -> Result<Tier, Unreadable> {
    let record: TierRecord = read(body, "rate-limit-tier")?;
    Tier::parse(&record.tier)
        .ok_or_else(|| format!("rate-limit-tier: nobody knows the tier {:?}", record.tier))
}

/// One entry of GET /markets.
#[derive(Debug, Deserialize)]
struct MarketRecord {
    condition_id: String,
    market_slug: String,
    tokens: Vec<Token>,
    minimum_order_size: serde_json::Number,
    minimum_tick_size: serde_json::Number,
    #[serde(default)]
    neg_risk: bool,
}

#[derive(Debug, Deserialize)]
struct Token {
    token_id: String,
    outcome: String,
}

/// One entry of GET /data/orders.
#[derive(Debug, Deserialize)]
pub struct OpenOrder {
    pub id: String,
    status: String,
}

/// A trade, from GET /data/trades or the user channel.
#[derive(Debug, Deserialize)]
pub struct TradeRecord {
    id: String,
    market: String,
    status: String,
    #[serde(default, deserialize_with = "or_default")]
    bucket_index: u32,
    /// Unix seconds or ms, as text or as a number.
    #[serde(default, alias = "matchtime")]
    match_time: serde_json::Value,
    #[serde(default, deserialize_with = "or_default")]
    maker_orders: Vec<MakerOrder>,
}

#[derive(Debug, Deserialize)]
struct MakerOrder {
    order_id: String,
    matched_amount: String,
    price: String,
    asset_id: String,
    #[serde(default, deserialize_with = "or_default")]
    side: String,
    #[serde(default, deserialize_with = "or_default")]
    owner: String,
}

#[derive(Debug, Deserialize)]
struct UserOrder {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    status: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Envelope {
    #[serde(default)]
    event_type: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CancelAnswer {
    #[serde(deserialize_with = "or_default")]
    canceled: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    not_canceled: std::collections::BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct HeartbeatAnswer {
    #[serde(deserialize_with = "or_default")]
    heartbeat_id: String,
}

/// Read JSON; `what` names it in the reason.
pub fn read<T: DeserializeOwned>(body: &[u8], what: &str) -> Result<T, Unreadable> {
    serde_json::from_slice(body).map_err(|fault| format!("unreadable {what}: {fault}"))
}

/// A list or a map without entries may come as null.
pub fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(value: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(value)?.unwrap_or_default())
}

/// Answer to every form of cancel.
pub fn read_cancel(body: &[u8]) -> Answer {
    match read::<CancelAnswer>(body, "answer to a cancel") {
        Ok(answer) => Answer::Cancelled(CancelReport {
            cancelled: answer.canceled,
            not_cancelled: answer.not_canceled.into_iter().collect(),
        }),
        Err(reason) => Answer::Failed(reason),
    }
}

/// The venue has not cancelled this order, and says why.
pub fn not_cancelled(order_id: &str, reason: String) -> Answer {
    Answer::Cancelled(CancelReport {
        cancelled: Vec::new(),
        not_cancelled: vec![(order_id.to_owned(), reason)],
    })
}

/// Answer to a look at one order; of one that is over there may be null.
///
/// Source: Polymarket/py-clob-client, issue 217.
pub fn read_order(body: &[u8]) -> Answer {
    match read::<Option<OpenOrder>>(body, "order") {
        Ok(order) => Answer::IsLive(order.is_some_and(|order| order.is_live())),
        Err(reason) => Answer::Failed(reason),
    }
}

/// Answer to a heartbeat, accepted or refused.
pub fn read_heartbeat(body: &[u8], is_accepted: bool) -> Answer {
    match read::<HeartbeatAnswer>(body, "answer to a heartbeat") {
        Ok(answer) => Answer::Heartbeat {
            is_accepted,
            next_id: answer.heartbeat_id,
        },
        Err(reason) => Answer::Failed(reason),
    }
}

impl OpenOrder {
    /// Whether it can still trade; of a status that nobody knows it must be believed.
    pub fn is_live(&self) -> bool {
        let status = self.status.to_ascii_uppercase();
        let status = status.strip_prefix("ORDER_STATUS_").unwrap_or(&status);
        let is_over = matches!(status, "MATCHED" | "INVALID" | "EXPIRED" | "REJECTED");
        !(is_over || status.starts_with("CANCELED") || status.starts_with("CANCELLED"))
    }
}

impl TradeRecord {
    /// Keep our parts, in integers.
    pub fn into_trade(self, api_key: &str) -> Result<Trade, Unreadable> {
        let ours = self.maker_orders.into_iter().filter(|part| part.owner == api_key);
        let parts: Result<_, UnitError> = ours.map(MakerOrder::into_part).collect();
        let status = self.status.to_ascii_uppercase();
        let status = status.strip_prefix("TRADE_STATUS_").unwrap_or(&status);
        let matched = match &self.match_time {
            serde_json::Value::String(text) => text.parse().ok(),
            other => other.as_u64(),
        };
        Ok(Trade {
            bucket_index: self.bucket_index,
            evidence: match status {
                "RETRYING" => Evidence::Retrying,
                "MINED" => Evidence::Mined,
                "CONFIRMED" => Evidence::Confirmed,
                "FAILED" => Evidence::Failed,
                // What is not known to be on the chain is not: "MATCHED", "MATCHED_NOT_BROADCASTED".
                _ => Evidence::Matched,
            },
            matched_ms: matched.map(|at: u64| {
                if at < FIRST_MS {
                    at.saturating_mul(1_000)
                } else {
                    at
                }
            }),
            parts: parts.map_err(|reason| format!("trade {}: {reason}", self.id))?,
            id: self.id,
            market: self.market,
        })
    }
}

impl MakerOrder {
    fn into_part(self) -> Result<MakerPart, UnitError> {
        Ok(MakerPart {
            price_e4: parse_price_e4(&self.price)?,
            size_e6: parse_size_e6(&self.matched_amount)?,
            side: Side::parse(&self.side)?,
            order_id: self.order_id,
            token_id: self.asset_id,
        })
    }
}

/// One page of GET /markets: the binary ones, how many cannot be read, and where the next page begins.
///
/// What cannot be read is nobody's concern until somebody trades in it, and then it is an unknown market.
pub fn read_markets(body: &[u8]) -> Result<(Vec<Market>, usize, String), Unreadable> {
    let page: Page<serde_json::Value> = read(body, "GET /markets")?;
    let (mut markets, mut unreadable) = (Vec::new(), 0);
    for record in page.data {
        let record = serde_json::from_value::<MarketRecord>(record).map_err(|fault| fault.to_string());
        match record.and_then(MarketRecord::into_market) {
            Ok(market) => markets.extend(market),
            Err(_) => unreadable += 1,
        }
    }
    Ok((markets, unreadable, page.next_cursor))
}

impl MarketRecord {
    /// The market, None when it is no binary one with known outcomes.
    fn into_market(self) -> Result<Option<Market>, Unreadable> {
        let is_yes = |token: &Token| matches!(token.outcome.as_str(), "Yes" | "Up");
        let (yes, no): (Vec<Token>, Vec<Token>) = self.tokens.into_iter().partition(is_yes);
        let ([yes], [no]) = (yes.as_slice(), no.as_slice()) else {
            return Ok(None);
        };
        let unreadable = |fault| format!("market {}: {fault}", self.market_slug);
        let underlying = self.market_slug.split('-').next().unwrap_or_default();
        Ok(Some(Market {
            underlying: underlying.to_uppercase(),
            yes_token: yes.token_id.clone(),
            no_token: no.token_id.clone(),
            tick_e4: parse_tick_e4(&self.minimum_tick_size.to_string()).map_err(unreadable)?,
            min_size_e6: parse_size_e6(&self.minimum_order_size.to_string()).map_err(unreadable)?,
            neg_risk: self.neg_risk,
            is_open: false,
            closes_ms: None,
            condition_id: self.condition_id,
            slug: self.market_slug,
        }))
    }
}

/// First frame on the user channel: without `markets` it is about all of them. Holds secrets: never log it.
pub fn user_subscription(key: &ApiKey) -> Zeroizing<String> {
    let [api_key, secret, passphrase] =
        [&key.api_key, &*key.secret, &*key.passphrase].map(|text| quoted(text));
    Zeroizing::new(format!(
        r#"{{"type":"user","auth":{{"apiKey":{},"secret":{},"passphrase":{}}}}}"#,
        *api_key, *secret, *passphrase
    ))
}

/// A JSON string.
pub fn quoted(text: &str) -> Zeroizing<String> {
    Zeroizing::new(serde_json::Value::from(text).to_string())
}

/// Events of a frame of the user channel (object or array); those of unknown type are left out.
pub fn read_user_frame(frame: &[u8], api_key: &str) -> Result<Vec<Event>, Unreadable> {
    let items: Vec<&RawValue> = if frame.trim_ascii_start().starts_with(b"[") {
        serde_json::from_slice(frame)
    } else {
        serde_json::from_slice(frame).map(|item| vec![item])
    }
    .map_err(|fault| format!("user channel: {fault}"))?;
    let mut events = Vec::new();
    for item in items {
        let item = item.get().as_bytes();
        match read::<Envelope>(item, "user event")?.event_type.as_str() {
            "order" => {
                let order: UserOrder = read(item, "order event")?;
                if order.kind == "CANCELLATION" {
                    events.push(Event::OrderCancelled(order.id, order.status.unwrap_or_default()));
                }
            }
            "trade" => {
                let trade: TradeRecord = read(item, "trade event")?;
                events.push(Event::TradeSeen(trade.into_trade(api_key)?));
            }
            _ => {}
        }
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use claw_core::engine::{Answer, Event, Evidence};
    use hyper::StatusCode;
    use hyper::header::HeaderMap;
    use proptest::prelude::*;

    use claw_core::limits::Tier;

    use super::{
        ApiKey, MarketRecord, OpenOrder, Page, TradeRecord, read, read_cancel, read_heartbeat, read_markets,
        read_order, read_tier, read_user_frame, user_subscription,
    };
    use crate::refusal::{cause_of, error_text, ineligibility, read_region};

    const TRADE: &str = r#"{"event_type":"trade","id":"t1","market":"0xc","status":"TRADE_STATUS_MINED",
        "bucket_index":2,"match_time":"1790000000","maker_orders":[
        {"order_id":"0x1","owner":"key","matched_amount":"5.5","price":"0.48","asset_id":"11","side":"BUY"},
        {"order_id":"0x2","owner":"other","matched_amount":"1","price":"0.52","asset_id":"12","side":"SELL"}]}"#;
    const CANCELLATION: &str =
        r#"{"event_type":"order","type":"CANCELLATION","id":"0x1","status":"CANCELED"}"#;

    #[test]
    fn a_tier_that_nobody_knows_is_none() {
        let read = |body: &str| read_tier(body.as_bytes());
        assert_eq!(read(r#"{"tier":"copper","order_rate":60}"#), Ok(Tier::Copper));
        assert_eq!(read(r#"{"tier":"GOLD"}"#), Ok(Tier::Gold));
        for body in [
            r#"{"tier":"mythril"}"#,
            r#"{"tier":5}"#,
            r#"{"level":"gold"}"#,
            "<html>",
            "",
            "[]",
        ] {
            assert!(read(body).is_err(), "{body}");
        }
    }

    #[test]
    fn states_come_with_and_without_their_prefix() {
        for (status, is_live) in [
            ("LIVE", true),
            ("ORDER_STATUS_LIVE", true),
            ("live", true),
            ("DELAYED", true),
            ("a word that nobody knows", true),
            ("ORDER_STATUS_MATCHED", false),
            ("CANCELED_NOT_ENOUGH_BALANCE", false),
            ("ORDER_STATUS_CANCELED_MARKET_RESOLVED", false),
            ("INVALID", false),
        ] {
            let order: OpenOrder =
                read(format!(r#"{{"id":"0x1","status":"{status}"}}"#).as_bytes(), "").unwrap();
            assert_eq!(order.is_live(), is_live);
        }
    }

    #[test]
    fn an_order_that_is_over_is_null_and_what_is_no_order_says_nothing() {
        assert!(matches!(read_order(b"null"), Answer::IsLive(false)));
        for body in ["", "{}", "[]", "<html>"] {
            assert!(matches!(read_order(body.as_bytes()), Answer::Failed(_)), "{body}");
        }
    }

    #[test]
    fn what_is_empty_may_be_null() {
        let nothing = read_cancel(br#"{"canceled":null,"not_canceled":null}"#);
        assert!(
            matches!(nothing, Answer::Cancelled(report) if report.cancelled.is_empty() && report.not_cancelled.is_empty())
        );
        let page: Page<OpenOrder> = read(br#"{"data":null,"next_cursor":null}"#, "").unwrap();
        assert!(page.data.is_empty() && page.next_cursor.is_empty());
        let frame =
            br#"{"event_type":"trade","id":"t","market":"0xc","status":"MATCHED","maker_orders":null}"#;
        let events = read_user_frame(frame, "key").unwrap();
        assert!(matches!(events.as_slice(), [Event::TradeSeen(trade)] if trade.parts.is_empty()));
        assert!(
            read::<Page<OpenOrder>>(br#"{"next_cursor":"LTE="}"#, "").is_err(),
            "absent is not empty"
        );
    }

    #[test]
    fn our_parts_of_a_trade_are_read_in_integers() {
        let events = read_user_frame(format!(" [{TRADE},{CANCELLATION},{{}}]").as_bytes(), "key").unwrap();
        let [Event::TradeSeen(trade), Event::OrderCancelled(order_id, _)] = events.as_slice() else {
            panic!("{events:?}");
        };
        assert_eq!((trade.evidence, trade.bucket_index), (Evidence::Mined, 2));
        assert_eq!(trade.matched_ms, Some(1_790_000_000_000));
        let in_ms = TRADE.replace(r#""1790000000""#, "1790000000123");
        let events = read_user_frame(in_ms.as_bytes(), "key").unwrap();
        assert!(
            matches!(events.as_slice(), [Event::TradeSeen(trade)] if trade.matched_ms == Some(1_790_000_000_123))
        );
        assert!(trade.parts.len() == 1 && order_id == "0x1");
        assert_eq!(
            (trade.parts[0].size_e6, trade.parts[0].price_e4),
            (5_500_000, 4_800)
        );
    }

    #[test]
    fn a_market_has_its_grid_and_its_two_tokens() {
        let body = r#"{"condition_id":"0xc","market_slug":"btc-updown","minimum_order_size":5,"minimum_tick_size":0.01,
            "tokens":[{"token_id":"11","outcome":"Up"},{"token_id":"12","outcome":"Down"}],"neg_risk":true}"#;
        let market = read::<MarketRecord>(body.as_bytes(), "")
            .unwrap()
            .into_market()
            .unwrap()
            .unwrap();
        assert_eq!(
            (market.tick_e4, market.min_size_e6, market.underlying.as_str()),
            (100, 5_000_000, "BTC")
        );
        assert_eq!(
            (market.yes_token.as_str(), market.no_token.as_str()),
            ("11", "12")
        );
        assert_eq!(
            read::<MarketRecord>(body.replace("Up", "Maybe").as_bytes(), "")
                .unwrap()
                .into_market(),
            Ok(None)
        );
    }

    #[test]
    fn what_cannot_be_read_of_others_stands_in_nobodys_way() {
        let good = r#"{"condition_id":"0xc","market_slug":"a","minimum_order_size":5,"minimum_tick_size":0.01,
            "tokens":[{"token_id":"11","outcome":"Yes"},{"token_id":"12","outcome":"No"}]}"#;
        let odd = good.replace("0.01", "0");
        let body = format!(r#"{{"data":[{odd},{good},{{"slug":7}}],"next_cursor":"LTE="}}"#);
        let (markets, unreadable, cursor) = read_markets(body.as_bytes()).unwrap();
        assert_eq!((markets.len(), unreadable, cursor.as_str()), (1, 2, "LTE="));
        assert!(read_markets(b"<html>").is_err());
        let others = TRADE.replace("SELL", "");
        let events = read_user_frame(others.as_bytes(), "key").unwrap();
        assert!(matches!(events.as_slice(), [Event::TradeSeen(trade)] if trade.parts.len() == 1));
        let ours = TRADE.replace("BUY", "");
        assert!(
            read_user_frame(ours.as_bytes(), "key").is_err(),
            "our own part is never guessed"
        );
    }

    #[test]
    fn the_user_subscription_carries_the_key_and_names_no_market() {
        let key: ApiKey = read(br#"{"apiKey":"id","secret":"hu\"sh","passphrase":"quiet"}"#, "").unwrap();
        let expected = r#"{"type":"user","auth":{"apiKey":"id","secret":"hu\"sh","passphrase":"quiet"}}"#;
        assert_eq!(user_subscription(&key).as_str(), expected);
    }

    proptest! {
        #[test]
        fn no_bytes_of_the_venue_panic(noise in prop::collection::vec(any::<u8>(), 0..60), at in 0..400_usize) {
            let whole = format!("[{TRADE},{CANCELLATION}]").into_bytes();
            let at = at.min(whole.len());
            let rest = whole.get(at + noise.len()..).unwrap_or_default();
            for body in [&noise[..], &whole[..at], &[&whole[..at], &noise, rest].concat()] {
                let _ = read_user_frame(body, "key");
                let _ = (read_cancel(body), read_order(body));
                let _ = (read_heartbeat(body, true), error_text(body), read_region(body));
                let status = StatusCode::from_u16(200 + u16::try_from(at).unwrap()).unwrap();
                let _ = (cause_of(status, &HeaderMap::new(), body), ineligibility(status, body));
                let _ = read::<Page<TradeRecord>>(body, "trades");
                let _ = read::<MarketRecord>(body, "market").map(MarketRecord::into_market);
            }
        }
    }
}
