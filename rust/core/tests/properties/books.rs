use claw_core::book::Invalidity;
use claw_core::books::{Books, Slot};
use claw_core::decode::Event;
use claw_core::features::Touch;
use claw_core::ladder::Level;
use claw_core::units::{Outcome, Side};
use proptest::prelude::*;

use crate::venue::{Action, MARKET, Venue, action, change, client, outcome};
use crate::wire::encode;

const START_MS: u64 = 1_000;

fn send(books: &mut Books, event: &Event) -> Vec<Slot> {
    books
        .apply(encode(event).as_bytes(), 7)
        .expect("the encoder writes valid frames")
        .to_vec()
}

fn events_of(actions: &[Action], venue: &mut Venue) -> Vec<Event<'static>> {
    let acts = (START_MS + 1..).zip(actions);
    acts.filter_map(|(server_ms, &action)| venue.act(action, server_ms))
        .collect()
}

proptest! {
    #[test]
    fn follows_the_venue_and_never_crosses(actions in prop::collection::vec(action(), 0..60), of in outcome()) {
        let (mut venue, mut books) = (Venue::default(), client());
        send(&mut books, &venue.book(of, START_MS));
        for (server_ms, &action) in (START_MS + 1..).zip(&actions) {
            let Some(event) = venue.act(action, server_ms) else { continue };
            let changed = send(&mut books, &event);
            prop_assert_eq!(books.levels(MARKET, usize::MAX).unwrap(), venue.levels());
            prop_assert_eq!(books.top(MARKET).unwrap().invalidity, None);
            prop_assert!(changed.len() <= 1);
        }
    }

    #[test]
    fn arrival_order_does_not_matter(
        actions in prop::collection::vec(action(), 0..40),
        seed in prop::collection::vec(any::<u32>(), 41),
    ) {
        let (mut venue, mut books) = (Venue::default(), client());
        let mut events = vec![venue.book(Outcome::Yes, START_MS)];
        events.extend(events_of(&actions, &mut venue));
        let mut arrivals: Vec<usize> = (0..events.len()).collect();
        arrivals.sort_by_key(|&index| seed[index]);
        for index in arrivals {
            send(&mut books, &events[index]);
        }
        prop_assert_eq!(books.levels(MARKET, usize::MAX).unwrap(), venue.levels());
    }

    #[test]
    fn mirrored_entry_equals_its_original(
        side in prop_oneof![Just(Side::Buy), Just(Side::Sell)],
        price_e4 in 1..10_000_u16,
        size_e6 in 0..1_000_000_000_u64,
    ) {
        let [mut yes, mut no, mut both] = [(); 3].map(|()| client());
        for books in [&mut yes, &mut no, &mut both] {
            send(books, &Venue::default().book(Outcome::Yes, START_MS));
        }
        let [of_yes, of_no] = [Outcome::Yes, Outcome::No].map(|of| change(of, side, price_e4, size_e6));
        send(&mut yes, &Event::PriceChange { changes: vec![of_yes.clone()], server_ms: START_MS });
        send(&mut no, &Event::PriceChange { changes: vec![of_no.clone()], server_ms: START_MS });
        send(&mut both, &Event::PriceChange { changes: vec![of_yes, of_no], server_ms: START_MS });
        prop_assert_eq!(yes.levels(MARKET, 9).unwrap(), no.levels(MARKET, 9).unwrap());
        prop_assert_eq!(yes.levels(MARKET, 9).unwrap(), both.levels(MARKET, 9).unwrap());
        prop_assert_eq!(yes.top(MARKET), no.top(MARKET));
        prop_assert_eq!(yes.top(MARKET), both.top(MARKET));
    }

    #[test]
    fn features_stay_in_their_ranges(
        bid_e4 in 1..9_999_u16, spread_e4 in 1..9_999_u16, bid_size in 1..u64::MAX, ask_size in 1..u64::MAX,
    ) {
        let ask_e4 = bid_e4.saturating_add(spread_e4).min(9_999);
        prop_assume!(ask_e4 > bid_e4);
        let touch = Touch {
            bid: Some(Level { price_e4: bid_e4, size_e6: bid_size }),
            ask: Some(Level { price_e4: ask_e4, size_e6: ask_size }),
        };
        let (microprice, imbalance) = (touch.microprice().unwrap(), touch.imbalance().unwrap());
        let (bid, ask) = (f64::from(bid_e4) / 1e4, f64::from(ask_e4) / 1e4);
        prop_assert!(bid - 1e-12 <= microprice && microprice <= ask + 1e-12);
        prop_assert!((-1.0..=1.0).contains(&imbalance));
    }
}

#[test]
fn malformed_event_spoils_the_whole_frame_and_nothing_else() {
    let mut books = client();
    let mut venue = Venue::default();
    send(&mut books, &venue.book(Outcome::Yes, START_MS));
    let set = Action::Set {
        side: Side::Buy,
        price_e4: 5_000,
        size_e6: 1,
        via: Outcome::Yes,
    };
    let good = encode(&venue.act(set, START_MS + 1).unwrap());
    let before = books.top(MARKET);
    let frame = format!(r#"[{good},{{"event_type":"book","asset_id":"YES"}}]"#);
    assert_eq!(
        books.apply(frame.as_bytes(), 8).unwrap_err().to_string(),
        "book event has no bids"
    );
    assert_eq!(books.top(MARKET), before);
}

#[test]
fn second_tick_event_does_not_void_the_new_snapshot() {
    let mut books = client();
    let tick = |token: &str| {
        format!(
            r#"{{"event_type":"tick_size_change","asset_id":"{token}","new_tick_size":"0.001","timestamp":"1001"}}"#
        )
    };
    send(&mut books, &Venue::default().book(Outcome::Yes, START_MS));
    books.apply(tick("YES").as_bytes(), 8).unwrap();
    assert_eq!(
        books.top(MARKET).unwrap().invalidity,
        Some(Invalidity::TickChange)
    );
    send(&mut books, &Venue::default().book(Outcome::Yes, START_MS + 1));
    assert!(books.apply(tick("NO").as_bytes(), 9).unwrap().is_empty());
    assert_eq!(books.top(MARKET).unwrap().invalidity, None);
}
