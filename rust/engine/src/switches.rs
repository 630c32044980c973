//! The moves of a route because of the CDN, on disk: an allowance of a day must outlive a process.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

/// The moves that earlier lives wrote down; what cannot be read counts as used up.
pub fn read(path: &Path, per_day: u32, venue_ms: u64) -> Vec<u64> {
    let used_up = || vec![venue_ms; usize::try_from(per_day).unwrap_or(usize::MAX)];
    match std::fs::read(path) {
        Ok(text) => serde_json::from_slice(&text).unwrap_or_else(|_| used_up()),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(_) => used_up(),
    }
}

/// Write them through.
pub fn write(path: &Path, switches_ms: &[u64]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = File::create(&fresh)?;
    file.write_all(&serde_json::to_vec(switches_ms)?)?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::{read, write};

    #[test]
    fn what_was_written_is_read_and_what_is_torn_is_used_up() {
        let folder = std::env::temp_dir().join(format!("claw-switches-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("switches.json");
        assert_eq!(read(&path, 2, 7), Vec::<u64>::new());
        write(&path, &[3, 5]).unwrap();
        assert_eq!(read(&path, 2, 7), [3, 5]);
        std::fs::write(&path, "[3, ").unwrap();
        assert_eq!(read(&path, 2, 7), [7, 7]);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
