//! Binding of `claw_core::order`.

use claw_core::order::address::Address;
use claw_core::order::amounts::limit_amounts;
use claw_core::order::batch::{PositionCall, PositionKind, WalletBatch};
use claw_core::order::body::{OrderType, Submission, order_body};
use claw_core::order::headers;
use claw_core::order::hmac::Credentials;
use claw_core::order::prefixed_hex;
use claw_core::order::signing::{self, Account, SigningKey};
use claw_core::order::typed_data::{Exchange, OrderTerms, TokenId};
use claw_core::units::Side;
use http::Method;
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyBytes, PyDict, PyString};

use crate::quoting::to_e4;

/// One account that signs orders and logins.
#[pyclass(frozen, module = "clawswarm._core")]
pub struct OrderSigner {
    inner: signing::OrderSigner,
    address: Py<PyString>,
}

#[pymethods]
impl OrderSigner {
    #[new]
    #[pyo3(signature = (private_key, chain_id, signature_type, funder, session = false))]
    fn new(
        py: Python<'_>,
        private_key: &[u8],
        chain_id: u64,
        signature_type: u8,
        funder: Option<&str>,
        session: bool,
    ) -> PyResult<Self> {
        let key = SigningKey::new(private_key).map_err(value_error)?;
        let funder = funder.map(Address::parse).transpose().map_err(value_error)?;
        let account = Account::new(signature_type, funder, session).map_err(value_error)?;
        let inner = signing::OrderSigner::new(key, chain_id, account).map_err(value_error)?;
        let address = PyString::new(py, &inner.address().to_string()).unbind();
        Ok(Self { inner, address })
    }

    /// Checksummed address of the key.
    #[getter]
    fn address(&self, py: Python<'_>) -> Py<PyString> {
        self.address.clone_ref(py)
    }

    fn __repr__(&self) -> String {
        format!("OrderSigner({})", self.inner.address())
    }

    /// Hash, sign and write one order.
    #[allow(
        clippy::too_many_arguments,
        reason = "the fields of one order, passed flat across the language border"
    )]
    fn sign_order<'py>(
        &self,
        py: Python<'py>,
        token_id: &str,
        side: &str,
        maker_amount: u64,
        taker_amount: u64,
        salt: u64,
        timestamp_ms: u64,
        neg_risk: bool,
        api_key: &str,
        post_only: bool,
        order_type: &str,
        expiration_s: u64,
    ) -> PyResult<(String, Bound<'py, PyBytes>)> {
        let token = TokenId::parse(token_id).map_err(value_error)?;
        let terms = OrderTerms {
            token: &token,
            side: Side::parse(side).map_err(value_error)?,
            maker_amount_e6: maker_amount,
            taker_amount_e6: taker_amount,
            salt,
            timestamp_ms,
        };
        let order_type = OrderType::parse(order_type)
            .ok_or_else(|| PyValueError::new_err(format!("order type {order_type:?} is unknown")))?;
        let submission = Submission {
            owner: api_key,
            order_type,
            expiration_s,
            is_post_only: post_only,
        };
        let signed = self.inner.sign(Exchange::of(&token, neg_risk), &terms);
        let body = order_body(&self.inner, &terms, &signed, &submission).map_err(value_error)?;
        Ok((prefixed_hex(&signed.id), PyBytes::new(py, &body)))
    }

    /// Sign a batch of position calls of the deposit wallet.
    fn sign_batch(
        &self,
        nonce: u64,
        deadline_s: u64,
        calls: Vec<(PyBackedStr, PyBackedStr, bool, u64)>,
    ) -> PyResult<String> {
        let calls: PyResult<Vec<PositionCall>> = calls.into_iter().map(to_call).collect();
        let batch = WalletBatch {
            nonce,
            deadline_s,
            calls: &calls?,
        };
        let signature = self.inner.sign_batch(&batch).map_err(value_error)?;
        Ok(prefixed_hex(&signature))
    }

    /// L1 headers, for the key endpoints alone.
    fn login_headers<'py>(
        &self,
        py: Python<'py>,
        timestamp_s: u64,
        nonce: u64,
    ) -> PyResult<Bound<'py, PyDict>> {
        let signature = prefixed_hex(&self.inner.sign_login(timestamp_s, nonce));
        let headers = PyDict::new(py);
        headers.set_item(intern!(py, "POLY_ADDRESS"), &self.address)?;
        headers.set_item(intern!(py, "POLY_SIGNATURE"), signature)?;
        headers.set_item(intern!(py, "POLY_TIMESTAMP"), timestamp_s.to_string())?;
        headers.set_item(intern!(py, "POLY_NONCE"), nonce.to_string())?;
        Ok(headers)
    }
}

/// One API key that signs requests, keyed once.
#[pyclass(frozen, module = "clawswarm._core")]
pub struct RequestSigner {
    inner: headers::RequestSigner,
}

#[pymethods]
impl RequestSigner {
    #[new]
    fn new(address: &str, api_key: &str, secret: &str, passphrase: &str) -> PyResult<Self> {
        let credentials = Credentials::new(api_key, secret, passphrase).map_err(value_error)?;
        let inner = headers::RequestSigner::new(address, credentials).map_err(value_error)?;
        Ok(Self { inner })
    }

    fn __repr__(&self) -> String {
        format!("RequestSigner({})", self.inner.api_key())
    }

    /// L2 headers of one request.
    fn headers<'py>(
        &self,
        py: Python<'py>,
        method: &str,
        path: &str,
        body: &[u8],
        timestamp_s: u64,
    ) -> PyResult<Bound<'py, PyDict>> {
        let method = Method::from_bytes(method.as_bytes()).map_err(value_error)?;
        let signed = self.inner.headers(timestamp_s, &method, path, body);
        let headers = PyDict::new(py);
        for (name, text) in &signed.map_err(value_error)? {
            let text = text.to_str().map_err(value_error)?;
            headers.set_item(name.as_str().to_ascii_uppercase(), text)?;
        }
        Ok(headers)
    }
}

/// Maker and taker amount of a limit order in 1e-6.
#[pyfunction]
pub fn amounts(price_e4: i64, size_e6: u64, side: &str, tick_e4: i64) -> PyResult<(u64, u64)> {
    let (price_e4, tick_e4) = (to_e4("price_e4", price_e4)?, to_e4("tick_e4", tick_e4)?);
    let amounts = limit_amounts(
        price_e4,
        size_e6,
        Side::parse(side).map_err(value_error)?,
        tick_e4,
    )
    .map_err(value_error)?;
    Ok((amounts.maker_e6, amounts.taker_e6))
}

fn to_call(
    (kind, market, neg_risk, amount_e6): (PyBackedStr, PyBackedStr, bool, u64),
) -> PyResult<PositionCall> {
    let kind = match &*kind {
        "merge" => PositionKind::Merge,
        "redeem" => PositionKind::Redeem,
        other => return Err(PyValueError::new_err(format!("a position is not {other:?}d"))),
    };
    Ok(PositionCall {
        kind,
        market: market.to_string(),
        neg_risk,
        amount_e6,
    })
}

/// A domain error as Python's.
pub fn value_error(error: impl std::error::Error) -> PyErr {
    PyValueError::new_err(error.to_string())
}
