//! The account's key: from a keystore and a passphrase that comes over a descriptor, or the sandbox's own, which is
//! made once and kept in a file that only its owner may read. Never shown.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use claw_core::order::address::Address;
use claw_core::order::signing::{Account, OrderSigner, SigningKey};
use claw_core::order::wallet::deposit_wallet;
use zeroize::Zeroizing;

use crate::fault::Fault;
use crate::keystore;
use crate::notify::descriptor_path;
use crate::settings::{AccountSettings, Settings};

const KEY_BYTES: usize = 32;
const PASSPHRASE_VARIABLE: &str = "CLAW_PASSPHRASE_FD";
const MAX_PASSPHRASE: u64 = 1_024;

/// Open the key of the account and prepare to sign with it.
pub fn open_account(settings: &Settings) -> Result<OrderSigner, Fault> {
    let key = match &settings.account.keystore {
        None => throwaway(&settings.folder)?,
        Some(path) => {
            let secret = keystore::read(path, &read_passphrase()?)?;
            SigningKey::new(&*secret).map_err(|fault| {
                Fault::User(format!("the keystore {} holds no key: {fault}", path.display()))
            })?
        }
    };
    let account = account(&settings.account, key.address())
        .map_err(|why| Fault::User(format!("the account cannot be used: {why}")))?;
    OrderSigner::new(key, settings.chain_id, account).map_err(|fault| Fault::User(fault.to_string()))
}

fn account(settings: &AccountSettings, owner: Address) -> Result<Account, String> {
    let funder = settings.funder.as_deref().map(Address::parse).transpose();
    let mut funder = funder.map_err(|fault| fault.to_string())?;
    // A session signer's own wallet is not the one that it trades for.
    if settings.signature_type == 3 && !settings.is_session {
        funder.get_or_insert_with(|| deposit_wallet(owner));
    }
    Account::new(settings.signature_type, funder, settings.is_session).map_err(|fault| fault.to_string())
}

/// The passphrase on the descriptor that the supervisor names; a final line end is none of it.
fn read_passphrase() -> Result<Zeroizing<Vec<u8>>, Fault> {
    let missing = || Fault::User("a keystore needs its passphrase: start it with `claw up`".to_owned());
    let path = descriptor_path(PASSPHRASE_VARIABLE).ok_or_else(missing)?;
    // Never grown: no copy of a part of it is left behind.
    let mut passphrase = Zeroizing::new(Vec::with_capacity(2 * MAX_PASSPHRASE as usize));
    let file = File::open(path).map_err(|_| missing())?;
    file.take(MAX_PASSPHRASE).read_to_end(&mut passphrase)?;
    while passphrase
        .last()
        .is_some_and(|byte| matches!(byte, b'\n' | b'\r'))
    {
        passphrase.pop();
    }
    Ok(passphrase)
}

/// Read the throw-away key of this folder, or make one.
fn throwaway(folder: &Path) -> Result<SigningKey, Fault> {
    std::fs::create_dir_all(folder)?;
    let path = folder.join("throwaway.key");
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path);
    match made {
        Ok(file) => make(file)?,
        Err(fault) if fault.kind() == ErrorKind::AlreadyExists => {}
        Err(fault) => return Err(unusable(&path, &fault.to_string())),
    }
    let mut text = Zeroizing::new(String::with_capacity(2 * KEY_BYTES + 2));
    File::open(&path)?.read_to_string(&mut text)?;
    let bytes = parse(text.trim()).ok_or_else(|| unusable(&path, "not 0x and 64 hexadecimal digits"))?;
    SigningKey::new(&*bytes).map_err(|fault| unusable(&path, &fault.to_string()))
}

fn unusable(path: &Path, why: &str) -> Fault {
    Fault::User(format!(
        "the key file {} is not usable: {why}; remove it",
        path.display()
    ))
}

fn make(mut file: File) -> Result<(), Fault> {
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    getrandom::fill(&mut *bytes).map_err(|fault| Fault::Crash(format!("no random bytes: {fault}")))?;
    let mut text = Zeroizing::new(String::with_capacity(2 * KEY_BYTES + 2));
    text.push_str("0x");
    for byte in bytes.iter() {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(nibble.into(), 16).unwrap_or('0'));
        }
    }
    Ok(file.write_all(text.as_bytes())?)
}

fn parse(text: &str) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    let digits = text.strip_prefix("0x")?.as_bytes();
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    if digits.len() != 2 * KEY_BYTES {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |index: usize| char::from(pair[index]).to_digit(16);
        *byte = u8::try_from(digit(0)? << 4 | digit(1)?).ok()?;
    }
    Some(bytes)
}
