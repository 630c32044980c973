//! The settings file that `runtime/wiring.py` writes: places and numbers, never a secret.

use std::path::{Path, PathBuf};
use std::time::Duration;

use claw_core::engine::{EngineSettings, WatchSettings};
use claw_core::limits::{LimitSettings, Tier};
use hyper::Uri;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::fault::Fault;
use crate::http::Probing;

const NS_PER_S: f64 = 1e9;

/// Everything that a run of the engine is made of.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// This process's name on the bus.
    pub name: String,
    /// Names on the bus that come before it: it connects to them.
    pub earlier_peers: Vec<String>,
    /// Where the bus's sockets are.
    pub socket_dir: PathBuf,
    /// Where quoters connect.
    pub port: PathBuf,
    /// Journals and the throw-away key.
    pub folder: PathBuf,
    /// Where the limits' counters are kept; absent: nowhere (an engine alone on a bench).
    pub counters: Option<PathBuf>,
    /// REST interface of the venue.
    pub clob_url: String,
    /// User channel of the venue.
    pub user_ws_url: String,
    /// Where the venue says whether this region may trade.
    pub region_url: String,
    /// Authorities to believe besides the system's: the sandbox's own.
    pub ca_file: Option<PathBuf>,
    /// Chain whose contracts settle.
    pub chain_id: u64,
    /// Seconds between two heartbeats.
    pub heartbeat_s: f64,
    /// Seconds between two reconciliations.
    pub reconcile_s: f64,
    /// Seconds that a withdrawal of everything may take.
    pub withdraw_timeout_s: f64,
    /// Seconds between two probes of an idle connection.
    pub probe_s: f64,
    /// Least silence of one connection, in seconds, that counts as a broken route while others are answered.
    pub silence_s: f64,
    /// Silence of all connections, in seconds, that counts as a broken route.
    pub pause_s: f64,
    /// Seconds between two questions whether this region may trade.
    pub region_s: f64,
    /// Declared ways to the venue, in order of preference: `direct` or `http://HOST:PORT` of a CONNECT proxy.
    #[serde(default)]
    pub routes: Vec<String>,
    /// The one country that they are all in; needed with a proxy.
    #[serde(default)]
    pub country: Option<String>,
    /// A netrc file with the passwords of proxies; absent: they ask for none.
    #[serde(default)]
    pub proxy_passwords: Option<PathBuf>,
    /// How often in 24 h the connections may move because of a page of the CDN.
    pub switches_per_day: u32,
    /// Where those moves are written down; outlives a run.
    pub switches_file: PathBuf,
    /// The venue's limits for this account.
    pub limits: LimitsOfAccount,
    /// The user feed.
    pub feed: FeedSettings,
    /// Whose orders they are; absent: a throw-away key's own.
    #[serde(default)]
    pub account: AccountSettings,
    /// Who watches, and how long each may be silent.
    #[serde(default)]
    pub watch: WatchOfEngine,
}

/// Whose orders they are.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccountSettings {
    /// 0 the key's own address, 1 and 2 older wallets, 3 a deposit wallet.
    pub signature_type: u8,
    /// The wallet of types 1 to 3; absent for type 3: the one that the venue's factory makes for the key.
    pub funder: Option<String>,
    /// Whether the key is a session signer of the funder instead of its owner; type 3 alone has such.
    pub is_session: bool,
    /// Where the key is; absent: a throw-away key is made.
    pub keystore: Option<PathBuf>,
}

/// Who watches, and how long each may be silent; what is absent is not watched (an engine alone on a bench).
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchOfEngine {
    /// Where the guard listens.
    pub guard: Option<PathBuf>,
    /// Seconds without a guard after which nothing is placed.
    pub guard_timeout_s: Option<f64>,
    /// Seconds in which a quoter has to touch.
    pub touch_timeout_s: Option<f64>,
    /// Seconds in which a sentinel has to speak.
    pub sentinel_timeout_s: Option<f64>,
}

/// Everything that a run of the guard is made of.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardSettings {
    /// This process's name.
    pub name: String,
    /// Where engines connect.
    pub socket: PathBuf,
    /// Its journal.
    pub folder: PathBuf,
    /// REST interface of the venue.
    pub clob_url: String,
    /// Authorities to believe besides the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Seconds of silence after which an engine is killed.
    pub silence_s: f64,
}

/// The venue's limits for this account.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsOfAccount {
    /// Place requests in 10 s.
    pub place_requests_10s: u32,
    /// Place requests in 600 s.
    pub place_requests_600s: u32,
    /// The signer's tier, until the venue names it.
    pub tier: String,
    /// How much earlier or later than planned a request may arrive.
    pub send_jitter_ms: u64,
}

/// How often to ask and when to give up, in seconds.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedSettings {
    /// Silence after which the venue is asked.
    pub ping_interval_s: f64,
    /// Silence after which it is given up.
    pub dead_after_s: f64,
    /// Pause before a new connection.
    pub reconnect_min_s: f64,
    /// Longest such pause; used by the market feeds.
    #[serde(rename = "reconnect_max_s")]
    _reconnect_max_s: f64,
}

impl Settings {
    /// Read the file.
    pub fn read(path: &Path) -> Result<Self, Fault> {
        read_file(path)
    }

    /// How the connections are watched.
    pub fn probing(&self) -> Probing {
        Probing {
            interval: Duration::from_nanos(ns(self.probe_s)),
            floor: Duration::from_nanos(ns(self.silence_s)),
            pause: Duration::from_nanos(ns(self.pause_s)),
        }
    }

    /// Path of the question about the region.
    pub fn region_target(&self) -> Result<String, Fault> {
        let uri: Uri = self
            .region_url
            .parse()
            .map_err(|_| Fault::User(format!("{} is not a URL", self.region_url)))?;
        Ok(uri.path().to_owned())
    }

    /// What the state machine needs of it.
    pub fn engine(&self) -> Result<EngineSettings, Fault> {
        let tier = Tier::parse(&self.limits.tier)
            .ok_or_else(|| Fault::User(format!("the venue has no tier {:?}", self.limits.tier)))?;
        Ok(EngineSettings {
            heartbeat_ns: ns(self.heartbeat_s),
            reconcile_ns: ns(self.reconcile_s),
            withdraw_timeout_ns: ns(self.withdraw_timeout_s),
            region_ns: ns(self.region_s),
            switches_per_day: self.switches_per_day,
            watch: WatchSettings {
                guard_ns: self.watch.guard_timeout_s.map(ns),
                touch_ns: self.watch.touch_timeout_s.map(ns),
                sentinel_ns: self.watch.sentinel_timeout_s.map(ns),
            },
            limits: LimitSettings {
                tier,
                place_requests: [self.limits.place_requests_10s, self.limits.place_requests_600s],
                jitter_ns: self.limits.send_jitter_ms.saturating_mul(1_000_000),
                ..LimitSettings::default()
            },
            keeps_counters: true,
        })
    }
}

/// Read a settings file.
pub fn read_file<T: DeserializeOwned>(path: &Path) -> Result<T, Fault> {
    let text = std::fs::read(path)
        .map_err(|fault| Fault::User(format!("cannot read the settings {}: {fault}", path.display())))?;
    serde_json::from_slice(&text)
        .map_err(|fault| Fault::User(format!("the settings {} are not usable: {fault}", path.display())))
}

/// Seconds to whole nanoseconds; a cast saturates.
pub fn ns(seconds: f64) -> u64 {
    (seconds * NS_PER_S) as u64
}
