//! The engine's membership of the bus, as `kernel/bus.py`: two kinds of channel over Zenoh on Unix sockets.
//!
//! `Latest` is one slot per key, overwritten. `Ordered` is numbered and journalled here, and holes are replayed
//! from that journal. Publishing may block, so a thread of its own does it: the work loop never waits for the bus.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use zenoh::pubsub::{Publisher, Subscriber};
use zenoh::qos::CongestionControl;
use zenoh::query::{Query, Queryable};
use zenoh::{Config, Session, Wait as _};

use crate::fault::Fault;
use crate::journal::Journal;
use crate::log;
use crate::settings::Settings;

/// A dead peer is noticed after this; Zenoh's own default of 10 s would notice a hang too late.
const LEASE_MS: u32 = 500;
/// The most Zenoh takes, of 64 KiB each.
const QUEUE_BATCHES: u32 = 16;

struct Publication {
    key: String,
    payload: Vec<u8>,
    congestion: CongestionControl,
}

/// One process's membership of the bus.
pub struct Bus {
    session: Session,
    outbox: mpsc::Sender<Publication>,
    publishing: JoinHandle<()>,
}

impl Bus {
    /// Join; call it outside of any asynchronous runtime.
    pub fn open(settings: &Settings) -> Result<Self, Fault> {
        let configuration = configuration(settings).map_err(cannot_join)?;
        let session = zenoh::open(configuration).wait().map_err(cannot_join)?;
        let (outbox, inbox) = mpsc::channel();
        let sending = session.clone();
        let publishing = std::thread::Builder::new()
            .name("bus".to_owned())
            .spawn(move || publish_all(&sending, &inbox))?;
        Ok(Self {
            session,
            outbox,
            publishing,
        })
    }

    /// Overwrite the slot of a key.
    pub fn publish_latest(&self, key: String, message: &impl Serialize) {
        match rmp_serde::to_vec_named(message) {
            Ok(payload) => self.put(key, payload, CongestionControl::Drop),
            Err(fault) => log::error("bus.unwritable", &[("key", &key), ("reason", &fault.to_string())]),
        }
    }

    /// Receive the newest message of every key under `topic`; `wake` is told of news.
    pub fn latest(&self, topic: &str, wake: Option<Arc<Notify>>) -> Result<Latest, Fault> {
        let slots: Slots = Arc::default();
        let received = Arc::clone(&slots);
        let has_news = Arc::new(AtomicBool::new(false));
        let news = Arc::clone(&has_news);
        let subscriber = self
            .session
            .declare_subscriber(topic.to_owned())
            .callback(move |sample| {
                let key = sample.key_expr().as_str().to_owned();
                held(&received).insert(key, sample.payload().to_bytes().into_owned());
                news.store(true, Ordering::Relaxed);
                if let Some(wake) = &wake {
                    wake.notify_one();
                }
            })
            .wait()
            .map_err(cannot_join)?;
        Ok(Latest {
            slots,
            has_news,
            _subscriber: subscriber,
        })
    }

    /// Publish numbered messages of `topic`, journalled in `path`.
    pub fn ordered(&self, topic: &'static str, path: &Path) -> Result<Ordered<'_>, Fault> {
        let journal = Arc::new(Mutex::new(Journal::open(path)?));
        let replayed = Arc::clone(&journal);
        let queryable = self
            .session
            .declare_queryable(format!("replay/{topic}"))
            .callback(move |query| replay(topic, &replayed, &query))
            .wait()
            .map_err(cannot_join)?;
        Ok(Ordered {
            bus: self,
            topic,
            journal,
            _queryable: queryable,
        })
    }

    /// Leave; what was published before is sent first.
    pub fn close(self) {
        drop(self.outbox);
        if self.publishing.join().is_err() || self.session.close().wait().is_err() {
            log::warning("bus.not_closed", &[]);
        }
    }

    fn put(&self, key: String, payload: Vec<u8>, congestion: CongestionControl) {
        let publication = Publication {
            key,
            payload,
            congestion,
        };
        if self.outbox.send(publication).is_err() {
            log::error("bus.gone", &[]);
        }
    }
}

type Slots = Arc<Mutex<HashMap<String, Vec<u8>>>>;

/// One slot per key, overwritten.
pub struct Latest {
    slots: Slots,
    has_news: Arc<AtomicBool>,
    _subscriber: Subscriber<()>,
}

impl Latest {
    /// Whether anything has arrived since the last call, taken or not.
    pub fn has_news(&self) -> bool {
        self.has_news.swap(false, Ordering::Relaxed)
    }

    /// The newest message of every key that changed since the last call; what cannot be read is left out.
    pub fn take<T: DeserializeOwned>(&self) -> Vec<T> {
        let slots = std::mem::take(&mut *held(&self.slots));
        let read = |(key, payload): (String, Vec<u8>)| match rmp_serde::from_slice(&payload) {
            Ok(message) => Some(message),
            Err(fault) => {
                log::warning("bus.unreadable", &[("key", &key), ("reason", &fault.to_string())]);
                None
            }
        };
        slots.into_iter().filter_map(read).collect()
    }
}

/// Numbered messages, delivered in order by whoever reads them.
pub struct Ordered<'a> {
    bus: &'a Bus,
    topic: &'static str,
    journal: Arc<Mutex<Journal>>,
    _queryable: Queryable<()>,
}

impl Ordered<'_> {
    /// Journal the message, then send it.
    pub fn publish(&self, message: &impl Serialize) -> Result<(), Fault> {
        let body = rmp_serde::to_vec_named(message)
            .map_err(|fault| Fault::Crash(format!("journal of {}: {fault}", self.topic)))?;
        let seq = held(&self.journal).append(&body)?;
        self.send(seq, &body);
        Ok(())
    }

    /// Say the newest number, so that a lost tail is noticed.
    pub fn announce(&self) {
        let last_seq = held(&self.journal).last_seq();
        self.send(last_seq, &[]);
    }

    /// Everything in the own journal: what an earlier life has said.
    pub fn published<T: DeserializeOwned>(&self) -> Result<Vec<T>, Fault> {
        let records = held(&self.journal).read(1, u64::MAX)?;
        let read = |(seq, body): (u64, Vec<u8>)| {
            rmp_serde::from_slice(&body).map_err(|fault| {
                Fault::Crash(format!("record {seq} of {} is unreadable: {fault}", self.topic))
            })
        };
        records.into_iter().map(read).collect()
    }

    fn send(&self, seq: u64, body: &[u8]) {
        let payload = [&seq.to_le_bytes()[..], body].concat();
        self.bus
            .put(self.topic.to_owned(), payload, CongestionControl::Block);
    }
}

fn configuration(settings: &Settings) -> zenoh::Result<Config> {
    let endpoint =
        |name: &str| format!("unixsock-stream/{}", settings.socket_dir.join(name).display()) + ".bus";
    let earlier: Vec<String> = settings.earlier_peers.iter().map(|peer| endpoint(peer)).collect();
    let keys = [
        ("mode", serde_json::json!("peer")),
        ("listen/endpoints", serde_json::json!([endpoint(&settings.name)])),
        ("connect/endpoints", serde_json::json!(earlier)),
        ("connect/timeout_ms", serde_json::json!(-1)),
        ("connect/exit_on_failure", serde_json::json!(false)),
        (
            "connect/retry",
            serde_json::json!({"period_init_ms": 50, "period_max_ms": 250, "period_increase_factor": 1.5}),
        ),
        ("open/return_conditions/connect_scouted", serde_json::json!(false)),
        ("scouting/multicast/enabled", serde_json::json!(false)),
        ("scouting/gossip/enabled", serde_json::json!(false)),
        ("transport/link/tx/lease", serde_json::json!(LEASE_MS)),
        ("transport/link/tx/keep_alive", serde_json::json!(4)),
        (
            "transport/link/tx/queue/size/data",
            serde_json::json!(QUEUE_BATCHES),
        ),
    ];
    let mut configuration = Config::default();
    for (key, value) in keys {
        configuration.insert_json5(key, &value.to_string())?;
    }
    Ok(configuration)
}

fn publish_all(session: &Session, inbox: &mpsc::Receiver<Publication>) {
    let mut publishers: HashMap<String, Publisher<'_>> = HashMap::new();
    while let Ok(publication) = inbox.recv() {
        let key = &publication.key;
        if let Err(fault) = publish(session, &mut publishers, &publication) {
            log::warning("bus.unsent", &[("key", key), ("reason", &fault.to_string())]);
        }
    }
}

fn publish(
    session: &Session,
    publishers: &mut HashMap<String, Publisher<'_>>,
    publication: &Publication,
) -> zenoh::Result<()> {
    let key = &publication.key;
    if !publishers.contains_key(key) {
        let publisher = session
            .declare_publisher(key.clone())
            .congestion_control(publication.congestion)
            .express(publication.congestion == CongestionControl::Block);
        publishers.insert(key.clone(), publisher.wait()?);
    }
    match publishers.get(key) {
        Some(publisher) => publisher.put(publication.payload.as_slice()).wait(),
        None => Ok(()),
    }
}

fn replay(topic: &str, journal: &Mutex<Journal>, query: &Query) {
    let number = |name: &str| {
        query
            .parameters()
            .get(name)
            .and_then(|text| text.parse::<u64>().ok())
    };
    let replied = match (number("first"), number("last")) {
        (Some(first), Some(last)) => match held(journal).read(first, last) {
            Ok(records) => query.reply(format!("replay/{topic}"), pack(&records)).wait(),
            Err(fault) => query.reply_err(fault.to_string()).wait(),
        },
        _ => query.reply_err("replay needs first and last").wait(),
    };
    if let Err(fault) = replied {
        log::warning(
            "bus.unreplayed",
            &[("topic", topic), ("reason", &fault.to_string())],
        );
    }
}

/// `[[seq, bytes], …]` in msgpack.
fn pack(records: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut packed = Vec::new();
    let count = u32::try_from(records.len()).unwrap_or(u32::MAX);
    // Writing into memory cannot fail.
    let _ = rmp::encode::write_array_len(&mut packed, count);
    for (seq, body) in records {
        let _ = rmp::encode::write_array_len(&mut packed, 2);
        let _ = rmp::encode::write_uint(&mut packed, *seq);
        let _ = rmp::encode::write_bin(&mut packed, body);
    }
    packed
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

fn cannot_join(fault: impl std::fmt::Display) -> Fault {
    Fault::Crash(format!("cannot join the bus: {fault}"))
}
