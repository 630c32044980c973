//! Requests of the state machine over the venue's REST interface, and its answers back.
//!
//! Cancels, places and everything else have connections of their own: a cancel never waits behind a place.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use claw_core::engine::{Answer, BucketReport, Cause, Request, VenueClock};
use claw_core::limits::{BucketName, Tier};
use claw_core::order::body::{BodyError, cancel_order_body, cancel_orders_body, orders_body};
use claw_core::order::headers::RequestSigner;
use claw_core::order::hmac::Credentials;
use hyper::header::HeaderMap;
use hyper::{Method, StatusCode};
use serde::de::DeserializeOwned;

use crate::clock;
use crate::declared_routes::Routes;
use crate::fault::Fault;
use crate::http::{Connections, Exchange, Incoming, Lane, Lost, Outgoing};
use crate::kept_clock::KeptClock;
use crate::places::{read_places, refuse_all};
use crate::refusal::{self, Region};
use crate::wire::{self, LAST_CURSOR, OpenOrder, Page, TradeRecord, ZERO_CURSOR};

const PLACE_TIMEOUT: Duration = Duration::from_millis(2_000);
const REQUEST_TIMEOUT: Duration = Duration::from_millis(1_500);
const MAX_PAGES: usize = 1_000;

/// One request without credentials, or with those in its headers.
pub async fn open_request(
    connections: &Connections,
    method: Method,
    target: String,
    headers: HeaderMap,
) -> Result<Incoming, String> {
    let outgoing = Outgoing {
        method,
        target,
        headers,
        body: Vec::new(),
    };
    let (answer, _) = connections
        .exchange(Lane::Others, outgoing, REQUEST_TIMEOUT)
        .await;
    answer.map_err(reason)
}

/// Where the venue says whether a region may trade: another host than its API.
pub struct RegionDesk {
    /// Over the host's own address, whatever was declared.
    pub own: Connections,
    /// Over the declared route in use.
    pub routed: Connections,
    pub routes: Rc<Routes>,
    pub target: String,
}

impl RegionDesk {
    /// A route that is no proxy is the host's own address: asked once.
    async fn ask(&self) -> Result<Answer, String> {
        let own = self.ask_over(&self.own).await?;
        if own.blocked || self.routes.proxy().is_none() {
            return Ok(Answer::Region(own.blocked));
        }
        let routed = self.ask_over(&self.routed).await;
        let routed = routed.map_err(|reason| format!("over {}: {reason}", self.routes.name()))?;
        Ok(self.routes.judge(&own, &routed))
    }

    async fn ask_over(&self, connections: &Connections) -> Result<Region, String> {
        let target = self.target.clone();
        let incoming = open_request(connections, Method::GET, target, HeaderMap::new()).await?;
        if incoming.status != StatusCode::OK {
            return Err(format!("the answer is {}", incoming.status.as_u16()));
        }
        refusal::read_region(&incoming.body)
    }
}

/// One account's session with the venue.
pub struct Venue {
    connections: Rc<Connections>,
    /// None where nobody asks.
    region: Option<RegionDesk>,
    signer: RequestSigner,
    clock: KeptClock,
}

/// What came of one request.
pub struct Outcome {
    pub answer: Answer,
    /// When the last byte of the request was on the socket.
    pub sent_ns: Option<u64>,
    /// What the venue said of its buckets.
    pub bucket: Option<(BucketName, BucketReport)>,
    /// What the request met, with the generation of its connection.
    pub fault: Option<(u64, Cause)>,
}

impl From<Answer> for Outcome {
    fn from(answer: Answer) -> Self {
        Self {
            answer,
            sent_ns: None,
            bucket: None,
            fault: None,
        }
    }
}

impl Venue {
    /// A session under an API key of `address`.
    pub fn new(
        connections: Rc<Connections>,
        region: Option<RegionDesk>,
        credentials: Credentials,
        address: &str,
        clock: VenueClock,
    ) -> Result<Self, Fault> {
        let signer =
            RequestSigner::new(address, credentials).map_err(|fault| Fault::Crash(fault.to_string()))?;
        Ok(Self {
            connections,
            region,
            signer,
            clock: KeptClock::new(clock),
        })
    }

    /// Carry out one request; a place is sent at most once.
    pub async fn carry_out(&self, request: Request) -> Outcome {
        let generation = self.connections.generation();
        let met = RefCell::default();
        let mut outcome = self.ask(request, &met).await;
        outcome.fault = met.take().map(|cause| (generation, cause));
        outcome
    }

    /// Ask what time it is; the clock that requests are signed by from here on, if that has changed.
    pub async fn keep_time(&self) -> Option<VenueClock> {
        let (target, asked_ns) = ("/time".to_owned(), clock::now_ns());
        let asked = open_request(&self.connections, Method::GET, target, HeaderMap::new());
        let incoming = asked
            .await
            .ok()
            .filter(|incoming| incoming.status == StatusCode::OK)?;
        let venue_s = wire::read(&incoming.body, "GET /time").ok()?;
        self.clock.compare(venue_s, asked_ns, clock::now_ns())
    }

    /// The signer's tier by the venue's word, before any answer has named it.
    pub async fn tier(&self) -> Result<Tier, Refusal> {
        let path = "/v1/user/rate-limit-tier";
        let call = Call::of(Lane::Others, Method::GET, path, Vec::new());
        let (answer, _) = self.exchange(call, REQUEST_TIMEOUT, &Met::default()).await;
        let incoming = accepted(answer, "GET", path)?;
        wire::read_tier(&incoming.body).map_err(Refusal::Failed)
    }

    async fn ask(&self, request: Request, met: &Met) -> Outcome {
        match request {
            Request::Place(orders) => {
                let (order_ids, bodies): (Vec<String>, Vec<Vec<u8>>) = orders
                    .into_iter()
                    .map(|order| (order.order_id, order.body))
                    .unzip();
                self.place(&order_ids, &bodies, met).await
            }
            Request::Cancel(order_ids) => match cancel_call(&order_ids) {
                Ok((path, body)) => self.cancel(path, body, &order_ids, met).await,
                Err(fault) => Answer::Failed(fault.to_string()).into(),
            },
            Request::CancelAll => self.cancel("/cancel-all", Vec::new(), &[], met).await,
            Request::ListOrders => {
                let pages = self.pages::<OpenOrder>("/data/orders", "", met).await;
                let live = |orders: Vec<OpenOrder>| {
                    let live = orders.into_iter().filter(OpenOrder::is_live);
                    Answer::Orders(live.map(|order| order.id).collect())
                };
                pages.map_or_else(Answer::from, live).into()
            }
            Request::LookUp(order_id) => self.look_up(&order_id, met).await.into(),
            Request::ListTrades(after_s) => match self.trades(after_s, met).await {
                Ok(trades) => self.read_trades(trades).into(),
                Err(refusal) => Answer::from(refusal).into(),
            },
            Request::Heartbeat(id) => self.heartbeat(&id, met).await.into(),
            Request::AskRegion => self.ask_region().await.into(),
        }
    }

    async fn place(&self, order_ids: &[String], bodies: &[Vec<u8>], met: &Met) -> Outcome {
        let (path, body) = match bodies {
            [single] => ("/order", Ok(single.clone())),
            many => ("/orders", orders_body(many)),
        };
        let body = match body {
            Ok(body) => body,
            Err(fault) => return refuse_all(&fault.to_string(), bodies.len()).into(),
        };
        let call = Call::of(Lane::Places, Method::POST, path, body);
        let (answer, sent_ns) = self.exchange(call, PLACE_TIMEOUT, met).await;
        let mut outcome: Outcome = match &answer {
            Err(Lost::Unsent(reason)) => refuse_all(&format!("not sent: {reason}"), bodies.len()),
            Err(Lost::Unknown(reason)) => Answer::Failed(reason.clone()),
            Ok(incoming) => read_places(incoming.status, &incoming.body, order_ids),
        }
        .into();
        outcome.sent_ns = sent_ns;
        outcome.bucket = answer
            .ok()
            .and_then(|incoming| bucket_report(BucketName::Orders, &incoming));
        outcome
    }

    async fn cancel(&self, path: &'static str, body: Vec<u8>, order_ids: &[String], met: &Met) -> Outcome {
        let call = Call::of(Lane::Cancels, Method::DELETE, path, body);
        let (answer, sent_ns) = self.exchange(call, REQUEST_TIMEOUT, met).await;
        let bucket = answer
            .as_ref()
            .ok()
            .and_then(|incoming| bucket_report(BucketName::Cancels, incoming));
        let answer = match (answer, order_ids) {
            (Ok(incoming), [single]) if refusal::is_order_denied(incoming.status, &incoming.body) => {
                wire::not_cancelled(single, refusal::error_text(&incoming.body))
            }
            (answer, _) => match accepted(answer, "DELETE", path) {
                Ok(incoming) => wire::read_cancel(&incoming.body),
                Err(refusal) => refusal.into(),
            },
        };
        Outcome {
            answer,
            sent_ns,
            bucket,
            fault: None,
        }
    }

    async fn look_up(&self, order_id: &str, met: &Met) -> Answer {
        let path = format!("/data/order/{order_id}");
        let call = Call::of(Lane::Others, Method::GET, &path, Vec::new());
        let (answer, _) = self.exchange(call, REQUEST_TIMEOUT, met).await;
        if answer
            .as_ref()
            .is_ok_and(|incoming| refusal::is_order_denied(incoming.status, &incoming.body))
        {
            return Answer::IsLive(false);
        }
        match accepted(answer, "GET", "/data/order") {
            Ok(incoming) => wire::read_order(&incoming.body),
            Err(refusal) => refusal.into(),
        }
    }

    async fn heartbeat(&self, id: &str, met: &Met) -> Answer {
        let body = format!(r#"{{"heartbeat_id":{}}}"#, *wire::quoted(id)).into_bytes();
        let path = "/v1/heartbeats";
        let call = Call::of(Lane::Others, Method::POST, path, body);
        let (answer, _) = self.exchange(call, REQUEST_TIMEOUT, met).await;
        match answer {
            Ok(incoming) if refusal::is_beat_refused(incoming.status, &incoming.body) => {
                wire::read_heartbeat(&incoming.body, false)
            }
            other => match accepted(other, "POST", path) {
                Ok(incoming) => wire::read_heartbeat(&incoming.body, true),
                Err(refusal) => refusal.into(),
            },
        }
    }

    fn read_trades(&self, trades: Vec<TradeRecord>) -> Answer {
        let trades = trades
            .into_iter()
            .map(|trade| trade.into_trade(self.signer.api_key()));
        let trades: Result<Vec<_>, _> = trades.collect();
        trades.map_or_else(Answer::Failed, Answer::Trades)
    }

    async fn trades(&self, after_s: Option<u64>, met: &Met) -> Result<Vec<TradeRecord>, Refusal> {
        let filter = after_s.map_or_else(String::new, |after_s| format!("&after={after_s}"));
        self.pages("/data/trades", &filter, met).await
    }

    /// Every entry of a listing; `filter` follows the cursor in the query.
    async fn pages<T: DeserializeOwned>(
        &self,
        path: &'static str,
        filter: &str,
        met: &Met,
    ) -> Result<Vec<T>, Refusal> {
        let mut entries = Vec::new();
        let mut cursor = ZERO_CURSOR.to_owned();
        for _ in 0..MAX_PAGES {
            let query = cursor_query(&cursor) + filter;
            let call = Call {
                query: &query,
                ..Call::of(Lane::Others, Method::GET, path, Vec::new())
            };
            let (answer, _) = self.exchange(call, REQUEST_TIMEOUT, met).await;
            let incoming = accepted(answer, "GET", path)?;
            let page: Page<T> = wire::read(&incoming.body, path).map_err(Refusal::Failed)?;
            entries.extend(page.data);
            cursor = page.next_cursor;
            if cursor == LAST_CURSOR || cursor.is_empty() {
                return Ok(entries);
            }
        }
        Err(Refusal::Failed(format!("GET {path} has no last page")))
    }

    async fn ask_region(&self) -> Answer {
        let Some(desk) = &self.region else {
            return Answer::Failed("this process has nobody to ask for its region".to_owned());
        };
        desk.ask().await.unwrap_or_else(Answer::Failed)
    }

    /// One request signed for the account; the signature covers the path without the query.
    async fn exchange(&self, call: Call<'_>, limit: Duration, met: &Met) -> Exchange {
        let timestamp_s = self.clock.venue_ms(clock::now_ns()) / 1_000;
        let headers = self
            .signer
            .headers(timestamp_s, &call.method, call.path, &call.body);
        let headers = match headers {
            Ok(headers) => headers,
            Err(fault) => return (Err(Lost::Unsent(fault.to_string())), None),
        };
        let is_place = call.lane == Lane::Places;
        let outgoing = Outgoing {
            method: call.method,
            target: format!("{}{}", call.path, call.query),
            headers,
            body: call.body,
        };
        let exchange = self.connections.exchange(call.lane, outgoing, limit).await;
        if let Ok(incoming) = &exchange.0 {
            let cause = refusal::cause_of(incoming.status, &incoming.headers, &incoming.body);
            // Cancels and reads have budgets of their own: what throttles them throttles no place.
            let is_own_budget = matches!(cause, Some(Cause::Throttled(_))) && !is_place;
            if cause.is_some() && !is_own_budget {
                *met.borrow_mut() = cause;
            }
        }
        exchange
    }
}

/// What a request met on its way.
type Met = RefCell<Option<Cause>>;

/// One request, before it is signed.
struct Call<'a> {
    lane: Lane,
    method: Method,
    path: &'a str,
    query: &'a str,
    body: Vec<u8>,
}

impl<'a> Call<'a> {
    const fn of(lane: Lane, method: Method, path: &'a str, body: Vec<u8>) -> Self {
        Self {
            lane,
            method,
            path,
            query: "",
            body,
        }
    }
}

/// Where orders are cancelled by id, and with what. The limits count one order at the endpoint for one.
fn cancel_call(order_ids: &[String]) -> Result<(&'static str, Vec<u8>), BodyError> {
    match order_ids {
        [single] => Ok(("/order", cancel_order_body(single)?)),
        many => Ok(("/orders", cancel_orders_body(many)?)),
    }
}

/// Query of a page; a cursor is base64, of which `+` would be read as a space.
pub fn cursor_query(cursor: &str) -> String {
    let cursor = cursor.replace('+', "%2B").replace('=', "%3D");
    format!("?next_cursor={cursor}")
}

/// Why a request had no answer that counts.
pub enum Refusal {
    Failed(String),
    /// The region or the account is refused: whoever hears of it has the swarm halted.
    Ineligible(String),
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Failed(reason) => Self::Failed(reason),
            Refusal::Ineligible(reason) => Self::Ineligible(reason),
        }
    }
}

fn accepted(answer: Result<Incoming, Lost>, method: &str, path: &str) -> Result<Incoming, Refusal> {
    let incoming = answer.map_err(|lost| Refusal::Failed(format!("{method} {path}: {}", reason(lost))))?;
    if incoming.status == StatusCode::OK {
        return Ok(incoming);
    }
    let text = refusal::error_text(&incoming.body);
    if let Some(reason) = refusal::ineligibility(incoming.status, &incoming.body) {
        return Err(Refusal::Ineligible(reason));
    }
    let status = incoming.status.as_u16();
    Err(Refusal::Failed(format!(
        "{method} {path} answered {status} {text}"
    )))
}

fn bucket_report(name: BucketName, incoming: &Incoming) -> Option<(BucketName, BucketReport)> {
    let text = |header: &str| {
        incoming
            .headers
            .get(header)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let report = BucketReport {
        remaining: text("poly-ratelimit-remaining"),
        reset: text("poly-ratelimit-reset"),
        tier: text("poly-ratelimit-tier"),
        is_refused: incoming.status == StatusCode::TOO_MANY_REQUESTS,
    };
    (report.is_refused || report.remaining.is_some() || report.tier.is_some()).then_some((name, report))
}

fn reason(lost: Lost) -> String {
    match lost {
        Lost::Unsent(reason) | Lost::Unknown(reason) => reason,
    }
}

#[cfg(test)]
mod tests {
    use super::{cancel_call, cursor_query};

    #[test]
    fn one_order_is_cancelled_where_the_limits_count_it() {
        let ids = ["0x1", "0x2"].map(str::to_owned);
        assert_eq!(
            cancel_call(&ids[..1]),
            Ok(("/order", br#"{"orderID":"0x1"}"#.to_vec()))
        );
        assert_eq!(cancel_call(&ids), Ok(("/orders", br#"["0x1","0x2"]"#.to_vec())));
        assert!(cancel_call(&[]).is_err());
    }

    #[test]
    fn a_cursor_arrives_as_it_was_given() {
        assert_eq!(cursor_query("M+A/="), "?next_cursor=M%2BA/%3D");
    }
}
