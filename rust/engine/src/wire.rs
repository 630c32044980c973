//! Shapes of the venue's REST and WebSocket messages, and what they mean; every known variant is accepted.
//!
//! Prefixed and plain states, empty decimals, missing keys, `success: true` beside an error text. Source:
//! polymarket.md §3 and §5. Nothing here panics on any bytes.

use claw_core::engine::{Answer, CancelReport, Event, Evidence, MakerPart, Market, PlaceResult, Trade};
use claw_core::limits::Tier;
use claw_core::units::{Side, parse_price_e4, parse_size_e6, parse_tick_e4};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::refusal::is_ineligible;

/// Cursor of the first page.
pub const ZERO_CURSOR: &str = "MA==";
/// Cursor after the last page.
pub const LAST_CURSOR: &str = "LTE=";

/// Why a text is not what it should be.
pub type Unreadable = String;

/// One page of a listing.
#[derive(Debug, Deserialize)]
pub struct Page<T> {
    pub data: Vec<T>,
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
pub struct MarketRecord {
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
    #[serde(default)]
    bucket_index: u32,
    /// Unix seconds, as text or as a number.
    #[serde(default, alias = "matchtime")]
    match_time: serde_json::Value,
    #[serde(default)]
    maker_orders: Vec<MakerOrder>,
}

#[derive(Debug, Deserialize)]
struct MakerOrder {
    order_id: String,
    matched_amount: String,
    price: String,
    asset_id: String,
    side: Side,
    #[serde(default)]
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
#[serde(default, rename_all = "camelCase")]
struct OrderAnswer {
    success: bool,
    error_msg: String,
    #[serde(rename = "orderID")]
    order_id: String,
    status: String,
    error: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CancelAnswer {
    canceled: Vec<String>,
    not_canceled: std::collections::BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct HeartbeatAnswer {
    heartbeat_id: String,
}

/// Read JSON; `what` names it in the reason.
pub fn read<T: DeserializeOwned>(body: &[u8], what: &str) -> Result<T, Unreadable> {
    serde_json::from_slice(body).map_err(|fault| format!("unreadable {what}: {fault}"))
}

/// Answer to `count` placed orders.
pub fn read_places(body: &[u8], count: usize) -> Answer {
    let legs = if count == 1 {
        read::<OrderAnswer>(body, "answer to a place").map(|leg| vec![leg])
    } else {
        read::<Vec<OrderAnswer>>(body, "answer to places")
    };
    let legs = match legs {
        Ok(legs) if legs.len() == count => legs,
        Ok(legs) => return Answer::Failed(format!("{} answers to {count} places", legs.len())),
        Err(reason) => return Answer::Failed(reason),
    };
    let results: Vec<PlaceResult> = legs.into_iter().map(read_leg).collect();
    let ineligible =
        |result: &PlaceResult| matches!(result, PlaceResult::Refused(reason) if is_ineligible(reason));
    match results.first() {
        Some(PlaceResult::Refused(reason)) if results.iter().all(ineligible) => {
            Answer::Ineligible(reason.clone())
        }
        _ => Answer::Placed(results),
    }
}

/// Accepted only if every field says so.
fn read_leg(leg: OrderAnswer) -> PlaceResult {
    let is_placed = matches!(leg.status.as_str(), "live" | "matched" | "delayed" | "unmatched");
    let has_error = !leg.error_msg.is_empty() || !leg.error.is_empty();
    if leg.success && is_placed && !has_error && !leg.order_id.is_empty() {
        return PlaceResult::Accepted;
    }
    let reasons = [leg.error_msg, leg.error, format!("status {:?}", leg.status)];
    PlaceResult::Refused(
        reasons
            .into_iter()
            .find(|reason| !reason.is_empty())
            .unwrap_or_default(),
    )
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

/// Answer to a look at one order.
pub fn read_order(body: &[u8]) -> Answer {
    match read::<OpenOrder>(body, "order") {
        Ok(order) => Answer::IsLive(order.is_live()),
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
    /// Whether it can still trade.
    pub fn is_live(&self) -> bool {
        let status = self.status.strip_prefix("ORDER_STATUS_").unwrap_or(&self.status);
        matches!(status, "LIVE" | "DELAYED" | "UNMATCHED")
    }
}

impl TradeRecord {
    /// Keep our parts, in integers.
    pub fn into_trade(self, api_key: &str) -> Result<Trade, Unreadable> {
        let ours = self.maker_orders.into_iter().filter(|part| part.owner == api_key);
        let parts = ours.map(|part| {
            Ok(MakerPart {
                price_e4: parse_price_e4(&part.price)?,
                size_e6: parse_size_e6(&part.matched_amount)?,
                order_id: part.order_id,
                token_id: part.asset_id,
                side: part.side,
            })
        });
        let parts: Result<_, claw_core::units::UnitError> = parts.collect();
        let status = self.status.strip_prefix("TRADE_STATUS_").unwrap_or(&self.status);
        let matched_s = match &self.match_time {
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
            matched_ms: matched_s.map(|seconds: u64| seconds.saturating_mul(1_000)),
            parts: parts.map_err(|fault| format!("trade {}: {fault}", self.id))?,
            id: self.id,
            market: self.market,
        })
    }
}

impl MarketRecord {
    /// The market, None when it is no binary one with known outcomes.
    pub fn into_market(self) -> Result<Option<Market>, Unreadable> {
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

/// First frame on the user channel (all markets). Holds secrets: never log it.
pub fn user_subscription(key: &ApiKey) -> Zeroizing<String> {
    let [api_key, secret, passphrase] =
        [&key.api_key, &*key.secret, &*key.passphrase].map(|text| quoted(text));
    Zeroizing::new(format!(
        r#"{{"type":"user","auth":{{"apiKey":{},"secret":{},"passphrase":{}}},"markets":[]}}"#,
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
    use claw_core::engine::{Answer, Event, Evidence, PlaceResult};
    use hyper::StatusCode;
    use hyper::header::HeaderMap;
    use proptest::prelude::*;

    use claw_core::limits::Tier;

    use super::{
        ApiKey, MarketRecord, OpenOrder, Page, TradeRecord, read, read_cancel, read_heartbeat, read_order,
        read_places, read_tier, read_user_frame, user_subscription,
    };
    use crate::refusal::{cause_of, error_text, ineligibility, read_region};

    const TRADE: &str = r#"{"event_type":"trade","id":"t1","market":"0xc","status":"TRADE_STATUS_MINED",
        "bucket_index":2,"match_time":"1790000000","maker_orders":[
        {"order_id":"0x1","owner":"key","matched_amount":"5.5","price":"0.48","asset_id":"11","side":"BUY"},
        {"order_id":"0x2","owner":"other","matched_amount":"1","price":"0.52","asset_id":"12","side":"SELL"}]}"#;
    const CANCELLATION: &str =
        r#"{"event_type":"order","type":"CANCELLATION","id":"0x1","status":"CANCELED"}"#;

    fn leg(fields: &str) -> String {
        format!(r#"{{"orderID":"0x1","makingAmount":"",{fields}}}"#)
    }

    #[test]
    fn a_place_is_accepted_only_if_every_field_says_so() {
        for status in ["live", "matched", "delayed", "unmatched"] {
            let body = leg(&format!(r#""success":true,"errorMsg":"","status":"{status}""#));
            assert!(
                matches!(read_places(body.as_bytes(), 1), Answer::Placed(results) if results == [PlaceResult::Accepted])
            );
        }
        let refused = [
            (
                r#""success":true,"errorMsg":"crosses book","status":"live""#,
                "crosses book",
            ),
            (
                r#""success":false,"errorMsg":"not enough balance","status":"""#,
                "not enough balance",
            ),
            (r#""success":true,"error":"disabled","status":"live""#, "disabled"),
            (r#""success":false,"status":"live""#, "status \"live\""),
            (r#""success":true,"status":"rejected""#, "status \"rejected\""),
        ];
        for (fields, reason) in refused {
            let Answer::Placed(results) = read_places(leg(fields).as_bytes(), 1) else {
                panic!("{fields}");
            };
            assert_eq!(results, [PlaceResult::Refused(reason.to_owned())]);
        }
    }

    #[test]
    fn a_batch_that_is_not_answered_leg_by_leg_is_unknown() {
        let one = format!("[{}]", leg(r#""success":true,"status":"live""#));
        assert!(matches!(read_places(one.as_bytes(), 2), Answer::Failed(_)));
        assert!(matches!(read_places(b"<html>", 1), Answer::Failed(_)));
    }

    #[test]
    fn a_refused_account_is_told_from_a_refused_order() {
        let body = leg(r#""success":false,"errorMsg":"'0xa' address in closed only mode""#);
        assert!(matches!(read_places(body.as_bytes(), 1), Answer::Ineligible(_)));
    }

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
            ("ORDER_STATUS_MATCHED", false),
        ] {
            let order: OpenOrder =
                read(format!(r#"{{"id":"0x1","status":"{status}"}}"#).as_bytes(), "").unwrap();
            assert_eq!(order.is_live(), is_live);
        }
    }

    #[test]
    fn our_parts_of_a_trade_are_read_in_integers() {
        let events = read_user_frame(format!(" [{TRADE},{CANCELLATION},{{}}]").as_bytes(), "key").unwrap();
        let [Event::TradeSeen(trade), Event::OrderCancelled(order_id, _)] = events.as_slice() else {
            panic!("{events:?}");
        };
        assert_eq!((trade.evidence, trade.bucket_index), (Evidence::Mined, 2));
        assert_eq!(trade.matched_ms, Some(1_790_000_000_000));
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
    fn the_user_subscription_carries_the_key_and_no_market() {
        let key: ApiKey = read(br#"{"apiKey":"id","secret":"hu\"sh","passphrase":"quiet"}"#, "").unwrap();
        let expected =
            r#"{"type":"user","auth":{"apiKey":"id","secret":"hu\"sh","passphrase":"quiet"},"markets":[]}"#;
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
                let _ = (read_places(body, 1), read_places(body, 2), read_cancel(body), read_order(body));
                let _ = (read_heartbeat(body, true), error_text(body), read_region(body));
                let status = StatusCode::from_u16(200 + u16::try_from(at).unwrap()).unwrap();
                let _ = (cause_of(status, &HeaderMap::new(), body), ineligibility(status, body));
                let _ = read::<Page<TradeRecord>>(body, "trades");
                let _ = read::<MarketRecord>(body, "market").map(MarketRecord::into_market);
            }
        }
    }
}
