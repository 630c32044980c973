//! What ends this process before its time; the kind is its fate.

use std::io::{self, ErrorKind};

use rustix::io::Errno;
use thiserror::Error;

const EXIT_FAILURE: u8 = 1;
const EXIT_BAD_INPUT: u8 = 78;

/// Why the process cannot go on.
#[derive(Debug, Error)]
pub enum Fault {
    /// The user can mend it; a restart would not help.
    #[error("{0}")]
    User(String),
    /// The disk takes nothing any more; as the user's as the one above, and as `kernel/process.py` has it.
    #[error("cannot write ({0}); free or repair the disk and start again")]
    Disk(io::Error),
    /// Anything else; the supervisor starts it anew.
    #[error("{0}")]
    Crash(String),
}

impl Fault {
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::User(_) | Self::Disk(_) => EXIT_BAD_INPUT,
            Self::Crash(_) => EXIT_FAILURE,
        }
    }

    /// A crash and a full disk name their process; what the user can mend speaks for itself.
    pub fn said_by(self, name: &str) -> Self {
        match self {
            Self::Crash(reason) => Self::Crash(format!("{name}: {reason}")),
            disk @ Self::Disk(_) => Self::User(format!("{name} {disk}")),
            user @ Self::User(_) => user,
        }
    }
}

impl From<io::Error> for Fault {
    fn from(fault: io::Error) -> Self {
        let is_broken = fault.raw_os_error() == Some(Errno::IO.raw_os_error());
        match fault.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::ReadOnlyFilesystem => {
                Self::Disk(fault)
            }
            _ if is_broken => Self::Disk(fault),
            _ => Self::Crash(fault.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::Fault;

    fn said(errno: Errno) -> (u8, String) {
        let fault = Fault::from(std::io::Error::from(errno)).said_by("guard");
        (fault.exit_code(), fault.to_string())
    }

    #[test]
    fn a_disk_that_takes_nothing_is_the_users_to_mend_and_a_lost_peer_is_not() {
        for errno in [Errno::NOSPC, Errno::DQUOT, Errno::ROFS, Errno::IO] {
            let (code, sentence) = said(errno);
            assert_eq!(code, 78, "{sentence}");
            assert!(sentence.starts_with("guard cannot write ("), "{sentence}");
            assert!(sentence.ends_with("; free or repair the disk and start again"));
        }
        let (code, sentence) = said(Errno::CONNRESET);
        assert_eq!(code, 1);
        assert!(sentence.starts_with("guard: "), "{sentence}");
    }
}
