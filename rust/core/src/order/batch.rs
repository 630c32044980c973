//! Batches of a deposit wallet that turn positions back into money: what its owner signs for the relayer.
//!
//! ```text
//! call    selector ‖ pUSD ‖ parent 0 ‖ condition ‖ where the parts begin ‖ [amount] ‖ 2 ‖ 1 ‖ 2
//! digest  keccak(0x1901 ‖ wallet's domain ‖ keccak(Batch type ‖ wallet ‖ nonce ‖ deadline ‖ keccak(call hashes)))
//! ```
//!
//! Nothing else can be said: contracts and selectors are constants, so a signature never moves money or tokens to
//! anyone, whoever asks for it. Source: polymarket.md §1.2, §9.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::address::Address;
use super::signing::{Account, OrderSigner};
use super::text::read_hex;
use super::typed_data::{CONTRACT_DOMAIN_TYPE, Word, digest, hash_words, keccak256, word};

/// Most calls of one batch.
pub const MAX_CALLS: usize = 100;

const POLYGON: u64 = 137;
const COLLATERAL: &str = "0xC011a7E12a19f7B1f670d46F03B03f3342E82DFB";
const ADAPTER: &str = "0xAdA100Db00Ca00073811820692005400218FcE1f";
const NEG_RISK_ADAPTER: &str = "0xadA2005600Dec949baf300f4C6120000bDB6eAab";
const MERGE: &[u8] = b"mergePositions(address,bytes32,bytes32,uint256[],uint256)";
const REDEEM: &[u8] = b"redeemPositions(address,bytes32,bytes32,uint256[])";
const CALL_TYPE: &str = "Call(address target,uint256 value,bytes data)";
const BATCH_TYPE: &str = "Batch(address wallet,uint256 nonce,uint256 deadline,Call[] calls)";

/// Why a batch is not signed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BatchError {
    /// No calls, or too many.
    #[error("a batch has 1 to {MAX_CALLS} calls, not {0}")]
    Calls(usize),
    /// Not `0x` and 64 hexadecimal digits.
    #[error("{0:?} is not a condition id")]
    NotCondition(String),
    /// Only a deposit wallet's owner signs batches for it.
    #[error("only the owner of a deposit wallet signs its batches")]
    NoWallet,
    /// The adapters' addresses are known on Polygon alone.
    #[error("no collateral adapter is known on chain {0}")]
    UnknownChain(u64),
}

/// What is done with a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PositionKind {
    /// Pairs of both tokens become a dollar each.
    Merge,
    /// All tokens of a resolved market become their payout.
    Redeem,
}

/// One call of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PositionCall {
    /// Merge or redeem.
    pub kind: PositionKind,
    /// The condition id.
    pub market: String,
    /// Which adapter.
    pub neg_risk: bool,
    /// Pairs to merge; means nothing to a redemption.
    pub amount_e6: u64,
}

/// A batch as it is signed.
#[derive(Debug, Clone, Copy)]
pub struct WalletBatch<'a> {
    /// The wallet's next nonce.
    pub nonce: u64,
    /// Unix second after which it is void.
    pub deadline_s: u64,
    /// What it does, all of it or nothing.
    pub calls: &'a [PositionCall],
}

impl OrderSigner {
    /// Sign a batch of the deposit wallet that this key owns.
    ///
    /// # Errors
    /// When the account is no such wallet, or the batch is none.
    pub fn sign_batch(&self, batch: &WalletBatch<'_>) -> Result<[u8; 65], BatchError> {
        let Account::DepositWallet(wallet) = self.account else {
            return Err(BatchError::NoWallet);
        };
        if batch.calls.is_empty() || batch.calls.len() > MAX_CALLS {
            return Err(BatchError::Calls(batch.calls.len()));
        }
        let contracts = Contracts::of_chain(self.chain_id).ok_or(BatchError::UnknownChain(self.chain_id))?;
        let hashes: Result<Vec<Word>, BatchError> =
            batch.calls.iter().map(|call| contracts.call_hash(call)).collect();
        let contents = hash_words(&[
            keccak256([BATCH_TYPE, CALL_TYPE].concat().as_bytes()),
            wallet.to_word(),
            word(batch.nonce),
            word(batch.deadline_s),
            hash_words(&hashes?),
        ]);
        let domain = hash_words(&[
            keccak256(CONTRACT_DOMAIN_TYPE.as_bytes()),
            keccak256(b"DepositWallet"),
            keccak256(b"1"),
            word(self.chain_id),
            wallet.to_word(),
        ]);
        Ok(self.key.sign(digest(&domain, &contents)))
    }
}

struct Contracts {
    collateral: Address,
    adapter: Address,
    neg_risk_adapter: Address,
}

impl Contracts {
    fn of_chain(chain_id: u64) -> Option<Self> {
        let parse = |text| Address::parse(text).ok().filter(|_| chain_id == POLYGON);
        Some(Self {
            collateral: parse(COLLATERAL)?,
            adapter: parse(ADAPTER)?,
            neg_risk_adapter: parse(NEG_RISK_ADAPTER)?,
        })
    }

    fn call_hash(&self, call: &PositionCall) -> Result<Word, BatchError> {
        let target = if call.neg_risk {
            self.neg_risk_adapter
        } else {
            self.adapter
        };
        Ok(hash_words(&[
            keccak256(CALL_TYPE.as_bytes()),
            target.to_word(),
            word(0),
            keccak256(&self.data(call)?),
        ]))
    }

    /// The call's bytes: a dynamic array begins after the words before it, the amount included.
    fn data(&self, call: &PositionCall) -> Result<Vec<u8>, BatchError> {
        let condition = call.market.strip_prefix("0x").and_then(read_hex::<32>);
        let condition = condition.ok_or_else(|| BatchError::NotCondition(call.market.clone()))?;
        let (signature, amount, parts_at) = match call.kind {
            PositionKind::Merge => (MERGE, Some(word(call.amount_e6)), 5 * 32),
            PositionKind::Redeem => (REDEEM, None, 4 * 32),
        };
        let head = [self.collateral.to_word(), word(0), condition, word(parts_at)];
        let parts = [word(2), word(1), word(2)];
        let words: Vec<Word> = head.into_iter().chain(amount).chain(parts).collect();
        Ok([&keccak256(signature)[..4], words.as_flattened()].concat())
    }
}
