//! Account and contract addresses in their checksummed spelling (EIP-55).

use std::fmt;

use thiserror::Error;

use super::text::{push_hex, read_hex};
use super::typed_data::keccak256;

/// Characters of a written address, `0x` included.
pub const ADDRESS_CHARS: usize = 42;

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AddressError {
    /// Not `0x` and forty hexadecimal digits.
    #[error("{0:?} is not an address")]
    NotHex(String),
    /// Mixed case whose checksum is wrong: a digit was mistyped.
    #[error("the checksum of address {0:?} is wrong")]
    WrongChecksum(String),
}

/// Twenty bytes that name an account or a contract.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Address(pub [u8; 20]);

impl Address {
    /// Read an address; in one case, or in mixed case with the right checksum.
    ///
    /// # Errors
    /// When it is not an address or its checksum is wrong.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let digits = text.strip_prefix("0x").and_then(read_hex);
        let address = Self(digits.ok_or_else(|| AddressError::NotHex(text.to_owned()))?);
        let digits = &text[2..];
        let is_one_case =
            digits == digits.to_ascii_lowercase().as_str() || digits == digits.to_ascii_uppercase().as_str();
        if is_one_case || text.as_bytes() == address.to_checksummed() {
            Ok(address)
        } else {
            Err(AddressError::WrongChecksum(text.to_owned()))
        }
    }

    /// The spelling whose case is its checksum.
    #[must_use]
    pub fn to_checksummed(self) -> [u8; ADDRESS_CHARS] {
        let mut digits = Vec::with_capacity(40);
        push_hex(&mut digits, &self.0);
        let hash = keccak256(&digits);
        let mut text = [0; ADDRESS_CHARS];
        text[..2].copy_from_slice(b"0x");
        for (index, digit) in digits.iter().enumerate() {
            let nibble = hash[index / 2] >> if index % 2 == 0 { 4 } else { 0 } & 15;
            text[2 + index] = if nibble >= 8 {
                digit.to_ascii_uppercase()
            } else {
                *digit
            };
        }
        text
    }

    /// The address as a 32-byte word.
    #[must_use]
    pub fn to_word(self) -> [u8; 32] {
        let mut word = [0; 32];
        word[12..].copy_from_slice(&self.0);
        word
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&String::from_utf8_lossy(&self.to_checksummed()))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Address({self})")
    }
}
