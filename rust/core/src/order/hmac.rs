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

use super::text::{Decimal, is_plain};

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

/// Bytes of a SHA-256 in base64.
const SIGNATURE_BYTES: usize = 44;

/// Value of `POLY_SIGNATURE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestSignature([u8; SIGNATURE_BYTES]);

impl RequestSignature {
    /// Its text, ASCII all.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// One API key, keyed once; its secret and passphrase are erased on drop and never shown.
///
/// Keyed: both halves of the HMAC's key are hashed when it is made, so that a signature costs its message alone.
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
    pub fn sign(&self, timestamp_s: u64, method: &str, path: &str, body: &[u8]) -> RequestSignature {
        let mut mac = self.keyed.clone();
        mac.update(Decimal::of(timestamp_s).as_bytes());
        mac.update(method.as_bytes());
        mac.update(path.as_bytes());
        mac.update(body);
        let mut text = [0; SIGNATURE_BYTES];
        // 32 bytes are 44 characters: it cannot fail.
        let _ = URL_SAFE.encode_slice(mac.finalize().into_bytes(), &mut text);
        RequestSignature(text)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Credentials({})", self.api_key)
    }
}
