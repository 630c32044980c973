//! From a settings file to an exit code: what both binaries have in common.

use std::path::Path;
use std::process::ExitCode;

use tokio::runtime::Runtime;
use tokio::task::LocalSet;

use crate::bus::Bus;
use crate::fault::Fault;
use crate::notify::Notifier;
use crate::settings::{GuardSettings, Settings, read_file};
use crate::{guard, key, log, secrecy, shell};

/// Be `claw-engine` until it ends.
#[must_use]
pub fn run_engine() -> ExitCode {
    run("claw-engine", |path, notifier| {
        let settings = Settings::read(path)?;
        engine(&settings, notifier).map_err(|fault| fault.said_by(&settings.name))
    })
}

/// Be `claw-guard` until it ends.
#[must_use]
pub fn run_guard() -> ExitCode {
    run("claw-guard", |path, notifier| {
        let settings: GuardSettings = read_file(path)?;
        let (runtime, local) = one_thread()?;
        let ended = local.block_on(&runtime, guard::run(&settings, notifier));
        ended.map_err(|fault| fault.said_by(&settings.name))
    })
}

fn run(program: &str, main: impl FnOnce(&Path, &Notifier) -> Result<u8, Fault>) -> ExitCode {
    crash_on_panic();
    let notifier = Notifier::from_environment();
    let ended = secrecy::leave_no_dumps().and_then(|()| {
        let mut arguments = std::env::args_os().skip(1);
        match (arguments.next(), arguments.next()) {
            (Some(path), None) => main(path.as_ref(), &notifier),
            _ => Err(Fault::User(format!("usage: {program} SETTINGS.json"))),
        }
    });
    match ended {
        Ok(code) => ExitCode::from(code),
        Err(fault) => {
            notifier.status(&fault.to_string());
            log::error("process.failed", &[("reason", &fault.to_string())]);
            ExitCode::from(fault.exit_code())
        }
    }
}

/// A panic anywhere ends the process: a task that died alone would leave the rest believing what it said last, such as
/// a user feed that is live.
fn crash_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        log::error("process.panicked", &[("reason", &panic.to_string())]);
        std::process::abort();
    }));
}

fn engine(settings: &Settings, notifier: &Notifier) -> Result<u8, Fault> {
    let signer = key::open_account(settings)?;
    // The bus has threads of its own, and is opened and closed outside of the work loop's runtime.
    let bus = Bus::open(settings)?;
    let (runtime, local) = one_thread()?;
    let ended = local.block_on(&runtime, shell::run(settings, &signer, &bus, notifier));
    bus.close();
    // Only now is the guard's connection closed: it kills whoever closes it without having left in order.
    drop(local);
    ended
}

fn one_thread() -> Result<(Runtime, LocalSet), Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok((runtime, LocalSet::new()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::Command;
    use std::time::Duration;

    use tokio::task::spawn_local;

    use super::{crash_on_panic, one_thread};

    const VICTIM: &str = "CLAW_TEST_VICTIM";
    const SIGABRT: i32 = 6;

    #[test]
    fn a_panic_of_one_task_ends_the_process() {
        if std::env::var_os(VICTIM).is_some() {
            crash_on_panic();
            let (runtime, local) = one_thread().unwrap();
            return local.block_on(&runtime, async {
                spawn_local(async { panic!("a task that nobody waits for") });
                tokio::time::sleep(Duration::from_secs(5)).await;
            });
        }
        let this = std::env::current_exe().unwrap();
        let mut again = Command::new(this);
        again.args(["--exact", "start::tests::a_panic_of_one_task_ends_the_process"]);
        let ended = again.env(VICTIM, "1").output().unwrap();
        assert_eq!(ended.status.signal(), Some(SIGABRT));
    }
}
