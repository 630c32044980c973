//! Pure core of the swarm: frames in, book states out; market state in, quotes out; orders in, signed bytes out.
//!
//! Nothing here reads a clock, does I/O or awaits: the receive time is an argument. Prices are integers in
//! 1e-4 (`_e4`), sizes in 1e-6 (`_e6`), and every book is in the YES frame (a NO order at p is a YES order
//! at 1 − p on the other side).
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod book;
pub mod book_hash;
pub mod books;
pub mod decode;
pub mod engine;
pub mod features;
pub mod guard;
pub mod ladder;
pub mod limits;
pub mod matching;
pub mod order;
pub mod quoting;
pub mod scan;
pub mod silence;
pub mod units;
pub mod witness;
