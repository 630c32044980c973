//! Answers to places. An order counts as placed only if every field says so and names it by its hash, and as refused
//! only if the venue clearly refuses it; whatever lies between may exist, and is looked for.
//!
//! Source: polymarket.md §3.2, §3.7.

use claw_core::engine::{Answer, PlaceResult};
use hyper::StatusCode;
use serde::Deserialize;

use crate::refusal::{error_text, ineligibility, is_ineligible, is_own_word, shown};
use crate::wire::{or_default, read};

/// Refusals that leave open whether the order exists: a copy of the request came first, or the venue stopped waiting.
const OPEN_ENDED: [&str; 5] = [
    "duplicated",
    "context canceled",
    "deadline exceeded",
    "timeout",
    "match delayed",
];

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct OrderAnswer {
    #[serde(deserialize_with = "or_default")]
    success: bool,
    #[serde(deserialize_with = "or_default")]
    error_msg: String,
    #[serde(rename = "orderID", deserialize_with = "or_default")]
    order_id: String,
    #[serde(deserialize_with = "or_default")]
    status: String,
    #[serde(deserialize_with = "or_default")]
    error: String,
}

/// What the venue's answer says of the orders of one request, in their order.
pub fn read_places(status: StatusCode, body: &[u8], order_ids: &[String]) -> Answer {
    if status.is_success() {
        return read_legs(body, order_ids);
    }
    let reason = format!("{} {}", status.as_u16(), error_text(body));
    if let Some(reason) = ineligibility(status, body) {
        return Answer::Ineligible(reason);
    }
    // A server's error or time-out, and what is no error at all, leave open whether the order exists.
    let is_refusal = match status {
        StatusCode::SERVICE_UNAVAILABLE => is_own_word(body),
        StatusCode::REQUEST_TIMEOUT => false,
        _ => status.is_client_error(),
    };
    if !is_refusal || is_open_ended(&reason) {
        return Answer::Failed(reason);
    }
    refuse_all(&reason, order_ids.len())
}

/// None of them has reached the venue, or it has taken none.
pub fn refuse_all(reason: &str, count: usize) -> Answer {
    Answer::Placed(vec![PlaceResult::Refused(reason.to_owned()); count])
}

fn read_legs(body: &[u8], order_ids: &[String]) -> Answer {
    let legs = if order_ids.len() == 1 {
        read::<OrderAnswer>(body, "answer to a place").map(|leg| vec![leg])
    } else {
        read::<Vec<OrderAnswer>>(body, "answer to places")
    };
    let legs = match legs {
        Ok(legs) if legs.len() == order_ids.len() => legs,
        Ok(legs) => {
            return Answer::Failed(format!("{} answers to {} places", legs.len(), order_ids.len()));
        }
        Err(reason) => return Answer::Failed(reason),
    };
    // Legs that are not in the order of the request say nothing of the orders they stand beside.
    let is_elsewhere =
        |leg: &OrderAnswer, own: &String| leg.order_id != *own && order_ids.contains(&leg.order_id);
    if legs
        .iter()
        .zip(order_ids)
        .any(|(leg, own)| is_elsewhere(leg, own))
    {
        return Answer::Failed("the answers are not in the order of the places".to_owned());
    }
    let results = legs.into_iter().zip(order_ids);
    Answer::Placed(results.map(|(leg, own)| read_leg(leg, own)).collect())
}

fn read_leg(leg: OrderAnswer, own_id: &str) -> PlaceResult {
    let is_placed = matches!(leg.status.as_str(), "live" | "matched" | "delayed" | "unmatched");
    let error = [leg.error_msg, leg.error]
        .into_iter()
        .find(|text| !text.is_empty());
    match error {
        None if leg.success && is_placed && leg.order_id.eq_ignore_ascii_case(own_id) => {
            PlaceResult::Accepted
        }
        None if leg.success && !leg.order_id.is_empty() && !leg.order_id.eq_ignore_ascii_case(own_id) => {
            PlaceResult::Misnamed(shown(&leg.order_id))
        }
        None => PlaceResult::Unknown(format!(
            "success {}, status {:?}",
            leg.success,
            shown(&leg.status)
        )),
        Some(error) if is_ineligible(&error) => PlaceResult::Ineligible(shown(&error)),
        // Success with an error and no id is a refusal; with an id one half contradicts the other.
        Some(error) if is_open_ended(&error) || (leg.success && !leg.order_id.is_empty()) => {
            PlaceResult::Unknown(shown(&error))
        }
        Some(error) => PlaceResult::Refused(shown(&error)),
    }
}

fn is_open_ended(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    OPEN_ENDED.iter().any(|words| text.contains(words))
}

#[cfg(test)]
mod tests {
    use claw_core::engine::{Answer, PlaceResult};
    use hyper::StatusCode;
    use proptest::prelude::*;

    use super::read_places;

    const OWN: &str = "0x1";
    const OTHER: &str = "0x2";

    fn own_ids(count: usize) -> Vec<String> {
        [OWN, OTHER].map(str::to_owned)[..count].to_vec()
    }

    fn one(fields: &str) -> PlaceResult {
        let body = format!(r#"{{"makingAmount":"",{fields}}}"#);
        match read_places(StatusCode::OK, body.as_bytes(), &own_ids(1)) {
            Answer::Placed(results) if results.len() == 1 => results[0].clone(),
            other => panic!("{fields}: {other:?}"),
        }
    }

    fn refused_with(status: u16, body: &str) -> Answer {
        read_places(
            StatusCode::from_u16(status).unwrap(),
            body.as_bytes(),
            &own_ids(1),
        )
    }

    #[test]
    fn a_place_is_accepted_only_if_every_field_says_so() {
        for status in ["live", "matched", "delayed", "unmatched"] {
            let fields = format!(r#""success":true,"errorMsg":"","orderID":"0x1","status":"{status}""#);
            assert_eq!(one(&fields), PlaceResult::Accepted, "{status}");
        }
        assert_eq!(
            one(r#""success":true,"errorMsg":null,"orderID":"0x1","status":"live""#),
            PlaceResult::Accepted
        );
    }

    #[test]
    fn a_clear_refusal_is_one_with_and_without_success() {
        let refused = [
            (
                r#""success":true,"errorMsg":"crosses book","orderID":"","status":"""#,
                "crosses book",
            ),
            (
                r#""success":false,"errorMsg":"not enough balance","status":"""#,
                "not enough balance",
            ),
            (
                r#""success":false,"error":"disabled","orderID":"0x1""#,
                "disabled",
            ),
        ];
        for (fields, reason) in refused {
            assert_eq!(one(fields), PlaceResult::Refused(reason.to_owned()), "{fields}");
        }
    }

    #[test]
    fn what_neither_accepts_nor_refuses_may_exist() {
        for fields in [
            r#""success":true,"orderID":"0x1","status":"pending""#,
            r#""success":true,"orderID":"0x1","errorMsg":"crosses book","status":"live""#,
            r#""success":true,"orderID":"","status":"live""#,
            r#""success":false,"orderID":"0x1","status":"live""#,
            r#""success":false,"errorMsg":"order match delayed due to market conditions""#,
            r#""success":false,"errorMsg":"order 0x1 is invalid. Duplicated.""#,
            r#""success":false,"errorMsg":"context deadline exceeded""#,
            r#""words":"that nobody knows""#,
        ] {
            assert!(matches!(one(fields), PlaceResult::Unknown(_)), "{fields}");
        }
    }

    #[test]
    fn an_order_under_another_id_is_no_order_of_ours() {
        let misnamed = one(r#""success":true,"errorMsg":"","orderID":"0xdead","status":"live""#);
        assert_eq!(misnamed, PlaceResult::Misnamed("0xdead".to_owned()));
    }

    #[test]
    fn a_batch_that_is_not_answered_leg_by_leg_is_unknown() {
        let leg = |id: &str| format!(r#"{{"success":true,"orderID":"{id}","status":"live"}}"#);
        let batch = |body: String| read_places(StatusCode::OK, body.as_bytes(), &own_ids(2));
        assert!(matches!(batch(format!("[{}]", leg(OWN))), Answer::Failed(_)));
        assert!(matches!(
            batch(format!("[{},{}]", leg(OTHER), leg(OWN))),
            Answer::Failed(_)
        ));
        let refused = r#"{"success":false,"errorMsg":"crosses book"}"#;
        assert!(
            matches!(batch(format!("[{refused},{}]", leg(OWN))), Answer::Failed(_)),
            "the refusal is the other one's"
        );
        assert!(
            matches!(batch(format!("[{},{}]", leg(OWN), leg(OTHER))), Answer::Placed(results)
                if results == [PlaceResult::Accepted, PlaceResult::Accepted])
        );
        assert!(matches!(
            batch(r#"{"error":"one for all"}"#.to_owned()),
            Answer::Failed(_)
        ));
    }

    #[test]
    fn a_refused_account_is_told_from_a_refused_order_in_any_company() {
        let closed = "'0xa' address in closed only mode";
        let fields = format!(r#""success":false,"errorMsg":"{closed}","status":"""#);
        assert_eq!(one(&fields), PlaceResult::Ineligible(closed.to_owned()));
        let body = format!(r#"[{{{fields}}},{{"success":true,"orderID":"0x2","status":"live"}}]"#);
        let Answer::Placed(results) = read_places(StatusCode::OK, body.as_bytes(), &own_ids(2)) else {
            panic!("{body}");
        };
        assert_eq!(
            results,
            [PlaceResult::Ineligible(closed.to_owned()), PlaceResult::Accepted]
        );
        assert!(matches!(
            refused_with(403, r#"{"error":"Trading restricted in your region"}"#),
            Answer::Ineligible(_)
        ));
    }

    #[test]
    fn only_the_venues_own_no_refuses_an_order() {
        let refused = [
            (400, r#"{"error":"not enough balance / allowance"}"#),
            (401, r#"{"error":"Unauthorized/Invalid api key"}"#),
            (
                404,
                r#"{"error":"No orderbook exists for the requested token id"}"#,
            ),
            (425, ""),
            (429, "slow down"),
            (
                503,
                r#"{"error":"Trading is currently cancel-only. New orders are not accepted"}"#,
            ),
        ];
        for (status, body) in refused {
            assert!(
                matches!(refused_with(status, body), Answer::Placed(results)
                    if matches!(results.as_slice(), [PlaceResult::Refused(_)])),
                "{status} {body}"
            );
        }
        let open = [
            (200, "<html>"),
            (302, ""),
            (400, r#"{"error":"context canceled"}"#),
            (400, r#"{"error":"order 0x1 is invalid. Duplicated."}"#),
            (408, ""),
            (500, r#"{"error":"could not insert order"}"#),
            (502, "<html>"),
            (503, "<html>upstream</html>"),
        ];
        for (status, body) in open {
            assert!(
                matches!(refused_with(status, body), Answer::Failed(_)),
                "{status} {body}"
            );
        }
        let created = r#"{"success":true,"orderID":"0x1","status":"live"}"#;
        assert!(
            matches!(refused_with(201, created), Answer::Placed(results) if results == [PlaceResult::Accepted]),
            "any success is read"
        );
    }

    proptest! {
        #[test]
        fn no_bytes_of_the_venue_panic_or_make_an_order(
            body in prop::collection::vec(any::<u8>(), 0..60),
            status in 200..600_u16,
        ) {
            let status = StatusCode::from_u16(status).unwrap();
            for count in [1, 2] {
                let answer = read_places(status, &body, &own_ids(count));
                let is_taken = |results: &[PlaceResult]| results.contains(&PlaceResult::Accepted);
                prop_assert!(!matches!(answer, Answer::Placed(results) if is_taken(&results)));
            }
        }
    }
}
