//! What this process holds in memory stays there.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

use crate::fault::Fault;

/// No core file, and no debugger of the same user: neither may see a key.
pub fn leave_no_dumps() -> Result<(), Fault> {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none)
        .and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable))
        .map_err(|fault| Fault::Crash(format!("core dumps cannot be forbidden: {fault}")))
}
