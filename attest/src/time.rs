//! Wall time as statements carry it. Nothing here reads a clock; the caller says what time it is.

use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// Clocks of two nodes may differ by this many seconds at most before a statement's dates are held against it;
/// [`crate::root::Lifetimes::skew_s`] has the figure of a mesh.
pub const CLOCK_SKEW_S: u64 = 300;

const DAY_S: u64 = 86_400;

/// 9999-12-31T23:59:59Z, the last moment that the text form can name.
const TEXT_LAST: u64 = 253_402_300_799;

/// Seconds since 1970-01-01T00:00:00Z without leap seconds; text form: `2031-02-03T04:05:06Z`, as TUF writes dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct UnixSeconds(pub u64);

impl UnixSeconds {
    /// This moment and so many seconds, or the end of time.
    #[must_use]
    pub const fn plus_s(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// Reads the text form: 20 characters, UTC, whole seconds.
    ///
    /// # Errors
    /// [`DateError`] for any other shape and for dates that no calendar has.
    pub fn parse(text: &str) -> Result<Self, DateError> {
        let shape = |(index, byte): (usize, u8)| match index {
            4 | 7 => byte == b'-',
            10 => byte == b'T',
            13 | 16 => byte == b':',
            19 => byte == b'Z',
            0..=18 => byte.is_ascii_digit(),
            _ => false,
        };
        if text.len() != 20 || !text.bytes().enumerate().all(shape) {
            return Err(DateError);
        }
        let number = |range| text.get(range).and_then(|digits: &str| digits.parse::<u64>().ok()).ok_or(DateError);
        let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
        let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
        let days = days_of(year, month, day).ok_or(DateError)?;
        if hour > 23 || minute > 59 || second > 59 {
            return Err(DateError);
        }
        Ok(Self(days * DAY_S + hour * 3600 + minute * 60 + second))
    }
}

impl fmt::Display for UnixSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = self.0.min(TEXT_LAST);
        let (year, month, day) = date_of(moment / DAY_S);
        let (hour, minute, second) = (moment % DAY_S / 3600, moment % 3600 / 60, moment % 60);
        f.pad(&format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"))
    }
}

/// A text is not a date of the form `2031-02-03T04:05:06Z` between 1970 and 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("text that is not a date like 2031-02-03T04:05:06Z")]
pub struct DateError;

/// Why a statement does not hold at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ValidityError {
    /// It begins later: either the issuer's clock or ours is wrong; compare them.
    #[error("valid only from {not_before}, and it is {now}")]
    NotYet {
        /// First second at which it holds.
        not_before: UnixSeconds,
        /// The time of the check.
        now: UnixSeconds,
    },
    /// It has ended: ask the issuer for a renewal, or set the clock.
    #[error("expired at {not_after}, and it is {now}")]
    Expired {
        /// Last second at which it held.
        not_after: UnixSeconds,
        /// The time of the check.
        now: UnixSeconds,
    },
}

/// Whether `now` lies in `not_before..=not_after`, both widened by `skew_s` for clocks that differ.
///
/// # Errors
/// [`ValidityError`], which says on which side.
pub fn check_validity(
    not_before: UnixSeconds,
    not_after: UnixSeconds,
    now: UnixSeconds,
    skew_s: u64,
) -> Result<(), ValidityError> {
    if now.plus_s(skew_s) < not_before {
        return Err(ValidityError::NotYet { not_before, now });
    }
    if now > not_after.plus_s(skew_s) {
        return Err(ValidityError::Expired { not_after, now });
    }
    Ok(())
}

/// Days since 1970 of a Gregorian date (Hinnant, "chrono-compatible low-level date algorithms", `days_from_civil`).
fn days_of(year: u64, month: u64, day: u64) -> Option<u64> {
    if year < 1970 || !(1..=12).contains(&month) || day == 0 {
        return None;
    }
    // Years that begin in March end with the leap day, which makes the months regular.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * month + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    let days = days - 719_468;
    (date_of(days).2 == day).then_some(days)
}

/// The Gregorian date of a number of days since 1970 (Hinnant, `civil_from_days`).
fn date_of(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year_of_era;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_moments_read_and_print_alike() {
        for (moment, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_700_000_000, "2023-11-14T22:13:20Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (TEXT_LAST, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(UnixSeconds(moment).to_string(), text);
            assert_eq!(UnixSeconds::parse(text), Ok(UnixSeconds(moment)));
        }
    }

    #[test]
    fn dates_outside_the_calendar_are_refused() {
        for text in [
            "1969-12-31T23:59:59Z",
            "2100-02-29T00:00:00Z",
            "2023-13-01T00:00:00Z",
            "2023-00-01T00:00:00Z",
            "2023-04-31T00:00:00Z",
            "2023-01-00T00:00:00Z",
            "2023-01-01T24:00:00Z",
            "2023-01-01T00:00:00+",
            "2023-01-01 00:00:00Z",
            "+023-01-01T00:00:00Z",
        ] {
            assert_eq!(UnixSeconds::parse(text), Err(DateError), "{text}");
        }
    }

    #[test]
    fn validity_is_inclusive_and_widened_by_the_skew() {
        let check = |now| check_validity(UnixSeconds(100), UnixSeconds(200), UnixSeconds(now), 5);
        let (not_before, not_after) = (UnixSeconds(100), UnixSeconds(200));
        assert_eq!(check(94), Err(ValidityError::NotYet { not_before, now: UnixSeconds(94) }));
        assert_eq!(check(95), Ok(()));
        assert_eq!(check(205), Ok(()));
        assert_eq!(check(206), Err(ValidityError::Expired { not_after, now: UnixSeconds(206) }));
    }

    proptest! {
        #[test]
        fn every_moment_survives_its_text(moment in 0..=TEXT_LAST) {
            prop_assert_eq!(UnixSeconds::parse(&UnixSeconds(moment).to_string()), Ok(UnixSeconds(moment)));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,24}") {
            if let Ok(moment) = UnixSeconds::parse(&text) {
                prop_assert_eq!(moment.to_string(), text);
            }
        }
    }
}
