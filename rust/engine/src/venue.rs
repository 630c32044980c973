//! Requests of the state machine over the venue's REST interface, and its answers back.
//!
//! Cancels, places and everything else have connections of their own: a cancel never waits behind a place.

use std::time::Duration;

use claw_core::engine::{Answer, BucketReport, Request, VenueClock};
use claw_core::limits::BucketName;
use claw_core::order::body::{cancel_orders_body, orders_body};
use claw_core::order::hmac::Credentials;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use serde::de::DeserializeOwned;

use crate::clock;
use crate::fault::Fault;
use crate::http::{Exchange, Incoming, Lost, Outgoing, Route};
use crate::socket::Host;
use crate::wire::{self, LAST_CURSOR, OpenOrder, Page, TradeRecord, ZERO_CURSOR};

const PLACE_TIMEOUT: Duration = Duration::from_millis(2_000);
const REQUEST_TIMEOUT: Duration = Duration::from_millis(1_500);
const MAX_PAGES: usize = 1_000;

/// The connections to the venue.
pub struct Routes {
    cancels: Route,
    places: Route,
    others: Route,
}

impl Routes {
    /// To a host.
    pub fn new(host: &Host) -> Self {
        Self {
            cancels: Route::new(host),
            places: Route::new(host),
            others: Route::new(host),
        }
    }

    /// Open what should be warm.
    pub async fn keep_warm(&self) {
        self.cancels.keep_warm().await;
        self.places.keep_warm().await;
    }

    /// One request without credentials, or with those in its headers.
    pub async fn open_request(
        &self,
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
        self.others
            .exchange(outgoing, REQUEST_TIMEOUT)
            .await
            .0
            .map_err(reason)
    }
}

/// One account's session with the venue.
pub struct Venue {
    routes: Routes,
    credentials: Credentials,
    address: HeaderValue,
    clock: VenueClock,
}

/// What came of one request.
pub struct Outcome {
    pub answer: Answer,
    /// When the last byte of the request was on the socket.
    pub sent_ns: Option<u64>,
    /// What the venue said of its buckets.
    pub bucket: Option<(BucketName, BucketReport)>,
}

impl From<Answer> for Outcome {
    fn from(answer: Answer) -> Self {
        Self {
            answer,
            sent_ns: None,
            bucket: None,
        }
    }
}

impl Venue {
    /// A session under an API key of `address`.
    pub fn new(
        routes: Routes,
        credentials: Credentials,
        address: &str,
        clock: VenueClock,
    ) -> Result<Self, Fault> {
        let address = HeaderValue::from_str(address).map_err(|fault| Fault::Crash(fault.to_string()))?;
        Ok(Self {
            routes,
            credentials,
            address,
            clock,
        })
    }

    /// Open what should be warm.
    pub async fn keep_warm(&self) {
        self.routes.keep_warm().await;
    }

    /// Carry out one request; a place is sent at most once.
    pub async fn carry_out(&self, request: Request) -> Outcome {
        match request {
            Request::Place(orders) => {
                let bodies: Vec<Vec<u8>> = orders.into_iter().map(|order| order.body).collect();
                self.place(&bodies).await
            }
            Request::Cancel(order_ids) => match cancel_orders_body(&order_ids) {
                Ok(body) => self.cancel("/orders", body).await,
                Err(fault) => Answer::Failed(fault.to_string()).into(),
            },
            Request::CancelAll => self.cancel("/cancel-all", Vec::new()).await,
            Request::ListOrders => {
                let pages = self.pages::<OpenOrder>("/data/orders").await;
                let live = |orders: Vec<OpenOrder>| {
                    let live = orders.into_iter().filter(OpenOrder::is_live);
                    Answer::Orders(live.map(|order| order.id).collect())
                };
                pages.map_or_else(Answer::from, live).into()
            }
            Request::LookUp(order_id) => self.look_up(&order_id).await.into(),
            Request::ListTrades => match self.pages::<TradeRecord>("/data/trades").await {
                Ok(trades) => self.read_trades(trades).into(),
                Err(refusal) => Answer::from(refusal).into(),
            },
            Request::Heartbeat(id) => self.heartbeat(&id).await.into(),
        }
    }

    async fn place(&self, bodies: &[Vec<u8>]) -> Outcome {
        let (path, body) = match bodies {
            [single] => ("/order", Ok(single.clone())),
            many => ("/orders", orders_body(many)),
        };
        let body = match body {
            Ok(body) => body,
            Err(fault) => return refuse_all(&fault.to_string(), bodies.len()).into(),
        };
        let route = &self.routes.places;
        let (answer, sent_ns) = self
            .exchange(route, Method::POST, path, "", body, PLACE_TIMEOUT)
            .await;
        let mut outcome: Outcome = match &answer {
            Err(Lost::Unsent(reason)) => refuse_all(&format!("not sent: {reason}"), bodies.len()),
            Err(Lost::Unknown(reason)) => Answer::Failed(reason.clone()),
            Ok(incoming) => read_place(incoming, bodies.len()),
        }
        .into();
        outcome.sent_ns = sent_ns;
        outcome.bucket = answer
            .ok()
            .and_then(|incoming| bucket_report(BucketName::Orders, &incoming));
        outcome
    }

    async fn cancel(&self, path: &'static str, body: Vec<u8>) -> Outcome {
        let route = &self.routes.cancels;
        let (answer, sent_ns) = self
            .exchange(route, Method::DELETE, path, "", body, REQUEST_TIMEOUT)
            .await;
        let bucket = answer
            .as_ref()
            .ok()
            .and_then(|incoming| bucket_report(BucketName::Cancels, incoming));
        let answer = match accepted(answer, "DELETE", path) {
            Ok(incoming) => wire::read_cancel(&incoming.body),
            Err(refusal) => refusal.into(),
        };
        Outcome {
            answer,
            sent_ns,
            bucket,
        }
    }

    async fn look_up(&self, order_id: &str) -> Answer {
        let path = format!("/data/order/{order_id}");
        let (answer, _) = self
            .exchange(
                &self.routes.others,
                Method::GET,
                &path,
                "",
                Vec::new(),
                REQUEST_TIMEOUT,
            )
            .await;
        if answer
            .as_ref()
            .is_ok_and(|incoming| incoming.status == StatusCode::NOT_FOUND)
        {
            return Answer::IsLive(false);
        }
        match accepted(answer, "GET", "/data/order") {
            Ok(incoming) => wire::read_order(&incoming.body),
            Err(refusal) => refusal.into(),
        }
    }

    async fn heartbeat(&self, id: &str) -> Answer {
        let body = format!(r#"{{"heartbeat_id":{}}}"#, *wire::quoted(id)).into_bytes();
        let path = "/v1/heartbeats";
        let (answer, _) = self
            .exchange(&self.routes.others, Method::POST, path, "", body, REQUEST_TIMEOUT)
            .await;
        match answer {
            Ok(incoming) if incoming.status == StatusCode::BAD_REQUEST => {
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
            .map(|trade| trade.into_trade(self.credentials.api_key()));
        let trades: Result<Vec<_>, _> = trades.collect();
        trades.map_or_else(Answer::Failed, Answer::Trades)
    }

    async fn pages<T: DeserializeOwned>(&self, path: &'static str) -> Result<Vec<T>, Refusal> {
        let mut entries = Vec::new();
        let mut cursor = ZERO_CURSOR.to_owned();
        for _ in 0..MAX_PAGES {
            let query = cursor_query(&cursor);
            let exchange = self.exchange(
                &self.routes.others,
                Method::GET,
                path,
                &query,
                Vec::new(),
                REQUEST_TIMEOUT,
            );
            let incoming = accepted(exchange.await.0, "GET", path)?;
            let page: Page<T> = wire::read(&incoming.body, path).map_err(Refusal::Failed)?;
            entries.extend(page.data);
            cursor = page.next_cursor;
            if cursor == LAST_CURSOR || cursor.is_empty() {
                return Ok(entries);
            }
        }
        Err(Refusal::Failed(format!("GET {path} has no last page")))
    }

    /// One request signed for the account; the signature covers the path without the query.
    async fn exchange(
        &self,
        route: &Route,
        method: Method,
        path: &str,
        query: &str,
        body: Vec<u8>,
        limit: Duration,
    ) -> Exchange {
        let timestamp_s = self.clock.venue_ms(clock::now_ns()) / 1_000;
        let signature = self.credentials.sign(timestamp_s, method.as_str(), path, &body);
        let texts = [
            ("poly_api_key", self.credentials.api_key()),
            ("poly_passphrase", self.credentials.passphrase()),
            ("poly_signature", &signature),
        ];
        let mut headers = HeaderMap::with_capacity(8);
        for (name, text) in texts {
            match HeaderValue::from_str(text) {
                Ok(value) => headers.insert(HeaderName::from_static(name), value),
                Err(fault) => return (Err(Lost::Unsent(fault.to_string())), None),
            };
        }
        headers.insert(HeaderName::from_static("poly_address"), self.address.clone());
        headers.insert(HeaderName::from_static("poly_timestamp"), timestamp_s.into());
        let outgoing = Outgoing {
            method,
            target: format!("{path}{query}"),
            headers,
            body,
        };
        route.exchange(outgoing, limit).await
    }
}

/// Query of a page.
pub fn cursor_query(cursor: &str) -> String {
    format!("?next_cursor={}", cursor.replace('=', "%3D"))
}

/// Why a request had no answer that counts.
enum Refusal {
    Failed(String),
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
    let text = wire::error_text(&incoming.body);
    if wire::is_ineligible(&text) {
        return Err(Refusal::Ineligible(text));
    }
    let status = incoming.status.as_u16();
    Err(Refusal::Failed(format!(
        "{method} {path} answered {status} {text}"
    )))
}

/// A server error leaves open whether the order exists; 503 and every other refusal do not.
fn read_place(incoming: &Incoming, count: usize) -> Answer {
    if incoming.status == StatusCode::OK {
        return wire::read_places(&incoming.body, count);
    }
    let text = wire::error_text(&incoming.body);
    if wire::is_ineligible(&text) {
        return Answer::Ineligible(text);
    }
    let reason = format!("{} {text}", incoming.status.as_u16());
    if incoming.status.is_server_error() && incoming.status != StatusCode::SERVICE_UNAVAILABLE {
        return Answer::Failed(reason);
    }
    refuse_all(&reason, count)
}

fn refuse_all(reason: &str, count: usize) -> Answer {
    use claw_core::engine::PlaceResult::Refused;
    Answer::Placed(vec![Refused(reason.to_owned()); count])
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
