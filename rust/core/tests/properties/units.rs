use claw_core::units::{Outcome, Side, mirror_price_e4, parse_price_e4, parse_size_e6, parse_tick_e4};
use proptest::prelude::*;

use crate::wire::decimal;

proptest! {
    #[test]
    fn parsing_inverts_writing(price_e4 in 1..10_000_u16, size_e6 in any::<u64>(), zeros in 0..3_usize) {
        let price = decimal(price_e4.into(), 4);
        let padded = if price.contains('.') { price + &"0".repeat(zeros) } else { price };
        prop_assert_eq!(parse_price_e4(&padded), Ok(price_e4));
        prop_assert_eq!(parse_size_e6(&decimal(size_e6, 6)), Ok(size_e6));
    }

    #[test]
    fn mirroring_twice_is_nothing(price_e4 in 0..=10_000_u16) {
        prop_assert_eq!(mirror_price_e4(mirror_price_e4(price_e4)), price_e4);
        prop_assert_eq!(Outcome::No.to_yes_frame(Side::Buy, price_e4), (Side::Sell, 10_000 - price_e4));
    }
}

#[test]
fn only_plain_decimals_in_range_are_values() {
    for text in [
        "", ".", "-0.5", "+0.5", "1e-2", " 0.5", "0.5.", "0,5", "٣", "0x1", "nan", "0", "1", "0.00001", "2",
    ] {
        assert!(parse_price_e4(text).is_err(), "{text:?}");
    }
    for text in [
        "",
        "-1",
        "0.0000001",
        "18446744073709.551616",
        "99999999999999999999",
    ] {
        assert!(parse_size_e6(text).is_err(), "{text:?}");
    }
    for text in ["", "0", "0.003", "0.6", "1", "0.00001"] {
        assert!(parse_tick_e4(text).is_err(), "{text:?}");
    }
    assert_eq!(parse_price_e4(".5"), Ok(5_000));
    assert_eq!(parse_size_e6("5."), Ok(5_000_000));
    for (text, tick_e4) in [
        ("0.1", 1_000),
        ("0.01", 100),
        ("0.005", 50),
        ("0.0025", 25),
        ("0.001", 10),
        ("0.0001", 1),
    ] {
        assert_eq!(parse_tick_e4(text), Ok(tick_e4));
    }
}
