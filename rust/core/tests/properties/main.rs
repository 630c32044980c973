//! Properties of the core, through its public surface.

mod books;
mod decode;
mod features;
mod ladder;
mod limits;
mod order;
mod quoting;
mod units;
mod venue;
mod wire;
