//! Small things in the form in which people read them.

use std::time::Duration;

/// An error with its causes in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}

/// Microseconds as milliseconds; exact up to an hour, which no round trip reaches.
pub fn milliseconds(us: u64) -> f64 {
    f64::from(u32::try_from(us).unwrap_or(u32::MAX)) / 1_000.0
}

/// Whole milliseconds.
pub fn whole_milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_is_told_once() {
        let error = anyhow::anyhow!("the disk is full").context("write root.json");
        assert_eq!(chain(error.as_ref()), "write root.json: the disk is full");
        assert_eq!(milliseconds(1_250), 1.25);
    }
}
