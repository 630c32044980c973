//! What the orchestrator is told of the account, so that it can read and submit for it: never the key that signs.
//!
//! With the API key it can cancel, as the guard can, and never place.

use claw_core::engine::VenueClock;
use claw_core::order::signing::OrderSigner;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::wire::ApiKey;

/// The account and its API key; erased on drop and never printed.
#[derive(Serialize)]
#[serde(tag = "type", rename = "AccountOpened")]
pub struct Account {
    address: String,
    wallet: String,
    signature_type: u8,
    api_key: String,
    secret: Zeroizing<String>,
    passphrase: Zeroizing<String>,
    /// What the venue's clock said, and when: who signs by the local clock can see whether that is right.
    venue_ms: u64,
    venue_at_ns: u64,
    v: u8,
}

impl Account {
    /// Copy the API key of an account.
    pub fn new(signer: &OrderSigner, key: &ApiKey, clock: VenueClock) -> Self {
        Self {
            address: signer.address().to_string(),
            wallet: String::from_utf8_lossy(signer.maker()).into_owned(),
            signature_type: signer.signature_type(),
            api_key: key.api_key.clone(),
            secret: key.secret.clone(),
            passphrase: key.passphrase.clone(),
            venue_ms: clock.venue_ms,
            venue_at_ns: clock.at_ns,
            v: 1,
        }
    }
}
