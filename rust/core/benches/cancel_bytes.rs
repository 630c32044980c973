//! Times what a cancel costs the engine before its first byte leaves: its body, its signature and its headers.
//!
//! For each line on standard input one cancel, and its nanoseconds as a line on standard output: the child of
//! `engine.cancel_bytes` in benchmarks/engine.py, which times the peer between two lines.

use std::hint::black_box;
use std::io::{self, BufRead as _, Write as _};
use std::time::Instant;

use claw_core::order::body::cancel_order_body;
use claw_core::order::headers::RequestSigner;
use claw_core::order::hmac::Credentials;
use http::Method;

#[expect(clippy::disallowed_methods, reason = "what is timed has no clock of its own")]
fn main() -> io::Result<()> {
    let credentials = Credentials::new(
        "00000000-0000-0000-0000-000000000001",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        &"0".repeat(64),
    )
    .map_err(io::Error::other)?;
    let signer = RequestSigner::new("0x6370eF2f4Db3611D657b90667De398a2Cc2a370C", credentials)
        .map_err(io::Error::other)?;
    let order_id = format!("0x{}", "ab".repeat(32));
    let mut answers = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        line?;
        let began = Instant::now();
        let body = cancel_order_body(black_box(&order_id)).map_err(io::Error::other)?;
        let headers = signer
            .headers(black_box(1_700_000_000), &Method::DELETE, "/order", &body)
            .map_err(io::Error::other)?;
        black_box((&body, &headers));
        writeln!(answers, "{}", began.elapsed().as_nanos())?;
        answers.flush()?;
    }
    Ok(())
}
