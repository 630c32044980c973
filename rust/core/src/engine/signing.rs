//! From an order on a token to the bytes that are sent: what the engine needs of an account's key.

use super::batches::SignBatch;
use super::orders::TokenOrder;
use crate::order::amounts::limit_amounts;
use crate::order::batch::WalletBatch;
use crate::order::body::{MAX_SALT, OrderType, Submission, order_body};
use crate::order::prefixed_hex;
use crate::order::signing::OrderSigner;
use crate::order::typed_data::{Exchange, OrderTerms, TokenId};

const NS_PER_MS: u64 = 1_000_000;

/// A signed order: its id is known before it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedOrder {
    /// The order's hash, which is the venue's id.
    pub order_id: String,
    /// Body of its request.
    pub body: Vec<u8>,
}

/// Whoever can sign for the account.
pub trait SignOrder {
    /// Build, hash and sign one post-only order.
    ///
    /// # Errors
    /// When no order can be made of it; says why.
    fn sign(&self, order: &TokenOrder) -> Result<SignedOrder, String>;

    /// Sign a batch of the account's wallet: `0x` and 65 bytes.
    ///
    /// # Errors
    /// When the account has no wallet, or the batch is none; says why.
    fn sign_batch(&self, batch: &SignBatch) -> Result<String, String>;
}

/// The account's key with the API key its orders are sent under.
#[derive(Debug)]
pub struct AccountSigner<'a> {
    /// Holds the private key.
    pub signer: &'a OrderSigner,
    /// The API key.
    pub owner: String,
}

impl SignOrder for AccountSigner<'_> {
    fn sign(&self, order: &TokenOrder) -> Result<SignedOrder, String> {
        let token = TokenId::parse(&order.token_id).map_err(|fault| fault.to_string())?;
        let amounts = limit_amounts(order.price_e4, order.size_e6, order.side, order.tick_e4)
            .map_err(|fault| fault.to_string())?;
        let terms = OrderTerms {
            token: &token,
            side: order.side,
            maker_amount_e6: amounts.maker_e6,
            taker_amount_e6: amounts.taker_e6,
            salt: order.salt,
            timestamp_ms: order.timestamp_ms,
        };
        let signed = self.signer.sign(Exchange::of(&token, order.neg_risk), &terms);
        let submission = Submission {
            owner: &self.owner,
            order_type: OrderType::Gtc,
            expiration_s: 0,
            is_post_only: true,
        };
        let body =
            order_body(self.signer, &terms, &signed, &submission).map_err(|fault| fault.to_string())?;
        Ok(SignedOrder {
            order_id: prefixed_hex(&signed.id),
            body,
        })
    }

    fn sign_batch(&self, batch: &SignBatch) -> Result<String, String> {
        let batch = WalletBatch {
            nonce: batch.nonce,
            deadline_s: batch.deadline_s,
            calls: &batch.calls,
        };
        let signature = self
            .signer
            .sign_batch(&batch)
            .map_err(|fault| fault.to_string())?;
        Ok(prefixed_hex(&signature))
    }
}

/// The venue's clock, kept by ours: a wrong or stepping local wall clock changes nothing.
#[derive(Debug, Clone, Copy)]
pub struct VenueClock {
    /// What the venue said.
    pub venue_ms: u64,
    /// When it said it.
    pub at_ns: u64,
}

impl VenueClock {
    /// The venue's Unix time in ms.
    #[must_use]
    pub const fn venue_ms(&self, now_ns: u64) -> u64 {
        let since_ms = now_ns.saturating_sub(self.at_ns) / NS_PER_MS;
        self.venue_ms.saturating_add(since_ms)
    }
}

/// Salts of orders: splitmix64 cut to what a JSON number holds exactly.
///
/// Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
#[derive(Debug)]
pub(super) struct Salts(u64);

impl Salts {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) & MAX_SALT
    }
}
