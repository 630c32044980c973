//! Before anything can be signed: the venue's clock, the API key, the markets.

use claw_core::engine::{Market, VenueClock};
use claw_core::order::signing::OrderSigner;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};

use crate::clock;
use crate::http::{Connections, Incoming};
use crate::log;
use crate::refusal;
use crate::venue::{cursor_query, open_request};
use crate::wire::{self, ApiKey, LAST_CURSOR, ZERO_CURSOR};

const MAX_PAGES: usize = 10_000;

/// What a session starts from.
pub struct Login {
    pub clock: VenueClock,
    pub key: ApiKey,
    pub markets: Vec<Market>,
}

/// Log in; the reason when the venue does not let us, or not yet.
pub async fn log_in(connections: &Connections, signer: &OrderSigner) -> Result<Login, String> {
    let answer = open_request(connections, Method::GET, "/time".to_owned(), HeaderMap::new()).await?;
    let venue_s: u64 = wire::read(&accepted(answer, "GET /time")?, "GET /time")?;
    let clock = VenueClock {
        venue_ms: venue_s.saturating_mul(1_000),
        at_ns: clock::now_ns(),
    };
    let headers = login_headers(signer, venue_s)?;
    let target = "/auth/api-key".to_owned();
    let mut answer = open_request(connections, Method::POST, target, headers.clone()).await?;
    if answer.status == StatusCode::BAD_REQUEST {
        let target = "/auth/derive-api-key".to_owned();
        answer = open_request(connections, Method::GET, target, headers).await?;
    }
    let key = wire::read(&accepted(answer, "the key endpoint")?, "API key")?;
    let markets = list_markets(connections).await?;
    Ok(Login { clock, key, markets })
}

async fn list_markets(connections: &Connections) -> Result<Vec<Market>, String> {
    let mut markets = Vec::new();
    let mut cursor = ZERO_CURSOR.to_owned();
    for _ in 0..MAX_PAGES {
        let target = format!("/markets{}", cursor_query(&cursor));
        let answer = open_request(connections, Method::GET, target, HeaderMap::new()).await?;
        let (found, unreadable, next_cursor) = wire::read_markets(&accepted(answer, "GET /markets")?)?;
        if unreadable > 0 {
            log::warning("engine.markets.unreadable", &[("count", &unreadable.to_string())]);
        }
        markets.extend(found);
        cursor = next_cursor;
        if cursor == LAST_CURSOR || cursor.is_empty() {
            return Ok(markets);
        }
    }
    Err("GET /markets has no last page".to_owned())
}

fn login_headers(signer: &OrderSigner, timestamp_s: u64) -> Result<HeaderMap, String> {
    let digits = signer.sign_login(timestamp_s, 0);
    let digits = digits
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    let texts = [
        ("poly_address", signer.address().to_string()),
        ("poly_signature", format!("0x{digits}")),
        ("poly_timestamp", timestamp_s.to_string()),
        ("poly_nonce", "0".to_owned()),
    ];
    let mut headers = HeaderMap::new();
    for (name, text) in texts {
        let value = HeaderValue::from_str(&text).map_err(|fault| fault.to_string())?;
        headers.insert(HeaderName::from_static(name), value);
    }
    Ok(headers)
}

fn accepted(answer: Incoming, what: &str) -> Result<Vec<u8>, String> {
    if answer.status == StatusCode::OK {
        return Ok(answer.body.to_vec());
    }
    let text = refusal::error_text(&answer.body);
    Err(format!("{what} answered {} {text}", answer.status.as_u16()))
}
