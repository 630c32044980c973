//! Hexadecimal and decimal text, written into bytes.

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Append lower-case hexadecimal digits, without a prefix.
pub fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(
        bytes
            .iter()
            .flat_map(|byte| [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
    );
}

/// `0x` and lower-case hexadecimal digits: how the venue writes hashes and signatures.
#[must_use]
pub fn prefixed_hex(bytes: &[u8]) -> String {
    let mut text = Vec::with_capacity(2 + 2 * bytes.len());
    text.extend_from_slice(b"0x");
    push_hex(&mut text, bytes);
    String::from_utf8(text).unwrap_or_default()
}

/// A decimal number as text, without a heap.
#[derive(Debug, Clone, Copy)]
pub struct Decimal {
    digits: [u8; 20],
    start: usize,
}

impl Decimal {
    /// Write it.
    #[must_use]
    pub fn of(mut value: u64) -> Self {
        let mut digits = [b'0'; 20];
        let mut start = digits.len();
        loop {
            start -= 1;
            digits[start] = b'0' + u8::try_from(value % 10).unwrap_or(0);
            value /= 10;
            if value == 0 {
                break;
            }
        }
        Self { digits, start }
    }

    /// Its digits.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

/// Append a decimal number.
pub fn push_decimal(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(Decimal::of(value).as_bytes());
}

/// Read exactly `N` bytes of hexadecimal digits in either case, without a prefix.
pub fn read_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

/// Whether a text stands in JSON and in a header as it is: visible ASCII, neither `"` nor `\`.
pub fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}
