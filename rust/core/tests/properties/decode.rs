use claw_core::decode::{Event, LevelChange, decode_frame};
use claw_core::ladder::Level;
use claw_core::units::Side;
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
    let change = (outcome(), any::<bool>(), level()).prop_map(|(of, is_buy, level)| LevelChange {
        token: token(of),
        side: if is_buy { Side::Buy } else { Side::Sell },
        level,
    });
    prop_oneof![
        (outcome(), levels(), levels(), tick, any::<u64>()).prop_map(
            |(of, bids, asks, tick_e4, server_ms)| {
                Event::Book {
                    token: token(of),
                    bids,
                    asks,
                    tick_e4,
                    server_ms,
                }
            }
        ),
        (prop::collection::vec(change, 0..5), any::<u64>())
            .prop_map(|(changes, server_ms)| Event::PriceChange { changes, server_ms }),
    ]
}

proptest! {
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
