//! Shapes of the venue's REST and WebSocket messages, and what they mean; every known variant is accepted.
//!
//! Prefixed and plain states, empty decimals, missing keys, `success: true` beside an error text. Source:
//! polymarket.md §3 and §5. Nothing here panics on any bytes.

use claw_core::engine::{
    Answer, CancelReport, Cause, Event, Evidence, MakerPart, Market, PlaceResult, Trade,
};
use claw_core::units::{Side, parse_price_e4, parse_size_e6, parse_tick_e4};
use hyper::StatusCode;
use hyper::header::{HeaderMap, RETRY_AFTER};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// Cursor of the first page.
pub const ZERO_CURSOR: &str = "MA==";
/// Cursor after the last page.
pub const LAST_CURSOR: &str = "LTE=";

const INELIGIBLE: [&str; 3] = ["restricted in your region", "address banned", "closed only mode"];
/// What a page of the CDN says when it is the region that is refused, and not this address.
const REGION_PAGE: [&str; 4] = [
    "error code: 1009",
    "country or region",
    "in your region",
    "in your country",
];
const SHOWN_CHARS: usize = 120;
const NS_PER_S: f64 = 1e9;

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

#[derive(Debug, Deserialize)]
struct RegionAnswer {
    blocked: bool,
    #[serde(rename = "ip")]
    _ip: String,
    country: String,
    #[serde(rename = "region")]
    _region: String,
}

#[derive(Debug, Deserialize)]
struct ErrorAnswer {
    error: String,
}

/// Read JSON; `what` names it in the reason.
pub fn read<T: DeserializeOwned>(body: &[u8], what: &str) -> Result<T, Unreadable> {
    serde_json::from_slice(body).map_err(|fault| format!("unreadable {what}: {fault}"))
}

/// The error text of an answer, or its beginning where it is not the venue's own.
pub fn error_text(body: &[u8]) -> String {
    match serde_json::from_slice::<ErrorAnswer>(body) {
        Ok(answer) => answer.error,
        Err(_) => String::from_utf8_lossy(body).chars().take(SHOWN_CHARS).collect(),
    }
}

/// Whether the venue refuses this region or account.
fn is_ineligible(text: &str) -> bool {
    INELIGIBLE.iter().any(|words| text.contains(words))
}

/// Why this region or account is refused, if it is.
///
/// 451 and a 403 in the venue's own words always say so, known words or not: a person must look. Of the CDN's pages
/// those do that name the region.
pub fn ineligibility(status: StatusCode, body: &[u8]) -> Option<String> {
    let text = error_text(body);
    if is_ineligible(&text) || status == StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS {
        return Some(text);
    }
    if status != StatusCode::FORBIDDEN {
        return None;
    }
    if serde_json::from_slice::<ErrorAnswer>(body).is_ok() {
        return Some(text);
    }
    let page = String::from_utf8_lossy(body).to_lowercase();
    let words = REGION_PAGE.iter().find(|words| page.contains(*words))?;
    Some(format!("a page that says {words:?}"))
}

/// What an answer says of the way to the venue, and of the venue's mode; None when nothing.
pub fn cause_of(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Option<Cause> {
    let text = error_text(body);
    let wait_ns = || {
        let header = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let seconds: f64 = header?.trim().parse().ok()?;
        (seconds.is_finite() && seconds >= 0.0).then_some((seconds * NS_PER_S) as u64)
    };
    match status.as_u16() {
        403 if ineligibility(status, body).is_none() => Some(Cause::CdnPage),
        407 | 502 | 504 | 520..=527 => Some(Cause::Transport(format!("answer {}", status.as_u16()))),
        425 => Some(Cause::Restarting),
        429 => Some(Cause::Throttled(wait_ns())),
        503 if text.contains("post-only") => Some(Cause::PostOnly(wait_ns())),
        503 if text.contains("cancel-only") => Some(Cause::CancelOnly),
        503 if text.contains("disabled") => Some(Cause::Disabled),
        503 => Some(Cause::Throttled(wait_ns())),
        _ => None,
    }
}

/// What the venue says of where a question came from.
#[derive(Debug)]
pub struct Region {
    pub blocked: bool,
    pub country: String,
}

/// Answer to a question about the region; every field must be there.
pub fn read_region(body: &[u8]) -> Result<Region, String> {
    let answer = read::<RegionAnswer>(body, "answer about the region")?;
    Ok(Region {
        blocked: answer.blocked,
        country: answer.country,
    })
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
    use claw_core::engine::{Answer, Cause, Event, Evidence, PlaceResult};
    use hyper::StatusCode;
    use hyper::header::{HeaderMap, HeaderValue, RETRY_AFTER};
    use proptest::prelude::*;

    use super::{
        ApiKey, MarketRecord, OpenOrder, Page, TradeRecord, cause_of, error_text, ineligibility, read,
        read_cancel, read_heartbeat, read_order, read_places, read_region, read_user_frame,
        user_subscription,
    };

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
    fn every_refusal_has_its_cause() {
        let page = "<!DOCTYPE html><html><head><title>Attention Required! | Cloudflare</title></head></html>";
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static("79"));
        let known = [
            (403, page, Some(Cause::CdnPage)),
            (403, r#"{"error":"Trading restricted in your region"}"#, None),
            (407, "", Some(Cause::Transport("answer 407".to_owned()))),
            (502, page, Some(Cause::Transport("answer 502".to_owned()))),
            (425, r#"{"error":"restarting"}"#, Some(Cause::Restarting)),
            (
                429,
                r#"{"error":"Too Many Requests"}"#,
                Some(Cause::Throttled(Some(79_000_000_000))),
            ),
            (
                503,
                r#"{"error":"post-only mode: only post-only orders and cancels are allowed","code":"post_only_mode"}"#,
                Some(Cause::PostOnly(Some(79_000_000_000))),
            ),
            (
                503,
                r#"{"error":"Trading is currently cancel-only. New orders are not accepted, but cancels are allowed."}"#,
                Some(Cause::CancelOnly),
            ),
            (
                503,
                r#"{"error":"Trading is currently disabled. Check polymarket.com for updates"}"#,
                Some(Cause::Disabled),
            ),
            (
                400,
                r#"{"error":"invalid post-only order: order crosses book"}"#,
                None,
            ),
            (200, "{}", None),
        ];
        for (status, body, cause) in known {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(
                cause_of(status, &headers, body.as_bytes()),
                cause,
                "{status} {body}"
            );
        }
    }

    #[test]
    fn a_refused_region_is_never_taken_for_a_flagged_address() {
        let refused = [
            (403, r#"{"error":"Trading restricted in your region"}"#),
            (403, r#"{"error":"words that nobody knows"}"#),
            (400, r#"{"error":"'0xa' address banned"}"#),
            (451, "<html></html>"),
            (
                403,
                "<html>Error code: 1009 The owner has banned the country or region</html>",
            ),
            (403, "<html>This page is not available in your country</html>"),
        ];
        for (status, body) in refused {
            let status = StatusCode::from_u16(status).unwrap();
            assert!(ineligibility(status, body.as_bytes()).is_some(), "{body}");
            assert_ne!(
                cause_of(status, &HeaderMap::new(), body.as_bytes()),
                Some(Cause::CdnPage)
            );
        }
        let page = b"<html>Sorry, you have been blocked</html>";
        assert_eq!(ineligibility(StatusCode::FORBIDDEN, page), None);
        assert_eq!(
            ineligibility(StatusCode::BAD_REQUEST, b"{\"error\":\"Invalid side\"}"),
            None
        );
    }

    #[test]
    fn a_region_is_open_only_if_every_field_is_there() {
        let open = br#"{"blocked":false,"ip":"127.0.0.1","country":"NL","region":"NH"}"#;
        let region = read_region(open).unwrap();
        assert_eq!((region.blocked, region.country.as_str()), (false, "NL"));
        assert!(read_region(br#"{"blocked":false}"#).is_err());
        assert!(read_region(b"<html>").is_err());
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
