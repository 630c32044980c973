use claw_core::decode::{Event, LevelChange, decode_frame};
use claw_core::ladder::Level;
use claw_core::scan::{Kind, Scanned, Tokens, scan};
use claw_core::units::{Outcome, Side};
use proptest::prelude::*;

use crate::venue::{outcome, token};
use crate::wire::encode;

fn level() -> impl Strategy<Value = Level> {
    (1..10_000_u16, any::<u32>()).prop_map(|(price_e4, size)| Level {
        price_e4,
        size_e6: size.into(),
    })
}

fn event() -> impl Strategy<Value = Event<'static>> {
    let levels = || prop::collection::vec(level(), 0..8);
    let tick = prop::option::of(prop_oneof![Just(100_u16), Just(10), Just(25), Just(1)]);
    let best = || prop::option::of(0..=10_000_u16);
    let hash =
        || prop::option::of("[0-9a-f]{40}".prop_map(|text| text.as_bytes().try_into().expect("forty")));
    let change = (outcome(), any::<bool>(), level(), (best(), best()), hash()).prop_map(
        |(of, is_buy, level, touch_e4, hash)| LevelChange {
            token: token(of),
            side: if is_buy { Side::Buy } else { Side::Sell },
            level,
            touch_e4,
            hash,
        },
    );
    let last_trade = prop::option::of(prop::option::of(1..10_000_u16));
    prop_oneof![
        (
            (outcome(), levels(), levels()),
            tick,
            last_trade,
            hash(),
            any::<u64>()
        )
            .prop_map(|((of, bids, asks), tick_e4, last_trade_e4, hash, server_ms)| {
                Event::Book {
                    token: token(of),
                    bids,
                    asks,
                    tick_e4,
                    last_trade_e4,
                    hash,
                    server_ms,
                }
            }),
        (prop::collection::vec(change, 0..5), any::<u64>())
            .prop_map(|(changes, server_ms)| Event::PriceChange { changes, server_ms }),
    ]
}

struct OwnTokens;

impl Tokens for OwnTokens {
    type Found = Outcome;

    fn find(&self, token: &[u8]) -> Option<Outcome> {
        [Outcome::Yes, Outcome::No]
            .into_iter()
            .find(|outcome| outcome.as_str().as_bytes() == token)
    }

    fn guess(&self, text: &[u8]) -> Option<(Outcome, usize)> {
        text.starts_with(b"YES\"").then_some((Outcome::Yes, 3))
    }
}

/// What the scanner read, as the decoder says it.
fn as_event(kind: Kind, scanned: &Scanned<Outcome>) -> Event<'static> {
    match kind {
        Kind::Book => Event::Book {
            token: token(scanned.token.flatten().expect("a known token")),
            bids: scanned.bids.clone(),
            asks: scanned.asks.clone(),
            tick_e4: scanned.tick_e4,
            last_trade_e4: scanned.last_trade_e4,
            hash: scanned.hash,
            server_ms: scanned.server_ms,
        },
        Kind::PriceChange => Event::PriceChange {
            changes: scanned
                .changes
                .iter()
                .map(|change| LevelChange {
                    token: token(change.token.expect("a known token")),
                    side: change.side,
                    level: change.level,
                    touch_e4: change.touch_e4,
                    hash: change.hash,
                })
                .collect(),
            server_ms: scanned.server_ms,
        },
    }
}

proptest! {
    #[test]
    fn scanner_reads_the_usual_form(event in event()) {
        let (text, mut scanned) = (encode(&event), Scanned::default());
        let huge = matches!(&event, Event::Book { server_ms, .. } | Event::PriceChange { server_ms, .. }
            if *server_ms >= 10_u64.pow(13));
        let kind = scan(text.as_bytes(), &OwnTokens, &mut scanned);
        prop_assert_eq!(kind.is_none(), huge);
        if let Some(kind) = kind {
            prop_assert_eq!(as_event(kind, &scanned), event);
        }
    }

    #[test]
    fn scanner_never_reads_what_the_decoder_refuses(
        event in event(),
        at in any::<prop::sample::Index>(),
        cut in 0..3_usize,
        inserted in prop_oneof![
            "[ -~]{0,2}",
            Just("\"".to_owned()), Just("}".to_owned()), Just(",".to_owned()), Just("0".to_owned()),
            Just(" ".to_owned()), Just("\\".to_owned()), Just("é".to_owned()), Just("\u{1}".to_owned()),
        ],
    ) {
        let mut text = encode(&event);
        let from = at.index(text.len());
        text.replace_range(from..(from + cut).min(text.len()), &inserted);
        let mut scanned = Scanned::default();
        if let Some(kind) = scan(text.as_bytes(), &OwnTokens, &mut scanned) {
            let decoded = decode_frame(text.as_bytes());
            prop_assert!(decoded.is_ok(), "{text}: {decoded:?}");
            let has_strangers = scanned.changes.iter().any(|change| change.token.is_none())
                || scanned.token == Some(None);
            if !has_strangers {
                prop_assert_eq!(&decoded.unwrap()[..], &[as_event(kind, &scanned)][..]);
            }
        }
    }

    #[test]
    fn decode_inverts_encode(events in prop::collection::vec(event(), 1..4)) {
        let texts: Vec<String> = events.iter().map(encode).collect();
        let array = format!(" [{}]", texts.join(", "));
        prop_assert_eq!(&decode_frame(array.as_bytes()).unwrap(), &events);
        prop_assert_eq!(&decode_frame(texts[0].as_bytes()).unwrap(), &events[..1]);
    }

    #[test]
    fn no_frame_panics(frame in prop::collection::vec(any::<u8>(), 0..40), event in event(), cut in 0..200_usize) {
        let _ = decode_frame(&frame);
        let text = encode(&event);
        prop_assert!(decode_frame(&text.as_bytes()[..cut.min(text.len() - 1)]).is_err());
    }
}

#[test]
fn unknown_event_types_may_hold_anything() {
    let frame =
        br#"[{"event_type":"future","price":[1],"timestamp":{}},{"event_type":"new_market","tags":[]}]"#;
    assert_eq!(decode_frame(frame).unwrap(), [Event::Unknown, Event::Notice]);
}

#[test]
fn escaped_keys_and_strings_are_read() {
    let frame = br#"{"event\u005ftype":"market_resolved","market":"0x\u0061","winning_asset_id":"1","timestamp":"5"}"#;
    let [Event::MarketResolved { market, .. }] = &decode_frame(frame).unwrap()[..] else {
        panic!("not one resolution");
    };
    assert_eq!(&**market, "0xa");
}

#[test]
fn errors_say_which_event_and_what() {
    for (frame, sentence) in [
        (
            "PONG",
            "the frame is not a JSON object or array of objects: expected value at line 1 column 1",
        ),
        (
            "[5]",
            "the frame is not a JSON object or array of objects: invalid type: integer `5`, expected an event object at line 1 column 1",
        ),
        ("{}", "the frame holds an event without event_type"),
        (
            r#"{"event_type":"book","asset_id":"1","bids":[],"asks":[]}"#,
            "book event has no timestamp",
        ),
        (
            r#"{"event_type":"last_trade_price","price":""}"#,
            r#"last_trade_price event: price "" is not a plain decimal number at line 1 column 43"#,
        ),
        (
            r#"{"event_type":"tick_size_change","new_tick_size":"0.003"}"#,
            r#"tick_size_change event: tick size "0.003" is out of range at line 1 column 56"#,
        ),
    ] {
        assert_eq!(decode_frame(frame.as_bytes()).unwrap_err().to_string(), sentence);
    }
}
