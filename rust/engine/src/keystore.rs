//! An Ethereum keystore, version 3: the encrypted file that wallets and clients keep a private key in.
//!
//! ```text
//! passphrase ─scrypt | pbkdf2─▶ derived(32)
//! mac  = keccak256(derived[16..32] ‖ ciphertext)
//! key  = AES-128-CTR(derived[0..16], iv, ciphertext)
//! ```
//!
//! Source: ethereum.org, "Web3 Secret Storage Definition", whose vectors are the tests. Everything derived is
//! erased on drop, and no text that leaves this file holds any of it.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use aes::Aes128;
use claw_core::order::address::Address;
use claw_core::order::signing::SigningKey;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit as _, StreamCipher as _};
use serde::Deserialize;
use sha2::Sha256;
use sha3::{Digest as _, Keccak256};
use zeroize::{Zeroize as _, Zeroizing};

use crate::fault::Fault;

const KEY_BYTES: usize = 32;
const MAX_FILE: u64 = 1 << 16;
const READABLE_BY_OTHERS: u32 = 0o077;
/// Memory and work that a file may ask for: four times what the costliest common client writes.
const MAX_MEMORY: u64 = 1 << 30;
const MAX_PARALLEL: u32 = 16;
const MAX_ROUNDS: u32 = 10_000_000;

/// A private key.
pub type Secret = Zeroizing<[u8; KEY_BYTES]>;

#[derive(Deserialize)]
struct Keystore {
    version: u32,
    #[serde(alias = "Crypto")]
    crypto: Crypto,
    #[serde(default)]
    address: Option<String>,
}

#[derive(Deserialize)]
struct Crypto {
    cipher: String,
    cipherparams: CipherParams,
    ciphertext: String,
    kdf: String,
    kdfparams: KdfParams,
    mac: String,
}

#[derive(Deserialize)]
struct CipherParams {
    iv: String,
}

#[derive(Deserialize)]
struct KdfParams {
    dklen: u64,
    salt: String,
    #[serde(default)]
    n: Option<u64>,
    #[serde(default)]
    r: Option<u32>,
    #[serde(default)]
    p: Option<u32>,
    #[serde(default)]
    c: Option<u32>,
    #[serde(default)]
    prf: Option<String>,
}

/// Read a keystore file that only its owner may read, and open it; one sentence when it cannot be.
pub fn read(path: &Path, passphrase: &[u8]) -> Result<Secret, Fault> {
    let unusable =
        |why: &dyn std::fmt::Display| Fault::User(format!("the keystore {} {why}", path.display()));
    let file = File::open(path).map_err(|fault| unusable(&format!("cannot be read: {fault}")))?;
    let metadata = file.metadata()?;
    let mode = metadata.permissions().mode() & 0o777;
    if !metadata.is_file() {
        return Err(unusable(&"is not a file; name the keystore file itself"));
    }
    if mode & READABLE_BY_OTHERS != 0 {
        let why = format!("is open to others (mode {mode:03o}); close it with `chmod 600`");
        return Err(unusable(&why));
    }
    let mut text = Zeroizing::new(Vec::new());
    file.take(MAX_FILE).read_to_end(&mut text)?;
    open(&text, passphrase).map_err(|why| unusable(&why))
}

/// Open the text of a keystore; why it cannot be.
fn open(text: &[u8], passphrase: &[u8]) -> Result<Secret, String> {
    let broken = |what: &str| format!("is broken: {what}; take it from your backup");
    let keystore: Keystore = serde_json::from_slice(text)
        .map_err(|fault| format!("is not an Ethereum keystore (version 3, JSON): {fault}"))?;
    let crypto = keystore.crypto;
    if keystore.version != 3 || crypto.cipher != "aes-128-ctr" {
        let what = format!("version {}, cipher {}", keystore.version, crypto.cipher);
        return Err(format!(
            "is of a kind that is not known ({what}); make one of version 3, aes-128-ctr"
        ));
    }
    let mut ciphertext =
        Zeroizing::new(bytes::<KEY_BYTES>(&crypto.ciphertext).ok_or_else(|| broken("its ciphertext"))?);
    let iv = iv(&crypto.cipherparams.iv).ok_or_else(|| broken("its iv"))?;
    let mac = bytes::<32>(&crypto.mac).ok_or_else(|| broken("its mac"))?;
    let derived = derive(&crypto.kdf, &crypto.kdfparams, passphrase)?;
    let mut hash = Keccak256::new();
    hash.update(&derived[16..]);
    hash.update(&ciphertext[..]);
    if hash.finalize()[..] != mac {
        return Err("does not open: the passphrase is wrong, or the file was changed".to_owned());
    }
    let mut key = Zeroizing::new([0; 16]);
    key.copy_from_slice(&derived[..16]);
    let mut cipher = Ctr128BE::<Aes128>::new((&*key).into(), &iv.into());
    cipher.apply_keystream(&mut ciphertext[..]);
    // The mac does not cover the iv: only the address tells a key that was decrypted with another one.
    let owner = keystore.address.filter(|owner| !owner.is_empty());
    if owner.is_some_and(|owner| !is_key_of(&owner, &ciphertext)) {
        return Err(broken("its key is not that of its address"));
    }
    Ok(ciphertext)
}

/// Whether the key belongs to an address, which keystores write with or without 0x.
fn is_key_of(owner: &str, secret: &Secret) -> bool {
    let owner = Address::parse(&format!("0x{}", owner.strip_prefix("0x").unwrap_or(owner)));
    let key = SigningKey::new(&**secret);
    matches!((owner, key), (Ok(owner), Ok(key)) if owner == key.address())
}

fn derive(kdf: &str, params: &KdfParams, passphrase: &[u8]) -> Result<Secret, String> {
    let refused = |what: &str| format!("asks for a key derivation that is not known or too costly ({what})");
    let salt = text_bytes(&params.salt).ok_or_else(|| refused("its salt is not hexadecimal"))?;
    if params.dklen != KEY_BYTES as u64 {
        return Err(refused("dklen is not 32"));
    }
    let mut derived = Zeroizing::new([0; KEY_BYTES]);
    match (kdf, params) {
        (
            "scrypt",
            &KdfParams {
                n: Some(n),
                r: Some(r),
                p: Some(p),
                ..
            },
        ) => {
            let memory = u128::from(n) * u128::from(r) * 128;
            let is_sane =
                n.is_power_of_two() && memory <= MAX_MEMORY.into() && (1..=MAX_PARALLEL).contains(&p);
            let log_n = u8::try_from(n.trailing_zeros()).unwrap_or(u8::MAX);
            let costs = scrypt::Params::new(log_n, r, p).ok().filter(|_| is_sane);
            let costs = costs.ok_or_else(|| refused("scrypt costs"))?;
            scrypt::scrypt(passphrase, &salt, &costs, &mut derived[..]).map_err(|_| refused("scrypt"))?;
        }
        (
            "pbkdf2",
            &KdfParams {
                c: Some(rounds),
                prf: Some(ref prf),
                ..
            },
        ) => {
            if prf != "hmac-sha256" || !(1..=MAX_ROUNDS).contains(&rounds) {
                return Err(refused("pbkdf2 costs"));
            }
            pbkdf2::pbkdf2_hmac::<Sha256>(passphrase, &salt, rounds, &mut derived[..]);
        }
        _ => return Err(refused("neither a whole scrypt nor a whole pbkdf2")),
    }
    Ok(derived)
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut decoded = text_bytes(text)?;
    let bytes = decoded.as_slice().try_into().ok();
    decoded.zeroize();
    bytes
}

/// An initial value; some clients write it as a number, without its leading zero bytes.
fn iv(text: &str) -> Option<[u8; 16]> {
    let written = text_bytes(text).filter(|written| !written.is_empty())?;
    let mut iv = [0; 16];
    iv[16_usize.checked_sub(written.len())?..].copy_from_slice(&written);
    Some(iv)
}

/// Hexadecimal, with or without 0x.
fn text_bytes(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x").unwrap_or(text).as_bytes();
    let pairs = digits.chunks(2).map(|pair| {
        let digit = |index: usize| char::from(*pair.get(index)?).to_digit(16);
        u8::try_from(digit(0)? << 4 | digit(1)?).ok()
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{open, read, text_bytes};

    // The two vectors of the definition.
    const PBKDF2: &str = r#"{"crypto": {"cipher": "aes-128-ctr",
        "cipherparams": {"iv": "6087dab2f9fdbbfaddc31a909735c1e6"},
        "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
        "kdf": "pbkdf2", "kdfparams": {"c": 262144, "dklen": 32, "prf": "hmac-sha256",
            "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"},
        "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"},
        "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6", "version": 3}"#;
    const SCRYPT: &str = r#"{"crypto": {"cipher": "aes-128-ctr",
        "cipherparams": {"iv": "83dbcc02d8ccb40e466191a123791e0e"},
        "ciphertext": "d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c",
        "kdf": "scrypt", "kdfparams": {"dklen": 32, "n": 262144, "r": 1, "p": 8,
            "salt": "ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19"},
        "mac": "2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097"},
        "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6", "version": 3}"#;
    const SECRET: &str = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";

    #[test]
    fn the_vectors_of_the_definition_open() {
        for text in [PBKDF2, SCRYPT] {
            let opened = open(text.as_bytes(), b"testpassword").unwrap();
            assert_eq!(opened.as_slice(), text_bytes(SECRET).unwrap());
            let upper = text.replace("\"crypto\"", "\"Crypto\"");
            assert!(
                open(upper.as_bytes(), b"testpassword").is_ok(),
                "as older clients write it"
            );
        }
    }

    /// Written by eth-account, which leaves leading zero bytes of the iv out: one keystore in 256.
    const SHORT_IV: &str = r#"{"address": "008aeeda4d805471df9b2a5b0f38a0c3bcba786b",
        "crypto": {"cipher": "aes-128-ctr", "cipherparams": {"iv": "b3474ab6680d46371bfbf1831e1674"},
        "ciphertext": "fefaf96e3036380693d9d79a52b64586cb471259477fce9264126ea4d93b79ff",
        "kdf": "pbkdf2", "kdfparams": {"c": 2, "dklen": 32, "prf": "hmac-sha256", "salt": "20eaee6c4e4530a202912eeecefd75e1"},
        "mac": "fd6df5cece12e869bc9c77fb318f29e324e4abd9d82462324a71c807d9d391d9"}, "version": 3}"#;

    const OWNER: &str = "008aeeda4d805471df9b2a5b0f38a0c3bcba786b";

    #[test]
    fn a_keystore_whose_iv_is_written_as_a_number_opens() {
        let opened = open(SHORT_IV.as_bytes(), b"testpassword").unwrap();
        assert_eq!(opened.as_slice(), text_bytes(SECRET).unwrap());
        let upper = SHORT_IV.replace(OWNER, &format!("0x{}", OWNER.to_uppercase()));
        assert!(open(upper.as_bytes(), b"testpassword").is_ok());
        for (damage, why) in [
            (SHORT_IV.replace("\"b347", "\""), "not that of its address"),
            (SHORT_IV.replace(OWNER, "abcd"), "not that of its address"),
            (SHORT_IV.replace("b3474ab6680d46371bfbf1831e1674", ""), "its iv"),
            (
                SHORT_IV.replace(
                    "b3474ab6680d46371bfbf1831e1674",
                    "b3474ab6680d46371bfbf1831e1674b3474ab6680d46371bfbf1831e1674",
                ),
                "its iv",
            ),
        ] {
            let said = open(damage.as_bytes(), b"testpassword").unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn what_does_not_open_says_why_and_nothing_else() {
        let table = [
            (PBKDF2.to_owned(), "the passphrase is wrong"),
            (PBKDF2.replace("5318b4d5", "5318b4d6"), "the file was changed"),
            (PBKDF2.replace("5318b4d5", "5318"), "its ciphertext"),
            (PBKDF2.replace("262144", "4000000000"), "too costly"),
            (SCRYPT.replace("262144", "262143"), "too costly"),
            (SCRYPT.replace("262144", "1073741824"), "too costly"),
            (SCRYPT.replace("\"p\": 8", "\"p\": 0"), "too costly"),
            (SCRYPT.replace("\"n\": 262144, ", ""), "neither a whole scrypt"),
            (PBKDF2.replace("\"version\": 3", "\"version\": 1"), "version 1"),
            (PBKDF2.replace("aes-128-ctr", "aes-128-cbc"), "aes-128-cbc"),
            ("{".to_owned(), "not an Ethereum keystore"),
        ];
        for (text, why) in table {
            let said = open(text.as_bytes(), b"wrong").unwrap_err();
            assert!(said.contains(why), "{said}");
            assert!(!said.contains(SECRET) && !said.contains("ae3cd4e7"));
        }
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let path = std::env::temp_dir().join(format!("claw-keystore-{}.json", std::process::id()));
        std::fs::write(&path, PBKDF2).unwrap();
        for mode in [0o640, 0o604, 0o620] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let said = read(&path, b"testpassword").unwrap_err().to_string();
            assert!(
                said.contains("chmod 600") && said.contains(path.to_str().unwrap()),
                "{said}"
            );
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(read(&path, b"testpassword").is_ok());
        assert!(
            read(&std::env::temp_dir(), b"")
                .unwrap_err()
                .to_string()
                .contains("not a file")
        );
        std::fs::remove_file(&path).unwrap();
        assert!(
            read(&path, b"")
                .unwrap_err()
                .to_string()
                .contains("cannot be read")
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(noise in prop::collection::vec(any::<u8>(), 0..40), at in 0..400_usize) {
            let cheap = PBKDF2.replace("262144", "2");
            let at = at.min(cheap.len());
            let rest = cheap.as_bytes().get(at + noise.len()..).unwrap_or_default();
            prop_assert!(open(&[&cheap.as_bytes()[..at], &noise, rest].concat(), b"x").is_err());
        }
    }
}
