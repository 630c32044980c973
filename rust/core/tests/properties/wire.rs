//! The venue's side of the wire: encodes what `decode` reads.

use claw_core::decode::{Event, LevelChange};
use claw_core::ladder::Level;
use claw_core::scan::HashText;

/// Write `value / 10^digits` as the shortest plain decimal.
pub fn decimal(value: u64, digits: usize) -> String {
    let text = format!("{value:0>width$}", width = digits + 1);
    let (whole, fraction) = text.split_at(text.len() - digits);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() {
        whole.to_owned()
    } else {
        format!("{whole}.{fraction}")
    }
}

/// Write a `book` or `price_change` event with its other fields filled in.
pub fn encode(event: &Event) -> String {
    match event {
        Event::Book {
            token,
            bids,
            asks,
            tick_e4,
            last_trade_e4,
            hash,
            server_ms,
        } => {
            let tick = tick_e4.map_or(String::new(), |tick| decimal(tick.into(), 4));
            let last_trade = last_trade_e4.map_or(String::new(), |price| {
                format!(r#""last_trade_price":"{}","#, price_or_nothing(price))
            });
            let hash = hash.map_or(String::new(), |hash| format!(r#""hash":"{}","#, text(&hash)));
            format!(
                r#"{{"market":"0xabc","asset_id":"{}","bids":[{}],"asks":[{}],"tick_size":"{tick}","timestamp":"{server_ms}",{last_trade}{hash}"event_type":"book"}}"#,
                &**token,
                levels(bids),
                levels(asks),
            )
        }
        Event::PriceChange { changes, server_ms } => {
            let changes: Vec<String> = changes.iter().map(change).collect();
            format!(
                r#"{{"market":"0xabc","price_changes":[{}],"timestamp":"{server_ms}","event_type":"price_change"}}"#,
                changes.join(","),
            )
        }
        other => unreachable!("the properties encode no {other:?}"),
    }
}

fn levels(levels: &[Level]) -> String {
    let texts: Vec<String> = levels
        .iter()
        .map(|level| {
            let (price, size) = (decimal(level.price_e4.into(), 4), decimal(level.size_e6, 6));
            format!(r#"{{"price":"{price}","size":"{size}"}}"#)
        })
        .collect();
    texts.join(",")
}

fn change(change: &LevelChange) -> String {
    let (bid_e4, ask_e4) = change.touch_e4;
    format!(
        r#"{{"asset_id":"{}","price":"{}","size":"{}","side":"{}","hash":"{}","best_bid":"{}","best_ask":"{}"}}"#,
        &*change.token,
        decimal(change.level.price_e4.into(), 4),
        decimal(change.level.size_e6, 6),
        change.side.as_str(),
        change.hash.as_ref().map_or("0f", text),
        price_or_nothing(bid_e4),
        price_or_nothing(ask_e4),
    )
}

fn price_or_nothing(price_e4: Option<u16>) -> String {
    price_e4.map_or(String::new(), |price_e4| decimal(price_e4.into(), 4))
}

fn text(hash: &HashText) -> &str {
    std::str::from_utf8(hash).expect("hashes are ASCII")
}
