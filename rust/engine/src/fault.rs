//! What ends this process before its time; the kind is its fate.

use thiserror::Error;

const EXIT_FAILURE: u8 = 1;
const EXIT_BAD_INPUT: u8 = 78;

/// Why the process cannot go on.
#[derive(Debug, Error)]
pub enum Fault {
    /// The user can mend it; a restart would not help.
    #[error("{0}")]
    User(String),
    /// Anything else; the supervisor starts it anew.
    #[error("{0}")]
    Crash(String),
}

impl Fault {
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::User(_) => EXIT_BAD_INPUT,
            Self::Crash(_) => EXIT_FAILURE,
        }
    }

    /// A crash names its process; what the user can mend speaks for itself.
    pub fn said_by(self, name: &str) -> Self {
        match self {
            Self::Crash(reason) => Self::Crash(format!("{name}: {reason}")),
            user @ Self::User(_) => user,
        }
    }
}

impl From<std::io::Error> for Fault {
    fn from(fault: std::io::Error) -> Self {
        Self::Crash(fault.to_string())
    }
}
