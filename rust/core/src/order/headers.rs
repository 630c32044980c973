//! L2 headers: what every request of an account carries, its signature among it. Source: polymarket.md §2.2.

use http::Method;
use http::header::{HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue};

use super::hmac::{CredentialError, Credentials};

const SIGNATURE: HeaderName = HeaderName::from_static("poly_signature");
const TIMESTAMP: HeaderName = HeaderName::from_static("poly_timestamp");
const ADDRESS: HeaderName = HeaderName::from_static("poly_address");
const API_KEY: HeaderName = HeaderName::from_static("poly_api_key");
const PASSPHRASE: HeaderName = HeaderName::from_static("poly_passphrase");
/// Those above, and the two that a connection adds.
const HEADERS: usize = 7;

/// Signs the requests of one API key; what is secret is never shown.
pub struct RequestSigner {
    credentials: Credentials,
    /// What every signed request has in common.
    common: HeaderMap,
}

impl RequestSigner {
    /// An API key of `address`.
    ///
    /// # Errors
    /// When a part cannot stand in a header.
    pub fn new(address: &str, credentials: Credentials) -> Result<Self, CredentialError> {
        let mut common = HeaderMap::with_capacity(HEADERS);
        for (name, part, text) in [
            (ADDRESS, "address", address),
            (API_KEY, "API key", credentials.api_key()),
            (PASSPHRASE, "passphrase", credentials.passphrase()),
        ] {
            let mut text = HeaderValue::from_str(text).map_err(|_| CredentialError::NotPlain(part))?;
            text.set_sensitive(true);
            common.insert(name, text);
        }
        Ok(Self { credentials, common })
    }

    /// Whose key it is at the venue.
    #[must_use]
    pub fn api_key(&self) -> &str {
        self.credentials.api_key()
    }

    /// Headers of one request; the signature covers `path`, which is without the query, and all of `body`.
    ///
    /// # Errors
    /// When the signature cannot stand in a header.
    pub fn headers(
        &self,
        timestamp_s: u64,
        method: &Method,
        path: &str,
        body: &[u8],
    ) -> Result<HeaderMap, InvalidHeaderValue> {
        let signature = self.credentials.sign(timestamp_s, method.as_str(), path, body);
        let mut headers = self.common.clone();
        headers.insert(SIGNATURE, HeaderValue::from_str(signature.as_str())?);
        headers.insert(TIMESTAMP, timestamp_s.into());
        Ok(headers)
    }
}
