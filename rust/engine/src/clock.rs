//! The only file that reads the clock.

use std::time::{Duration, UNIX_EPOCH};

use rustix::time::{ClockId, Timespec, clock_gettime};

/// CLOCK_BOOTTIME in ns: monotonic, runs through suspend, comparable between processes of a host.
pub fn now_ns() -> u64 {
    let now = since_origin(clock_gettime(ClockId::Boottime));
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

/// The local wall clock as text, for log lines alone.
pub fn wall_text() -> String {
    let now = UNIX_EPOCH + since_origin(clock_gettime(ClockId::Realtime));
    humantime::format_rfc3339_micros(now).to_string()
}

fn since_origin(time: Timespec) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}
