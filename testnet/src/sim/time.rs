//! True time, which only the simulation knows: microseconds since its start.

/// A moment or a span of true time in microseconds.
pub(crate) type Micros = u64;

/// One millisecond.
pub(crate) const MS: Micros = 1_000;
/// One second.
pub(crate) const S: Micros = 1_000 * MS;
/// One minute.
pub(crate) const MINUTE: Micros = 60 * S;
/// One hour.
pub(crate) const HOUR: Micros = 60 * MINUTE;
/// One day.
pub(crate) const DAY: Micros = 24 * HOUR;
