//! What an answer says of the way to the venue, of this region and of this account.
//!
//! A refusal of the region or the account is never taken for a flagged address: it halts, and nothing moves because of
//! it. Source: egress.md, "A 403 is not one thing"; polymarket.md §6.3.

use claw_core::engine::Cause;
use hyper::StatusCode;
use hyper::header::{HeaderMap, RETRY_AFTER};
use serde::Deserialize;

use crate::wire::read;

const INELIGIBLE: [&str; 4] = [
    "restricted in your region",
    "address banned",
    "closed only mode",
    "closed-only",
];
/// What a page of the CDN says when it is the region that is refused, and not this address.
const REGION_PAGE: [&str; 4] = [
    "error code: 1009",
    "country or region",
    "in your region",
    "in your country",
];
/// How a page of the CDN begins, as HTML and as plain text.
const PAGE: [&str; 2] = ["<", "error code: "];
const SHOWN_CHARS: usize = 120;
const MOST_CHARS: usize = 400;
const NS_PER_S: f64 = 1e9;

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

/// The error text of an answer, or its beginning where it is not the venue's own.
pub fn error_text(body: &[u8]) -> String {
    match serde_json::from_slice::<ErrorAnswer>(body) {
        Ok(answer) => shown(&answer.error),
        Err(_) => String::from_utf8_lossy(body).chars().take(SHOWN_CHARS).collect(),
    }
}

/// What of a text of the venue goes into logs and to quoters: it may be of any length.
pub fn shown(text: &str) -> String {
    text.chars().take(MOST_CHARS).collect()
}

/// Whether an error is in the venue's own form, and not a page of what stands before it.
pub fn is_own_word(body: &[u8]) -> bool {
    serde_json::from_slice::<ErrorAnswer>(body).is_ok()
}

/// The venue's own word that it has no such order; a page that says 404 is none.
pub fn is_order_denied(status: StatusCode, body: &[u8]) -> bool {
    if status != StatusCode::NOT_FOUND || !is_own_word(body) {
        return false;
    }
    let text = error_text(body).to_lowercase();
    ["order", "not found"].iter().all(|words| text.contains(words))
}

/// Whether a heartbeat is refused for its id, and not for whose it is.
pub fn is_beat_refused(status: StatusCode, body: &[u8]) -> bool {
    status == StatusCode::BAD_REQUEST && ineligibility(status, body).is_none()
}

/// Whether the venue refuses this region or account.
pub fn is_ineligible(text: &str) -> bool {
    let text = text.to_lowercase();
    INELIGIBLE.iter().any(|words| text.contains(words))
}

/// Why this region or account is refused, if it is.
///
/// 451 and every 403 that is no page of the CDN always say so, known words or not: a person must look. Of the pages
/// those do that name the region.
pub fn ineligibility(status: StatusCode, body: &[u8]) -> Option<String> {
    let text = error_text(body);
    if is_ineligible(&text) || status == StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS {
        return Some(text);
    }
    if status != StatusCode::FORBIDDEN {
        return None;
    }
    let page = String::from_utf8_lossy(body).to_lowercase();
    let is_page = PAGE.iter().any(|start| page.trim_start().starts_with(start));
    if !is_page {
        return Some(format!("403 {text}"));
    }
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

#[cfg(test)]
mod tests {
    use claw_core::engine::Cause;
    use hyper::StatusCode;
    use hyper::header::{HeaderMap, HeaderValue, RETRY_AFTER};

    use super::{cause_of, ineligibility, is_beat_refused, is_order_denied, read_region};

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
            (403, r#"{"success":false,"errorMsg":"words under another key"}"#),
            (403, "Forbidden"),
            (403, ""),
            (403, "error code: 1009"),
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
        assert_eq!(ineligibility(StatusCode::FORBIDDEN, b"error code: 1020"), None);
        assert_eq!(
            ineligibility(StatusCode::BAD_REQUEST, b"{\"error\":\"Invalid side\"}"),
            None
        );
    }

    #[test]
    fn a_page_denies_no_order_and_a_banned_account_is_no_wrong_id() {
        let not_found = StatusCode::NOT_FOUND;
        for text in ["Order not found", "order 0x1 was not found"] {
            let body = format!(r#"{{"error":"{text}"}}"#);
            assert!(is_order_denied(not_found, body.as_bytes()), "{text}");
        }
        for body in [
            "<html>404 Not Found</html>",
            "",
            r#"{"error":"api key not found"}"#,
            r#"{"path":"/data/order"}"#,
        ] {
            assert!(!is_order_denied(not_found, body.as_bytes()), "{body}");
        }
        let bad = StatusCode::BAD_REQUEST;
        assert!(is_beat_refused(
            bad,
            br#"{"error_msg":"Invalid Heartbeat ID","heartbeat_id":"7"}"#
        ));
        assert!(!is_beat_refused(bad, br#"{"error":"'0xa' address banned"}"#));
    }

    #[test]
    fn a_region_is_open_only_if_every_field_is_there() {
        let open = br#"{"blocked":false,"ip":"127.0.0.1","country":"NL","region":"NH"}"#;
        let region = read_region(open).unwrap();
        assert_eq!((region.blocked, region.country.as_str()), (false, "NL"));
        assert!(read_region(br#"{"blocked":false}"#).is_err());
        assert!(read_region(b"<html>").is_err());
    }
}
