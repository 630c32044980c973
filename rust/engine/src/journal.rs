//! Append-only journal, byte for byte as `kernel/journal.py`: length u32 | crc32 u32 | bytes, numbered from 1.
//!
//! A torn or corrupt tail ends at the last good record and is cut off when the journal is opened. A lock that ends with
//! the process keeps a second writer out.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::log;

const HEAD_BYTES: usize = 8;
const MAX_RECORD: usize = 1 << 20;

/// One journal file, held open by its only writer.
#[derive(Debug)]
pub struct Journal {
    file: File,
    offsets: Vec<u64>,
    end: u64,
}

impl Journal {
    /// Open or make the file, and cut off a damaged tail.
    pub fn open(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .read(true)
            .open(path)?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK) {
            let path = path.display();
            return Err(io::Error::other(format!(
                "another process writes {path}; end that first"
            )));
        }
        let mut journal = Self {
            file,
            offsets: Vec::new(),
            end: 0,
        };
        let mut reader = BufReader::new(&journal.file);
        while let Some(record) = read_record(&mut reader)? {
            journal.offsets.push(journal.end);
            journal.end += (HEAD_BYTES + record.len()) as u64;
        }
        let cut = journal.file.metadata()?.len().saturating_sub(journal.end);
        if cut > 0 {
            let path = path.display().to_string();
            log::warning("journal.cut", &[("path", &path), ("bytes", &cut.to_string())]);
            journal.file.set_len(journal.end)?;
        }
        Ok(journal)
    }

    /// Number of the newest record, 0 when there is none.
    pub fn last_seq(&self) -> u64 {
        self.offsets.len() as u64
    }

    /// Write one record through to the operating system and return its number.
    pub fn append(&mut self, record: &[u8]) -> io::Result<u64> {
        if record.is_empty() || record.len() > MAX_RECORD {
            return Err(io::Error::other(format!(
                "a journal record of {} bytes",
                record.len()
            )));
        }
        let length = u32::try_from(record.len()).map_err(io::Error::other)?;
        let crc = crc32fast::hash(record);
        let frame = [&length.to_le_bytes()[..], &crc.to_le_bytes(), record].concat();
        if let Err(fault) = self.file.write_all(&frame) {
            // What was written of it is cut off again, so that the next record can be read.
            self.file.set_len(self.end)?;
            return Err(fault);
        }
        self.offsets.push(self.end);
        self.end += frame.len() as u64;
        Ok(self.last_seq())
    }

    /// Records `first` to `last`, cut to what exists and is undamaged, with their numbers.
    pub fn read(&mut self, first: u64, last: u64) -> io::Result<Vec<(u64, Vec<u8>)>> {
        let (first, last) = (first.max(1), last.min(self.last_seq()));
        let mut records = Vec::new();
        let start = usize::try_from(first - 1)
            .ok()
            .and_then(|index| self.offsets.get(index));
        let Some(start) = start.filter(|_| first <= last) else {
            return Ok(records);
        };
        self.file.seek(SeekFrom::Start(*start))?;
        let mut reader = BufReader::new(&self.file);
        for seq in first..=last {
            match read_record(&mut reader)? {
                Some(record) => records.push((seq, record)),
                None => break,
            }
        }
        Ok(records)
    }
}

fn read_record(reader: &mut impl io::Read) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    reader.take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    let Ok([a, b, c, d, e, f, g, h]) = <[u8; HEAD_BYTES]>::try_from(head) else {
        return Ok(None);
    };
    let (length, crc) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
    if length == 0 || length as usize > MAX_RECORD {
        return Ok(None);
    }
    let mut record = Vec::with_capacity(length as usize);
    reader.take(length.into()).read_to_end(&mut record)?;
    let is_whole = record.len() == length as usize && crc32fast::hash(&record) == crc;
    Ok(is_whole.then_some(record))
}

#[cfg(test)]
mod tests {
    use super::Journal;

    #[test]
    fn records_survive_and_a_torn_tail_is_cut_off() {
        let folder = std::env::temp_dir().join(format!("claw-journal-{}", std::process::id()));
        let path = folder.join("a.journal");
        let mut journal = Journal::open(&path).unwrap();
        assert_eq!(journal.append(b"one").unwrap(), 1);
        assert_eq!(journal.append(b"two").unwrap(), 2);
        assert!(journal.append(b"").is_err());
        drop(journal);
        let mut bytes = std::fs::read(&path).unwrap();
        assert_eq!(
            &bytes[..11],
            b"\x03\0\0\0\xf1\x86\x6c\x7aone",
            "the frame of kernel/journal.py"
        );
        bytes.extend_from_slice(b"\x05\0\0\0\0\0\0\0hal");
        std::fs::write(&path, bytes).unwrap();
        let mut journal = Journal::open(&path).unwrap();
        assert_eq!(journal.append(b"three").unwrap(), 3);
        let read = journal.read(2, 9).unwrap();
        assert_eq!(read, [(2, b"two".to_vec()), (3, b"three".to_vec())]);
        assert_eq!(journal.read(4, 9).unwrap(), []);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_journal_has_one_writer() {
        let folder = std::env::temp_dir().join(format!("claw-journal-two-{}", std::process::id()));
        let path = folder.join("a.journal");
        let mut first = Journal::open(&path).unwrap();
        first.append(b"one").unwrap();
        assert!(
            Journal::open(&path).is_err(),
            "it would cut off what the first is writing"
        );
        first.append(b"two").unwrap();
        drop(first);
        assert_eq!(Journal::open(&path).unwrap().last_seq(), 2);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
