//! Log lines on stderr, `key=value`, as the swarm's Python processes write them.

use std::fmt::Write as _;
use std::io::Write as _;

use crate::clock;

/// State changed.
pub fn info(event: &str, fields: &[(&str, &str)]) {
    write("info", event, fields);
}

/// Degraded.
pub fn warning(event: &str, fields: &[(&str, &str)]) {
    write("warning", event, fields);
}

/// A person must act.
pub fn error(event: &str, fields: &[(&str, &str)]) {
    write("error", event, fields);
}

fn write(level: &str, event: &str, fields: &[(&str, &str)]) {
    let timestamp = clock::wall_text();
    let line = line(
        fields,
        &[("event", event), ("level", level), ("timestamp", &timestamp)],
    );
    // A log that cannot be written must not stop the order path.
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}

fn line(fields: &[(&str, &str)], rest: &[(&str, &str)]) -> String {
    let mut line = String::new();
    for (key, value) in fields.iter().chain(rest) {
        let separator = if line.is_empty() { "" } else { " " };
        let is_plain = !value.is_empty() && !value.contains([' ', '=', '"', '\n', '\\']);
        let _ = if is_plain {
            write!(line, "{separator}{key}={value}")
        } else {
            write!(line, "{separator}{key}={value:?}")
        };
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn a_line_is_keys_and_values_and_stays_one_line() {
        let written = line(
            &[("cause", "SIGTERM"), ("reason", "a \"b\"\nc"), ("empty", "")],
            &[("event", "x.y")],
        );
        assert_eq!(
            written,
            "cause=SIGTERM reason=\"a \\\"b\\\"\\nc\" empty=\"\" event=x.y\n"
        );
    }
}
