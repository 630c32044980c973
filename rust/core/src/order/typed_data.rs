//! EIP-712 typed data of orders and of the login: what is hashed before it is signed.
//!
//! ```text
//! order hash  = order id = keccak(0x1901 ‖ exchange domain ‖ keccak(Order type ‖ eleven words))
//! deposit wallet signs     keccak(0x1901 ‖ exchange domain ‖ keccak(TypedDataSign type ‖ order struct ‖ wallet))
//! login                    keccak(0x1901 ‖ login domain ‖ keccak(ClobAuth type ‖ four words))
//! ```
//!
//! Whatever does not change between two orders of one signer is laid out once (`OrderTemplate`,
//! `WalletTemplate`); an order fills in its words and hashes. Sources: polymarket.md §1.2–§1.3, §2.1, §2.4.

use sha3::{Digest, Keccak256};
use thiserror::Error;

use super::address::Address;
use crate::units::Side;

/// A Keccak-256 hash or a 32-byte word.
pub type Word = [u8; 32];

/// The type of the signed struct; also appended to a deposit wallet's signature.
pub const ORDER_TYPE: &str = "Order(uint256 salt,address maker,address signer,uint256 tokenId,\
    uint256 makerAmount,uint256 takerAmount,uint8 side,uint8 signatureType,\
    uint256 timestamp,bytes32 metadata,bytes32 builder)";

const TYPED_DATA_SIGN_TYPE: &str = "TypedDataSign(Order contents,string name,string version,\
    uint256 chainId,address verifyingContract,bytes32 salt)";
pub(super) const CONTRACT_DOMAIN_TYPE: &str =
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
const LOGIN_DOMAIN_TYPE: &str = "EIP712Domain(string name,string version,uint256 chainId)";
const LOGIN_TYPE: &str = "ClobAuth(address address,string timestamp,uint256 nonce,string message)";
const LOGIN_MESSAGE: &str = "This message attests that I control the given wallet";
const WORD: usize = 32;
const MAX_TOKEN_DIGITS: usize = 78;

/// Which contract settles an order, and so under which domain it is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exchange {
    /// CTF Exchange V2.
    Standard,
    /// Neg-risk CTF Exchange V2.
    NegRisk,
    /// Exchange V3, for position ids of Protocol V2.
    V3,
}

impl Exchange {
    /// The exchange of a token: Protocol-V2 positions trade on V3 whatever their market is.
    #[must_use]
    pub const fn of(token: &TokenId, is_neg_risk: bool) -> Self {
        match (token.is_protocol_v2, is_neg_risk) {
            (true, _) => Self::V3,
            (false, true) => Self::NegRisk,
            (false, false) => Self::Standard,
        }
    }
}

/// Why a text is no token id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("token id {0:?} is not a plain decimal number of 256 bits")]
pub struct TokenIdError(String);

/// An outcome token, as the number it is signed as and the text it is sent as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenId {
    text: String,
    word: Word,
    is_protocol_v2: bool,
}

impl TokenId {
    /// Read a token id: decimal digits without leading zeros, below 2^256.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn parse(text: &str) -> Result<Self, TokenIdError> {
        let word = read_decimal(text).ok_or_else(|| TokenIdError(text.to_owned()))?;
        Ok(Self {
            text: text.to_owned(),
            word,
            is_protocol_v2: is_protocol_v2(&word),
        })
    }

    /// The id as it was read.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// What distinguishes one order from the others of its signer.
#[derive(Debug, Clone, Copy)]
pub struct OrderTerms<'a> {
    /// Outcome token.
    pub token: &'a TokenId,
    /// Side on that token.
    pub side: Side,
    /// Given, in 1e-6.
    pub maker_amount_e6: u64,
    /// Wanted, in 1e-6.
    pub taker_amount_e6: u64,
    /// Makes the hash unique together with the timestamp.
    pub salt: u64,
    /// The signed time of the order.
    pub timestamp_ms: u64,
}

/// Both V2 exchanges have one address on every chain.
const STANDARD: &str = "0xE111180000d2663C0091e4f400237545B87B996B";
const NEG_RISK: &str = "0xe2222d279d744050d28e00520010520000310F59";

/// The exchange's address; None on a chain where the venue is not.
fn contract(chain_id: u64, exchange: Exchange) -> Option<Address> {
    let text = match (chain_id, exchange) {
        (137 | 80_002, Exchange::Standard) => STANDARD,
        (137 | 80_002, Exchange::NegRisk) => NEG_RISK,
        (137, Exchange::V3) => "0xe3333700cA9d93003F00f0F71f8515005F6c00Aa",
        (80_002, Exchange::V3) => "0x9fE6e61422AdB6F610d8597F9684b16912D50C3D",
        _ => return None,
    };
    Address::parse(text).ok()
}

/// Domain separators of one chain, hashed once.
#[derive(Debug, Clone, Copy)]
pub struct Domains {
    standard: Word,
    neg_risk: Word,
    v3: Word,
    login: Word,
}

impl Domains {
    /// The domains of Polygon (137) or its test chain Amoy (80002); None for any other.
    #[must_use]
    pub fn of_chain(chain_id: u64) -> Option<Self> {
        let exchange = |exchange, version: &str| {
            Some(hash_words(&[
                keccak256(CONTRACT_DOMAIN_TYPE.as_bytes()),
                keccak256(b"Polymarket CTF Exchange"),
                keccak256(version.as_bytes()),
                word(chain_id),
                contract(chain_id, exchange)?.to_word(),
            ]))
        };
        Some(Self {
            standard: exchange(Exchange::Standard, "2")?,
            neg_risk: exchange(Exchange::NegRisk, "2")?,
            v3: exchange(Exchange::V3, "3")?,
            login: hash_words(&[
                keccak256(LOGIN_DOMAIN_TYPE.as_bytes()),
                keccak256(b"ClobAuthDomain"),
                keccak256(b"1"),
                word(chain_id),
            ]),
        })
    }

    /// The separator of an exchange.
    #[must_use]
    pub const fn exchange(&self, exchange: Exchange) -> &Word {
        match exchange {
            Exchange::Standard => &self.standard,
            Exchange::NegRisk => &self.neg_risk,
            Exchange::V3 => &self.v3,
        }
    }

    /// What an account signs to log in: its address, the time in seconds, a nonce and a fixed sentence.
    #[must_use]
    pub fn login_digest(&self, address: Address, timestamp_s: u64, nonce: u64) -> Word {
        let contents = hash_words(&[
            keccak256(LOGIN_TYPE.as_bytes()),
            address.to_word(),
            keccak256(timestamp_s.to_string().as_bytes()),
            word(nonce),
            keccak256(LOGIN_MESSAGE.as_bytes()),
        ]);
        digest(&self.login, &contents)
    }
}

/// The twelve words of an order struct, those of the signer filled in; metadata and builder are zero.
#[derive(Debug, Clone)]
pub struct OrderTemplate([u8; 12 * WORD]);

impl OrderTemplate {
    /// Lay out what every order of this signer has in common.
    #[must_use]
    pub fn new(maker: Address, signer: Address, signature_type: u8) -> Self {
        let mut template = Self([0; 12 * WORD]);
        template.set(0, &keccak256(ORDER_TYPE.as_bytes()));
        template.set(2, &maker.to_word());
        template.set(3, &signer.to_word());
        template.set(8, &word(signature_type.into()));
        template
    }

    /// The hash of one order's struct.
    #[must_use]
    pub fn struct_hash(&self, terms: &OrderTerms<'_>) -> Word {
        let mut order = self.clone();
        order.set(1, &word(terms.salt));
        order.set(4, &terms.token.word);
        order.set(5, &word(terms.maker_amount_e6));
        order.set(6, &word(terms.taker_amount_e6));
        order.set(7, &word(u64::from(terms.side == Side::Sell)));
        order.set(9, &word(terms.timestamp_ms));
        keccak256(&order.0)
    }

    fn set(&mut self, index: usize, value: &Word) {
        self.0[index * WORD..(index + 1) * WORD].copy_from_slice(value);
    }
}

/// The seven words with which a deposit wallet vouches for an order, all but the order itself filled in.
#[derive(Debug, Clone)]
pub struct WalletTemplate([Word; 7]);

impl WalletTemplate {
    /// Lay out the wallet's own domain: `DepositWallet`, version 1, salt zero.
    #[must_use]
    pub fn new(chain_id: u64, wallet: Address) -> Self {
        let type_text = [TYPED_DATA_SIGN_TYPE, ORDER_TYPE].concat();
        Self([
            keccak256(type_text.as_bytes()),
            [0; WORD],
            keccak256(b"DepositWallet"),
            keccak256(b"1"),
            word(chain_id),
            wallet.to_word(),
            [0; WORD],
        ])
    }

    /// The hash of the struct around an order's struct.
    #[must_use]
    pub fn struct_hash(&self, order_struct_hash: &Word) -> Word {
        let mut words = self.0;
        words[1] = *order_struct_hash;
        hash_words(&words)
    }
}

/// What is signed: a struct under a domain.
#[must_use]
pub fn digest(domain: &Word, struct_hash: &Word) -> Word {
    let mut bytes = [0; 2 + 2 * WORD];
    bytes[..2].copy_from_slice(b"\x19\x01");
    bytes[2..2 + WORD].copy_from_slice(domain);
    bytes[2 + WORD..].copy_from_slice(struct_hash);
    keccak256(&bytes)
}

/// Keccak-256, Ethereum's hash (not SHA3-256).
#[must_use]
pub fn keccak256(bytes: &[u8]) -> Word {
    Keccak256::digest(bytes).into()
}

pub(super) fn hash_words(words: &[Word]) -> Word {
    keccak256(words.as_flattened())
}

pub(super) fn word(value: u64) -> Word {
    let mut word = [0; WORD];
    word[WORD - 8..].copy_from_slice(&value.to_be_bytes());
    word
}

/// Bits 40 to 103 are zero in a position id of Protocol V2, and its first byte names a module that exists.
fn is_protocol_v2(word: &Word) -> bool {
    word[19..27] == [0; 8] && matches!(word[0], 1..=3)
}

/// Read a decimal number into big-endian bytes, eighteen digits at a time.
fn read_decimal(text: &str) -> Option<Word> {
    const CHUNK: usize = 18;
    let is_canonical = text == "0" || !text.starts_with('0');
    if text.is_empty() || text.len() > MAX_TOKEN_DIGITS || !is_canonical {
        return None;
    }
    let mut limbs = [0_u64; 4];
    let (first, rest) = text.as_bytes().split_at(text.len() % CHUNK);
    let chunks = std::iter::once(first).chain(rest.chunks(CHUNK));
    for chunk in chunks.filter(|chunk| !chunk.is_empty()) {
        let mut carry = 0_u64;
        let mut scale = 1_u64;
        for byte in chunk {
            if !byte.is_ascii_digit() {
                return None;
            }
            carry = carry * 10 + u64::from(byte - b'0');
            scale *= 10;
        }
        for limb in &mut limbs {
            let wide = u128::from(*limb) * u128::from(scale) + u128::from(carry);
            let bytes = wide.to_le_bytes();
            let (low, high) = bytes.split_at(8);
            *limb = u64::from_le_bytes(low.try_into().ok()?);
            carry = u64::from_le_bytes(high.try_into().ok()?);
        }
        if carry != 0 {
            return None;
        }
    }
    let mut word = [0; WORD];
    for (bytes, limb) in word.chunks_exact_mut(8).zip(limbs.iter().rev()) {
        bytes.copy_from_slice(&limb.to_be_bytes());
    }
    Some(word)
}
