//! L2 request signatures: base64url(HMAC-SHA256(secret, timestamp ‖ METHOD ‖ path ‖ body)).
//!
//! The path is without host and query, the body the exact bytes that are sent. Source: polymarket.md §2.2.

use std::fmt;

use base64::Engine;
use base64::alphabet::URL_SAFE as URL_SAFE_ALPHABET;
use base64::engine::general_purpose::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use thiserror::Error;
use zeroize::Zeroizing;

use super::text::{is_plain, push_decimal};

/// Secrets come with or without padding.
const SECRET: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE_ALPHABET,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Why there are no credentials; shows no part of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CredentialError {
    /// Cannot stand in a header.
    #[error("the {0} is not plain visible ASCII")]
    NotPlain(&'static str),
    /// Not base64.
    #[error("the secret is not base64")]
    InvalidSecret,
}

/// One API key, keyed once; its secret and passphrase are erased on drop and never shown.
#[derive(Clone)]
pub struct Credentials {
    api_key: String,
    passphrase: Zeroizing<String>,
    keyed: Hmac<Sha256>,
}

impl Credentials {
    /// Take an API key as the venue gives it; either base64 alphabet, padded or not.
    ///
    /// # Errors
    /// When a part cannot stand in a header or the secret cannot be decoded.
    pub fn new(api_key: &str, secret: &str, passphrase: &str) -> Result<Self, CredentialError> {
        for (name, text) in [("API key", api_key), ("passphrase", passphrase)] {
            if !is_plain(text) {
                return Err(CredentialError::NotPlain(name));
            }
        }
        let url_safe = Zeroizing::new(secret.replace('+', "-").replace('/', "_"));
        let decoded = SECRET
            .decode(url_safe.as_bytes())
            .map_err(|_| CredentialError::InvalidSecret)?;
        let decoded = Zeroizing::new(decoded);
        Ok(Self {
            api_key: api_key.to_owned(),
            passphrase: Zeroizing::new(passphrase.to_owned()),
            keyed: Hmac::new_from_slice(&decoded).map_err(|_| CredentialError::InvalidSecret)?,
        })
    }

    /// Value of `POLY_API_KEY`.
    #[must_use]
    pub fn api_key(&self) -> &str {
        &self.api_key
    }

    /// Value of `POLY_PASSPHRASE`.
    #[must_use]
    pub fn passphrase(&self) -> &str {
        &self.passphrase
    }

    /// Value of `POLY_SIGNATURE`; `method` in capitals.
    #[must_use]
    pub fn sign(&self, timestamp_s: u64, method: &str, path: &str, body: &[u8]) -> String {
        let mut timestamp = Vec::with_capacity(20);
        push_decimal(&mut timestamp, timestamp_s);
        let mac = self
            .keyed
            .clone()
            .chain_update(&timestamp)
            .chain_update(method)
            .chain_update(path)
            .chain_update(body);
        URL_SAFE.encode(mac.finalize().into_bytes())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Credentials({})", self.api_key)
    }
}
