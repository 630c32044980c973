//! Keys and signatures: one account's orders and its login, on secp256k1 with RFC 6979 nonces.
//!
//! ```text
//! type 0, 1, 2    sig(65) over the order hash
//! type 3          sig(65) ‖ exchange domain(32) ‖ order struct hash(32) ‖ Order type(186) ‖ length(2)   = 317
//! session signer  abi(signer, 0, type 3 signature) ‖ 0x6492…                                           = 480
//! ```
//!
//! A key is erased when it is dropped and no text shows it. Sources: polymarket.md §2.1, §2.4.

use std::fmt;

use secp256k1::{Message, PublicKey, Secp256k1, SecretKey, SignOnly};
use thiserror::Error;

use super::address::{ADDRESS_CHARS, Address};
use super::typed_data::{
    Domains, Exchange, ORDER_TYPE, OrderTemplate, OrderTerms, WalletTemplate, Word, digest, keccak256,
};

const SESSION_MAGIC: [u8; 2] = [0x64, 0x92];
const WORD: usize = 32;

/// Why there is no signer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SignerError {
    /// Zero, or not below the order of the curve, or not 32 bytes.
    #[error("the private key is not one")]
    InvalidKey,
    /// The venue is not on this chain.
    #[error("chain {0} is not one of the venue's")]
    UnknownChain(u64),
    /// Not 0 to 3.
    #[error("signature type {0} is not 0, 1, 2 or 3")]
    UnknownSignatureType(u8),
    /// The account's kind and what it was given do not go together.
    #[error("signature type {0} {1}")]
    WrongAccount(u8, &'static str),
}

/// Whose money an order moves, and how its signature is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Account {
    /// Type 0: the key's own address.
    Eoa,
    /// Type 1: an e-mail wallet owned by the key.
    Proxy(Address),
    /// Type 2: a browser wallet's safe owned by the key.
    Safe(Address),
    /// Type 3: a deposit wallet; the key is its owner.
    DepositWallet(Address),
    /// Type 3: a deposit wallet; the key is one of its session signers.
    SessionSigner(Address),
}

impl Account {
    /// The account of a signature type; `funder` is the wallet, absent for type 0.
    ///
    /// # Errors
    /// When the type is unknown, or the wallet or the session does not go with it.
    pub fn new(signature_type: u8, funder: Option<Address>, is_session: bool) -> Result<Self, SignerError> {
        let wrong = |why| Err(SignerError::WrongAccount(signature_type, why));
        match (signature_type, funder) {
            (0..=2, _) if is_session => wrong("has no session signers"),
            (0, None) => Ok(Self::Eoa),
            (0, Some(_)) => wrong("is its own funder"),
            (1, Some(wallet)) => Ok(Self::Proxy(wallet)),
            (2, Some(wallet)) => Ok(Self::Safe(wallet)),
            (3, Some(wallet)) if is_session => Ok(Self::SessionSigner(wallet)),
            (3, Some(wallet)) => Ok(Self::DepositWallet(wallet)),
            (1..=3, None) => wrong("needs its funder"),
            _ => Err(SignerError::UnknownSignatureType(signature_type)),
        }
    }

    const fn signature_type(self) -> u8 {
        match self {
            Self::Eoa => 0,
            Self::Proxy(_) => 1,
            Self::Safe(_) => 2,
            Self::DepositWallet(_) | Self::SessionSigner(_) => 3,
        }
    }
}

/// A private key that is erased on drop and never shown.
pub struct SigningKey {
    // On the heap, so that moving the key leaves no copy behind.
    secret: Box<SecretKey>,
    context: Secp256k1<SignOnly>,
    address: Address,
}

impl SigningKey {
    /// Take a private key; the caller erases its own copy.
    ///
    /// # Errors
    /// When it is none.
    pub fn new(private_key: &[u8]) -> Result<Self, SignerError> {
        let bytes = private_key.try_into().map_err(|_| SignerError::InvalidKey)?;
        let secret = Box::new(SecretKey::from_byte_array(bytes).map_err(|_| SignerError::InvalidKey)?);
        let mut context = Secp256k1::signing_only();
        // Blinds the curve arithmetic against timing; changes no signature.
        context.seeded_randomize(&keccak256(private_key));
        let public = PublicKey::from_secret_key(&context, &secret).serialize_uncompressed();
        let mut address = Address([0; 20]);
        address.0.copy_from_slice(&keccak256(&public[1..])[12..]);
        Ok(Self {
            secret,
            context,
            address,
        })
    }

    /// The account the key owns.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.address
    }

    /// A recoverable signature: r, s, and 27 or 28.
    #[must_use]
    pub fn sign(&self, digest: Word) -> [u8; 65] {
        let signature = self
            .context
            .sign_ecdsa_recoverable(Message::from_digest(digest), &self.secret);
        let (recovery_id, compact) = signature.serialize_compact();
        let mut bytes = [0; 65];
        bytes[..64].copy_from_slice(&compact);
        bytes[64] = 27 + u8::from(i32::from(recovery_id) == 1);
        bytes
    }
}

impl Drop for SigningKey {
    fn drop(&mut self) {
        self.secret.non_secure_erase();
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "SigningKey({})", self.address)
    }
}

/// A signed order: its id is known before it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedOrder {
    /// The order's hash.
    pub id: Word,
    /// As the account's kind wants it.
    pub signature: Vec<u8>,
}

/// One account that signs orders and logs in; everything constant is computed here once.
#[derive(Debug)]
pub struct OrderSigner {
    pub(super) key: SigningKey,
    pub(super) account: Account,
    pub(super) chain_id: u64,
    domains: Domains,
    order: OrderTemplate,
    wallet: WalletTemplate,
    maker: [u8; ADDRESS_CHARS],
    signer: [u8; ADDRESS_CHARS],
}

impl OrderSigner {
    /// Prepare to sign for an account on a chain.
    ///
    /// # Errors
    /// When the venue is not on that chain.
    pub fn new(key: SigningKey, chain_id: u64, account: Account) -> Result<Self, SignerError> {
        let domains = Domains::of_chain(chain_id).ok_or(SignerError::UnknownChain(chain_id))?;
        let owner = key.address();
        let (maker, signer) = match account {
            Account::Eoa => (owner, owner),
            Account::Proxy(wallet) | Account::Safe(wallet) => (wallet, owner),
            Account::DepositWallet(wallet) | Account::SessionSigner(wallet) => (wallet, wallet),
        };
        Ok(Self {
            key,
            account,
            chain_id,
            domains,
            order: OrderTemplate::new(maker, signer, account.signature_type()),
            wallet: WalletTemplate::new(chain_id, signer),
            maker: maker.to_checksummed(),
            signer: signer.to_checksummed(),
        })
    }

    /// The address whose key signs: the one that API keys are bound to.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.key.address()
    }

    /// 0 to 3.
    #[must_use]
    pub const fn signature_type(&self) -> u8 {
        self.account.signature_type()
    }

    /// The order's `maker`, as written.
    #[must_use]
    pub const fn maker(&self) -> &[u8; ADDRESS_CHARS] {
        &self.maker
    }

    /// The order's `signer`, as written.
    #[must_use]
    pub const fn signer(&self) -> &[u8; ADDRESS_CHARS] {
        &self.signer
    }

    /// Hash and sign one order.
    #[must_use]
    pub fn sign(&self, exchange: Exchange, terms: &OrderTerms<'_>) -> SignedOrder {
        let domain = self.domains.exchange(exchange);
        let contents = self.order.struct_hash(terms);
        let id = digest(domain, &contents);
        let signature = match self.account {
            Account::Eoa | Account::Proxy(_) | Account::Safe(_) => self.key.sign(id).to_vec(),
            Account::DepositWallet(_) => self.vouch(domain, &contents),
            Account::SessionSigner(_) => self.wrap(&self.vouch(domain, &contents)),
        };
        SignedOrder { id, signature }
    }

    /// The signature of the login headers.
    #[must_use]
    pub fn sign_login(&self, timestamp_s: u64, nonce: u64) -> [u8; 65] {
        let digest = self.domains.login_digest(self.key.address(), timestamp_s, nonce);
        self.key.sign(digest)
    }

    /// A signature that the deposit wallet's contract can check (ERC-7739).
    fn vouch(&self, domain: &Word, contents: &Word) -> Vec<u8> {
        let signature = self.key.sign(digest(domain, &self.wallet.struct_hash(contents)));
        let length = u16::try_from(ORDER_TYPE.len()).unwrap_or(u16::MAX);
        [
            &signature[..],
            domain,
            contents,
            ORDER_TYPE.as_bytes(),
            &length.to_be_bytes(),
        ]
        .concat()
    }

    /// Name the session signer beside its signature: (bytes32, bytes32, bytes), then the magic word.
    fn wrap(&self, signature: &[u8]) -> Vec<u8> {
        let number = |value: usize| {
            let mut word = [0; WORD];
            word[WORD - 8..].copy_from_slice(&(value as u64).to_be_bytes());
            word
        };
        let padding = signature.len().next_multiple_of(WORD) - signature.len();
        [
            &self.key.address().to_word()[..],
            &[0; WORD],
            &number(3 * WORD),
            &number(signature.len()),
            signature,
            &[0; WORD][..padding],
            &SESSION_MAGIC.repeat(WORD / SESSION_MAGIC.len()),
        ]
        .concat()
    }
}
