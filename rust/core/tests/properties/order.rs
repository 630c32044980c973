use claw_core::order::address::{Address, AddressError};
use claw_core::order::amounts::{AmountError, Amounts, TICKS_E4, limit_amounts};
use claw_core::order::body::{
    BodyError, MAX_SALT, OrderType, Submission, cancel_order_body, cancel_orders_body, order_body,
    orders_body,
};
use claw_core::order::hmac::{CredentialError, Credentials};
use claw_core::order::prefixed_hex;
use claw_core::order::signing::{Account, OrderSigner, SignedOrder, SignerError, SigningKey};
use claw_core::order::typed_data::{Domains, Exchange, ORDER_TYPE, OrderTerms, TokenId};
use claw_core::units::Side;
use proptest::prelude::*;
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, Secp256k1};
use sha3::{Digest, Keccak256};

const DEV_KEY: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const DEV_ADDRESS: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
const WALLET: &str = "0x1111111111111111111111111111111111111111";
const TOKEN: &str = "71321045679252212594626385532706912750332728571942532289631379312455583992563";
const SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const SALT: u64 = 479_249_096_354;
const TIMESTAMP_MS: u64 = 1_700_000_000_123;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("a test's own hex"))
        .collect()
}

fn signer(signature_type: u8, is_session: bool) -> OrderSigner {
    let funder = (signature_type > 0).then(|| Address::parse(WALLET).expect("valid in the tests"));
    let account = Account::new(signature_type, funder, is_session).expect("valid in the tests");
    OrderSigner::new(
        SigningKey::new(&bytes(DEV_KEY)).expect("valid in the tests"),
        137,
        account,
    )
    .expect("valid in the tests")
}

fn terms(token: &TokenId, side: Side) -> OrderTerms<'_> {
    let (maker_amount_e6, taker_amount_e6) = match side {
        Side::Buy => (5_200_000, 10_000_000),
        Side::Sell => (10_000_000, 5_200_000),
    };
    OrderTerms {
        token,
        side,
        maker_amount_e6,
        taker_amount_e6,
        salt: SALT,
        timestamp_ms: TIMESTAMP_MS,
    }
}

fn recovered(digest: [u8; 32], signature: &[u8]) -> String {
    let id = RecoveryId::try_from(i32::from(signature[64]) - 27).expect("valid in the tests");
    let signature = RecoverableSignature::from_compact(&signature[..64], id).expect("valid in the tests");
    let public = Secp256k1::new()
        .recover_ecdsa(Message::from_digest(digest), &signature)
        .expect("valid in the tests");
    let hash = Keccak256::digest(&public.serialize_uncompressed()[1..]);
    Address(hash[12..].try_into().expect("valid in the tests")).to_string()
}

#[test]
fn orders_of_an_account_are_the_published_vectors() {
    let (signer, token) = (signer(0, false), TokenId::parse(TOKEN).unwrap());
    for (exchange, side, id, signature) in [
        (
            Exchange::Standard,
            Side::Buy,
            "12e98298dfa3db1cfb3d43a6c5734ce2bd33285174123eaf9460bf6381d3a75e",
            "0f394c466394b93f2dcf432d9ada1bc82f4f72f488a17be1da12417beef50bd8\
             78dc27d4f2e7158e0102e1b008c95a1773dff6182122fc67b53dbbb5aa483c8c1b",
        ),
        (
            Exchange::Standard,
            Side::Sell,
            "7cae3456db3370f0fd56c7cfc0618254b2d410ad47a3339fb0e4983f4591eb47",
            "fd421c6a378a0f533d41428816a4b47c12e9d31df5c333324eb2d4f2ec98da72\
             439afcbfca4db5f4fa1bf3ce3af61e64b55e2319e2649313e77d1d1a9a8e32b51c",
        ),
        (
            Exchange::NegRisk,
            Side::Buy,
            "1dcd4567913dfd755e15f5912533802a3a67848ea080a135bbbbccb48e9b6d8d",
            "ad158bcd5b3943565fd5310bafc40e3889c2495f3622238e74224f774c0e2e73\
             5f48d50f9c02e355a808aa219996ec881fd1a21beeca9da6f37f2294d87db1511c",
        ),
        (
            Exchange::V3,
            Side::Buy,
            "28a3c0d576788aab9bea167e5c1044ab8147af3dc8af8883988df29e81cf1ebf",
            "8cc853d008c097d5eb7d3cf97322f4c6f09718027f1dbb5af2a55d726bd0195c\
             1ce2fbf0c64c005aa3d022d510e0104c28d10fb44de73bd1204ca18d7481a1ed1b",
        ),
    ] {
        let signed = signer.sign(exchange, &terms(&token, side));
        assert_eq!(
            (hex(&signed.id).as_str(), hex(&signed.signature).as_str()),
            (id, signature)
        );
        assert_eq!(recovered(signed.id, &signed.signature), DEV_ADDRESS);
    }
}

#[test]
fn domains_are_the_published_ones() {
    let domains = Domains::of_chain(137).unwrap();
    for (exchange, separator) in [
        (
            Exchange::Standard,
            "3264e159346253e26a64e00b69032db0e7d32f94628de3e6eecb50304d7af3d2",
        ),
        (
            Exchange::NegRisk,
            "9b858f53327b0bd13af8ec14cfb35234fb9eb7b0504d1a4e61f433840d30e81a",
        ),
        (
            Exchange::V3,
            "466c63910185bbd55e8679264200c4e0abdcbb0c6264eb3d41d13326022e095b",
        ),
    ] {
        assert_eq!(hex(domains.exchange(exchange)), separator);
    }
    assert!(Domains::of_chain(1).is_none());
    assert!(Domains::of_chain(80_002).is_some());
}

#[test]
fn a_deposit_wallet_order_is_the_published_vector() {
    let (signer, token) = (signer(3, false), TokenId::parse(TOKEN).unwrap());
    let signed = signer.sign(Exchange::Standard, &terms(&token, Side::Buy));
    assert_eq!(
        hex(&signed.id),
        "46d2a20fb801fbe3a9bbfd30bd3e118a43e135bcec7a9a5b9449ca8972341192"
    );
    assert_eq!(
        hex(&signed.signature[..65]),
        "896fdeaea5a87fa87d0c04fccdc760ff2339b40ed5374676598914f2ec4d243d\
         652dc2f847e9c096583aba76a087b7cb15544af9e326959382c0a6bc144588891c"
    );
    assert_eq!(
        (signed.signature.len(), &signed.signature[315..]),
        (317, &[0x00, 0xba][..])
    );
    assert_eq!(&signed.signature[129..315], ORDER_TYPE.as_bytes());
}

#[test]
fn a_session_signer_wraps_the_deposit_wallets_signature() {
    let token = TokenId::parse(TOKEN).unwrap();
    let inner = signer(3, false).sign(Exchange::Standard, &terms(&token, Side::Buy));
    let outer = signer(3, true).sign(Exchange::Standard, &terms(&token, Side::Buy));
    assert_eq!(outer.id, inner.id);
    assert_eq!(outer.signature.len(), 480);
    assert_eq!(hex(&outer.signature[12..32]), DEV_ADDRESS[2..].to_lowercase());
    assert_eq!(outer.signature[32..64], [0; 32]);
    assert_eq!(
        (outer.signature[95], &outer.signature[126..128]),
        (96, &[0x01, 0x3d][..])
    );
    assert_eq!(outer.signature[128..445], inner.signature);
    assert_eq!(outer.signature[445..448], [0; 3]);
    assert_eq!(hex(&outer.signature[448..]), "6492".repeat(16));
}

#[test]
fn logins_and_requests_are_the_published_vectors() {
    assert_eq!(
        prefixed_hex(&signer(0, false).sign_login(1_700_000_000, 0)),
        "0x659ed4b28ae28e0f038fdf0023c00863c9559caacb9ebc83f44eea87059a099a\
         36f1e1dee110e7faa1c4f65d17489b2da1333ebef78bbe2116d81207b975052d1c"
    );
    let unpadded = SECRET.trim_end_matches('=');
    for secret in [SECRET, unpadded] {
        let credentials = Credentials::new("key", secret, "passphrase").unwrap();
        let sign = |method, path, body: &str| {
            let signature = credentials.sign(1_700_000_000, method, path, body.as_bytes());
            signature.as_str().to_owned()
        };
        assert_eq!(
            sign("GET", "/data/orders", ""),
            "NTt0e8XQzUuVTici5whIU-0NfgRXijqf0FarNw-ik2Q="
        );
        assert_eq!(
            sign("POST", "/v1/heartbeats", r#"{"heartbeat_id":""}"#),
            "gnGt9dMY7xDmqdx8SjC0pG3lzRjw-b7aijqO032Kp2Q="
        );
    }
}

#[test]
fn limit_rounding_is_the_published_vectors() {
    for (price_e4, size_e6, side, tick_e4, maker_e6, taker_e6) in [
        (5_200, 10_000_000, Side::Buy, 100, 5_200_000, 10_000_000),
        (5_230, 12_345_000, Side::Buy, 10, 6_453_820, 12_340_000),
        (5_230, 12_345_000, Side::Sell, 10, 12_340_000, 6_453_820),
        (125, 33_330_000, Side::Buy, 25, 416_625, 33_330_000),
    ] {
        assert_eq!(
            limit_amounts(price_e4, size_e6, side, tick_e4),
            Ok(Amounts { maker_e6, taker_e6 })
        );
    }
}

#[test]
fn what_is_no_limit_order_has_no_amounts() {
    let size = 1_000_000;
    assert_eq!(
        limit_amounts(5_000, size, Side::Buy, 20),
        Err(AmountError::UnknownTick(20))
    );
    for (price_e4, tick_e4) in [(0, 1), (10_000, 1), (9_950, 100), (5_010, 25), (65_535, 1_000)] {
        assert_eq!(
            limit_amounts(price_e4, size, Side::Buy, tick_e4),
            Err(AmountError::OffGrid { price_e4, tick_e4 })
        );
    }
    assert_eq!(
        limit_amounts(5_000, 9_999, Side::Sell, 100),
        Err(AmountError::NoSize(9_999))
    );
    assert!(limit_amounts(9_999, u64::MAX, Side::Sell, 1).is_ok());
}

#[test]
fn the_body_is_the_official_clients_byte_for_byte() {
    let (signer, token) = (signer(0, false), TokenId::parse(TOKEN).unwrap());
    let terms = terms(&token, Side::Buy);
    let signed = signer.sign(Exchange::Standard, &terms);
    let submission = Submission {
        owner: "an-api-key",
        order_type: OrderType::Gtc,
        expiration_s: 0,
        is_post_only: true,
    };
    let body = order_body(&signer, &terms, &signed, &submission).unwrap();
    let zero = "0".repeat(64);
    let expected = format!(
        concat!(
            r#"{{"deferExec":false,"order":{{"builder":"0x{zero}","expiration":"0","maker":"{address}","#,
            r#""makerAmount":"5200000","metadata":"0x{zero}","salt":479249096354,"side":"BUY","#,
            r#""signature":"0x{signature}","signatureType":0,"signer":"{address}","takerAmount":"10000000","#,
            r#""timestamp":"1700000000123","tokenId":"{token}"}},"orderType":"GTC","owner":"an-api-key","#,
            r#""postOnly":true}}"#
        ),
        zero = zero,
        address = DEV_ADDRESS,
        signature = hex(&signed.signature),
        token = TOKEN,
    );
    assert_eq!(String::from_utf8(body.clone()).unwrap(), expected);
    let taker = Submission {
        order_type: OrderType::Fak,
        is_post_only: false,
        ..submission
    };
    let taker = order_body(&signer, &terms, &signed, &taker).unwrap();
    let batch = String::from_utf8(orders_body(&[&body, &taker]).unwrap()).unwrap();
    assert_eq!(
        batch,
        format!(
            "[{expected},{}]",
            expected.replace(r#","postOnly":true"#, "").replace("GTC", "FAK")
        )
    );
}

#[test]
fn cancel_bodies_are_the_documented_ones() {
    assert_eq!(cancel_order_body("0xab").unwrap(), br#"{"orderID":"0xab"}"#);
    assert_eq!(cancel_orders_body(&["0xab"]).unwrap(), br#"["0xab"]"#);
    assert_eq!(
        cancel_orders_body(&["0xab", "0xcd"]).unwrap(),
        br#"["0xab","0xcd"]"#
    );
    let none: [&str; 0] = [];
    assert_eq!(
        cancel_orders_body(&none),
        Err(BodyError::WrongCount { count: 0, max: 1_000 })
    );
    assert!(cancel_orders_body(&vec!["0xab"; 1_001]).is_err());
    for id in ["", "0x\"", "a b", "a\\", "é", "\n"] {
        assert_eq!(cancel_order_body(id), Err(BodyError::NotPlain("order id")));
        assert_eq!(
            cancel_orders_body(&["0xab", id]),
            Err(BodyError::NotPlain("order id"))
        );
    }
}

#[test]
fn what_the_venue_would_refuse_for_its_form_has_no_body() {
    let (signer, token) = (signer(0, false), TokenId::parse(TOKEN).unwrap());
    let terms = terms(&token, Side::Buy);
    let signed = SignedOrder {
        id: [0; 32],
        signature: vec![0; 65],
    };
    let plain = Submission {
        owner: "key",
        order_type: OrderType::Gtc,
        expiration_s: 0,
        is_post_only: false,
    };
    let refused = |terms, submission| order_body(&signer, &terms, &signed, &submission).unwrap_err();
    assert_eq!(
        refused(
            terms,
            Submission {
                owner: "k\"",
                ..plain
            }
        ),
        BodyError::NotPlain("owner")
    );
    let salty = OrderTerms {
        salt: MAX_SALT + 1,
        ..terms
    };
    assert_eq!(refused(salty, plain), BodyError::SaltTooLarge(MAX_SALT + 1));
    assert_eq!(
        refused(
            terms,
            Submission {
                expiration_s: 9,
                ..plain
            }
        ),
        BodyError::WrongExpiration("GTC", 9)
    );
    let dateless = Submission {
        order_type: OrderType::Gtd,
        ..plain
    };
    assert_eq!(refused(terms, dateless), BodyError::WrongExpiration("GTD", 0));
    let post_only = Submission {
        order_type: OrderType::Fok,
        is_post_only: true,
        ..plain
    };
    assert_eq!(refused(terms, post_only), BodyError::PostOnly("FOK"));
    let bodies: Vec<Vec<u8>> = vec![vec![]; 16];
    assert_eq!(
        orders_body(&bodies),
        Err(BodyError::WrongCount { count: 16, max: 15 })
    );
    assert_eq!(OrderType::parse("GTX"), None);
}

#[test]
fn accounts_that_do_not_add_up_are_refused() {
    let wallet = Address::parse(WALLET).ok();
    assert_eq!(
        Account::new(4, None, false),
        Err(SignerError::UnknownSignatureType(4))
    );
    for (signature_type, funder, is_session) in [
        (0, wallet, false),
        (0, None, true),
        (1, None, false),
        (2, wallet, true),
        (3, None, false),
    ] {
        assert!(matches!(
            Account::new(signature_type, funder, is_session),
            Err(SignerError::WrongAccount(..))
        ));
    }
    for key in [&[0; 32][..], &[0xff; 32], &[1; 31], &[]] {
        assert_eq!(SigningKey::new(key).unwrap_err(), SignerError::InvalidKey);
    }
    let key = SigningKey::new(&bytes(DEV_KEY)).unwrap();
    assert_eq!(
        OrderSigner::new(key, 1, Account::Eoa).unwrap_err(),
        SignerError::UnknownChain(1)
    );
}

#[test]
fn no_text_shows_a_secret() {
    let shown = format!("{:?}", signer(3, true));
    assert!(shown.contains(DEV_ADDRESS));
    assert!(!shown.contains(DEV_KEY) && !shown.contains(&format!("{:?}", bytes(DEV_KEY))));
    let credentials = Credentials::new("key", SECRET, "hush").unwrap();
    assert_eq!(format!("{credentials:?}"), "Credentials(key)");
    assert_eq!(
        Credentials::new("key", "~", "hush").unwrap_err(),
        CredentialError::InvalidSecret
    );
    assert_eq!(
        Credentials::new("k\n", SECRET, "h").unwrap_err(),
        CredentialError::NotPlain("API key")
    );
}

#[test]
fn addresses_are_read_with_their_checksum() {
    for text in [
        DEV_ADDRESS,
        &DEV_ADDRESS.to_lowercase(),
        &format!("0x{}", DEV_ADDRESS[2..].to_uppercase()),
    ] {
        assert_eq!(Address::parse(text).unwrap().to_string(), DEV_ADDRESS);
    }
    let mistyped = DEV_ADDRESS.replace("aad8", "AAD8");
    assert_eq!(
        Address::parse(&mistyped),
        Err(AddressError::WrongChecksum(mistyped.clone()))
    );
    for text in [
        "",
        "0x",
        "f39F",
        &DEV_ADDRESS[..41],
        &DEV_ADDRESS.replace("f3", "g3"),
        "0xé",
    ] {
        assert_eq!(Address::parse(text), Err(AddressError::NotHex(text.to_owned())));
    }
}

#[test]
fn a_token_id_is_a_number_of_256_bits() {
    let largest = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
    assert_eq!(TokenId::parse(largest).unwrap().as_str(), largest);
    for text in [
        "",
        "01",
        "-1",
        "0x1",
        "1 ",
        "115792089237316195423570985008687907853269984665640564039457584007913129639936",
        &"9".repeat(79),
    ] {
        assert!(TokenId::parse(text).is_err(), "{text}");
    }
}

#[test]
fn protocol_v2_positions_settle_on_v3() {
    // Module 2, outcome 1; then with a reserved bit set; then of a module that does not exist.
    for (text, exchange) in [
        (
            "904625697166532776746648320380374294719176115591710614054651651764950925313",
            Exchange::V3,
        ),
        (
            "904625697166532776746648320380374294719176115591710614054651653963974180865",
            Exchange::NegRisk,
        ),
        (
            "1809251394333065553493296640760748574822847870792027520612914026826772250625",
            Exchange::NegRisk,
        ),
    ] {
        assert_eq!(Exchange::of(&TokenId::parse(text).unwrap(), true), exchange);
    }
    let ordinary = TokenId::parse(TOKEN).unwrap();
    assert_eq!(Exchange::of(&ordinary, false), Exchange::Standard);
    assert_eq!(Exchange::of(&ordinary, true), Exchange::NegRisk);
}

proptest! {
    #[test]
    fn a_rounded_order_has_its_price_and_loses_less_than_a_hundredth(
        tick_e4 in prop::sample::select(&TICKS_E4[..]),
        steps in 1..10_000_u16,
        size_e6 in 10_000..1_000_000_000_000_000_u64,
        is_buy in any::<bool>(),
    ) {
        let side = if is_buy { Side::Buy } else { Side::Sell };
        let price_e4 = steps % (10_000 / tick_e4 - 1) * tick_e4 + tick_e4;
        let Amounts { maker_e6, taker_e6 } = limit_amounts(price_e4, size_e6, side, tick_e4).expect("valid in the tests");
        let (money_e6, shares_e6) = if is_buy { (maker_e6, taker_e6) } else { (taker_e6, maker_e6) };
        prop_assert_eq!(u128::from(money_e6) * 10_000, u128::from(shares_e6) * u128::from(price_e4));
        prop_assert!(shares_e6 <= size_e6 && size_e6 - shares_e6 < 10_000 && shares_e6 % 10_000 == 0);
    }

    #[test]
    fn a_cancel_is_a_json_list_of_ids(ids in prop::collection::vec("0x[0-9a-f]{64}", 1..50)) {
        let read: Vec<String> = serde_json::from_slice(&cancel_orders_body(&ids).unwrap()).unwrap();
        prop_assert_eq!(read, ids);
    }

    #[test]
    fn a_signature_recovers_to_its_key(
        key in prop::array::uniform32(1..=255_u8),
        salt in 0..=MAX_SALT,
        timestamp_ms in any::<u64>(),
        maker_amount_e6 in any::<u64>(),
        signature_type in 0..=2_u8,
    ) {
        prop_assume!(key[0] < 255);
        let funder = (signature_type > 0).then(|| Address::parse(WALLET).expect("valid in the tests"));
        let account = Account::new(signature_type, funder, false).expect("valid in the tests");
        let signer = OrderSigner::new(SigningKey::new(&key).expect("valid in the tests"), 137, account).expect("valid in the tests");
        let token = TokenId::parse(TOKEN).expect("valid in the tests");
        let terms = OrderTerms {
            token: &token, side: Side::Sell, maker_amount_e6, taker_amount_e6: 1, salt, timestamp_ms,
        };
        let signed = signer.sign(Exchange::NegRisk, &terms);
        prop_assert_eq!(recovered(signed.id, &signed.signature), signer.address().to_string());
        prop_assert_eq!(signer.sign(Exchange::NegRisk, &terms), signed);
    }
}
