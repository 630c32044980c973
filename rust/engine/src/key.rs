//! The sandbox's own key: made once, kept in a file that only its owner may read, never shown.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use claw_core::order::signing::SigningKey;
use zeroize::Zeroizing;

use crate::fault::Fault;

const KEY_BYTES: usize = 32;

/// Read the throw-away key of this folder, or make one.
pub fn throwaway(folder: &Path) -> Result<SigningKey, Fault> {
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
