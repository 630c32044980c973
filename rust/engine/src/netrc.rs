//! Names and passwords at proxies, from a netrc file: `machine HOST login NAME password WORD`, an entry each.
//!
//! The format of curl and git, of which `default` and `macdef` are not taken. Only its owner may read the file, and
//! nothing of an entry but its host is ever shown.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::fault::Fault;

const OTHERS: u32 = 0o077;
const MAX_BYTES: u64 = 65_536;

/// Who we are at a proxy, as `Proxy-Authorization` says it; erased on drop and never shown.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    fn new(login: &str, password: &str) -> Self {
        let pair = Zeroizing::new(format!("{login}:{password}"));
        let mut value = Zeroizing::new(String::from("Basic "));
        STANDARD.encode_string(pair.as_bytes(), &mut value);
        Self(value)
    }

    /// Value of the header.
    pub fn header(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Password(…)")
    }
}

/// The entries of one file, by host.
#[derive(Debug, Default)]
pub struct Netrc(Vec<(String, Password)>);

impl Netrc {
    /// Read a file.
    pub fn read(path: &Path) -> Result<Self, Fault> {
        let unusable = |why: &str| Fault::User(format!("the passwords of proxies {} {why}", path.display()));
        let file = File::open(path).map_err(|fault| unusable(&format!("cannot be read: {fault}")))?;
        if file.metadata()?.mode() & OTHERS != 0 {
            return Err(unusable(
                "may be read by others; make them yours alone with chmod 600",
            ));
        }
        // Never grown: no copy of a part of it is left behind.
        let mut text = Zeroizing::new(String::with_capacity(MAX_BYTES as usize));
        file.take(MAX_BYTES).read_to_string(&mut text)?;
        Self::parse(&text).ok_or_else(|| {
            unusable("are no netrc; write `machine HOST login NAME password WORD`, an entry each")
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let entry = |words: &[&str]| match words {
            ["machine", host, "login", login, "password", password] => {
                Some(((*host).to_owned(), Password::new(login, password)))
            }
            _ => None,
        };
        words.chunks(6).map(entry).collect::<Option<_>>().map(Self)
    }

    /// Who we are at a host; None where nothing is asked.
    pub fn of(&self, host: &str) -> Option<Password> {
        let mut entries = self.0.iter();
        entries.find_map(|(name, password)| (name == host).then(|| password.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::Netrc;

    #[test]
    fn entries_are_found_by_host_and_show_nothing() {
        let text = "machine 10.0.0.5 login me\n  password open:sesame\nmachine vps login you password x";
        let netrc = Netrc::parse(text).unwrap();
        assert_eq!(
            netrc.of("10.0.0.5").unwrap().header(),
            "Basic bWU6b3BlbjpzZXNhbWU="
        );
        assert_eq!(netrc.of("vps").unwrap().header(), "Basic eW91Ong=");
        assert!(netrc.of("elsewhere").is_none());
        assert!(!format!("{netrc:?}").contains("bWU6"));
        assert!(Netrc::parse("").unwrap().of("vps").is_none());
    }

    #[test]
    fn what_is_no_netrc_is_refused() {
        for text in [
            "10.0.0.5 me secret",
            "machine vps login you",
            "default login you password x",
            "machine vps password x login you",
        ] {
            assert!(Netrc::parse(text).is_none(), "{text}");
        }
    }
}
