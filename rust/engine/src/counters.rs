//! The limits' counters in a file, so that a restarted engine goes on where it was: written through before every
//! request that they pay for.
//!
//! ```text
//! "clawcnt1" | generation u64 | boot id (36) | …   slot 0: words u64, bytes   slot 1: the same
//! ```
//!
//! The slot `generation mod 2` holds; the other one is written next and then named, so a process that dies in
//! mid-write leaves the last whole table, and what it was about to send was not sent. What the kernel holds outlives
//! the process but not a crash of the machine: a table of another boot counts as lost, as does a missing, torn or
//! unreadable one, and then every window is full and every bucket empty. [`FRESH`] is the exception, by whoever knows
//! that the venue has counted nothing yet.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use claw_core::limits::{LimitSettings, Limits};

use crate::log;

/// The whole of a file that says: this venue has not counted anything of ours.
pub const FRESH: &[u8] = b"fresh\n";
const MAGIC: &[u8; 8] = b"clawcnt1";
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
const BOOT_ID_BYTES: usize = 36;
const HEAD_BYTES: usize = 4_096;
const SLOT_BYTES: usize = 1 << 18;
const WORD: usize = 8;

/// The open file.
#[derive(Debug)]
pub struct Counters {
    file: File,
    generation: u64,
}

impl Counters {
    /// Open or make the file, with the limits that it holds or, without it, the fullest.
    pub fn open(path: &Path, settings: LimitSettings, now_ns: u64) -> io::Result<(Self, Limits)> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(path)?;
        let boot_id = std::fs::read(BOOT_ID)?;
        let kept = kept(&file, &boot_id)?;
        let (generation, limits) = match kept {
            Kept::Fresh => (0, Limits::new(settings, now_ns)),
            Kept::Table(generation, words) => (generation, Limits::restore(settings, &words, now_ns)),
            Kept::Lost => {
                log::warning("engine.counters.lost", &[]);
                (0, Limits::after_loss(settings, now_ns))
            }
        };
        let mut counters = Self { file, generation };
        // Both slots and the head are there before anything is counted.
        counters.file.set_len((HEAD_BYTES + 2 * SLOT_BYTES) as u64)?;
        counters.keep(&limits.save(now_ns))?;
        let head = [
            MAGIC,
            &counters.generation.to_le_bytes()[..],
            &boot_id[..BOOT_ID_BYTES.min(boot_id.len())],
        ];
        counters.file.write_all_at(&head.concat(), 0)?;
        Ok((counters, limits))
    }

    /// Write a table through; call it before what it pays for is sent.
    pub fn keep(&mut self, words: &[u64]) -> io::Result<()> {
        let next = self.generation + 1;
        let count = words.len() as u64;
        let bytes: Vec<u8> = std::iter::once(&count)
            .chain(words)
            .flat_map(|word| word.to_le_bytes())
            .collect();
        if bytes.len() > SLOT_BYTES {
            return Err(io::Error::other(format!("a table of {} bytes", bytes.len())));
        }
        self.file.write_all_at(&bytes, slot_at(next))?;
        self.file.write_all_at(&next.to_le_bytes(), MAGIC.len() as u64)?;
        self.generation = next;
        Ok(())
    }
}

enum Kept {
    Fresh,
    Table(u64, Vec<u64>),
    Lost,
}

fn kept(file: &File, boot_id: &[u8]) -> io::Result<Kept> {
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    if length == FRESH.len() {
        let mut text = [0; FRESH.len()];
        file.read_exact_at(&mut text, 0)?;
        return Ok(if text == FRESH { Kept::Fresh } else { Kept::Lost });
    }
    if length != HEAD_BYTES + 2 * SLOT_BYTES {
        return Ok(Kept::Lost);
    }
    let mut head = [0; MAGIC.len() + WORD + BOOT_ID_BYTES];
    file.read_exact_at(&mut head, 0)?;
    let (magic, rest) = head.split_at(MAGIC.len());
    let (generation, boot) = rest.split_at(WORD);
    if magic != MAGIC || !boot_id.starts_with(boot) {
        return Ok(Kept::Lost);
    }
    let generation = word(generation);
    let mut slot = vec![0; SLOT_BYTES];
    file.read_exact_at(&mut slot, slot_at(generation))?;
    let (count, words) = slot.split_at(WORD);
    let count = usize::try_from(word(count)).unwrap_or(usize::MAX);
    let words = words.chunks_exact(WORD).take(count).map(word).collect();
    // Its own checksum tells whether it is whole.
    Ok(Kept::Table(generation, words))
}

const fn slot_at(generation: u64) -> u64 {
    HEAD_BYTES as u64 + generation % 2 * SLOT_BYTES as u64
}

fn word(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use claw_core::limits::{LimitSettings, Limits, Request};
    use proptest::prelude::*;

    use super::{Counters, FRESH, HEAD_BYTES, SLOT_BYTES, slot_at};

    const START: u64 = 1_000_000_000_000;
    const ONE: Request = Request::Place { orders: 1, open: 0 };

    fn path(name: &str) -> std::path::PathBuf {
        std::env::temp_dir().join(format!("claw-counters-{name}-{}", std::process::id()))
    }

    fn open(path: &std::path::Path, now_ns: u64) -> (Counters, Limits) {
        Counters::open(path, LimitSettings::default(), now_ns).unwrap()
    }

    #[test]
    fn a_restarted_engine_goes_on_where_it_was() {
        let path = path("again");
        std::fs::write(&path, FRESH).unwrap();
        let (mut counters, mut limits) = open(&path, START);
        for step in 0..9 {
            limits.admit(0, ONE, START + step).unwrap();
            counters.keep(&limits.save(START + step)).unwrap();
            drop(counters);
            let (again, restored) = open(&path, START + step);
            assert_eq!(restored.save(START + step), limits.save(START + step));
            counters = again;
        }
        assert_eq!(limits.highest_places(), [9, 9]);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_write_that_was_not_finished_leaves_the_table_before_it() {
        let path = path("torn");
        std::fs::write(&path, FRESH).unwrap();
        let (mut counters, mut limits) = open(&path, START);
        limits.admit(0, ONE, START).unwrap();
        counters.keep(&limits.save(START)).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let at = usize::try_from(slot_at(counters.generation + 1)).unwrap();
        bytes[at..at + 500].fill(0xff);
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(open(&path, START).1.save(START), limits.save(START));
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn without_a_whole_file_of_this_boot_everything_is_full() {
        let full = Limits::after_loss(LimitSettings::default(), START).save(START);
        let path = path("lost");
        let _ = std::fs::remove_file(&path);
        assert_eq!(open(&path, START).1.save(START), full, "no file");
        let whole = std::fs::read(&path).unwrap();
        let mut other_boot = whole.clone();
        other_boot[20] ^= 1;
        let damaged = [
            Vec::new(),
            b"fresH\n".to_vec(),
            whole[..whole.len() - 1].to_vec(),
            other_boot,
        ];
        for bytes in damaged {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(open(&path, START).1.save(START), full);
        }
        std::fs::remove_file(path).unwrap();
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn no_damage_ever_gives_back_a_request(at in 0..HEAD_BYTES + 2 * SLOT_BYTES, bit in 0..8_u8, cut in any::<bool>()) {
            let path = path("damaged");
            std::fs::write(&path, FRESH).unwrap();
            let (mut counters, mut limits) = open(&path, START);
            for _ in 0..7 {
                limits.admit(0, ONE, START).unwrap();
                counters.keep(&limits.save(START)).unwrap();
            }
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[at] ^= 1 << bit;
            if cut {
                bytes.truncate(at);
            }
            std::fs::write(&path, bytes).unwrap();
            let restored = open(&path, START).1;
            let full = Limits::after_loss(LimitSettings::default(), START);
            let is_safe = restored.save(START) == limits.save(START) || restored.save(START) == full.save(START);
            prop_assert!(is_safe, "byte {}", at);
        }
    }
}
