//! Samples of one quantity and what is told of them.

use serde::Serialize;

use super::super::figure::quantile;

/// The median of several samples, and the middle half of them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Spread {
    pub(super) fn of(samples: impl IntoIterator<Item = f64>) -> Self {
        let mut samples: Vec<f64> = samples.into_iter().collect();
        let mut at = |share| quantile(&mut samples, share);
        Self { median: at(0.5), low: at(0.25), high: at(0.75) }
    }

    /// `1.23 [1.20-1.31]`
    pub(super) fn text(&self) -> String {
        format!("{:.2} [{:.2}-{:.2}]", self.median, self.low, self.high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_told_by_its_middle_half() {
        let spread = Spread::of([5.0, 1.0, 2.0, 4.0, 3.0, 100.0, 0.0]);
        assert_eq!(spread, Spread { median: 3.0, low: 1.0, high: 5.0 });
        assert_eq!(spread.text(), "3.00 [1.00-5.00]");
    }
}
