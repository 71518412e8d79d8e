//! What round trips to a node have in common that no embedding expresses.

use super::coordinate::{ADJUSTMENT_MAX, UNIT_US};

/// Predictions that count; Serf's.
const WINDOW: usize = 20;

/// A prediction counts for no more than this in either direction, in microseconds; half of it is the largest adjustment.
const RESIDUAL_MAX_US: f64 = ADJUSTMENT_MAX as f64 * UNIT_US as f64 * 2.0;

/// By how much predictions were short of round trips, in the mean.
#[derive(Debug, Clone)]
pub(super) struct Adjustment {
    /// Microseconds; zero where fewer were taken.
    residuals: [f64; WINDOW],
    /// Where the next goes.
    next: usize,
}

impl Adjustment {
    /// Of a node that has measured nothing.
    pub(super) const NONE: Self = Self { residuals: [0.0; WINDOW], next: 0 };

    /// Takes by how much a round trip was longer than the coordinates say, in microseconds. What is off by more than the
    /// usual round trip tells of a misplaced node and not of the network, and counts as off by that.
    pub(super) fn predicted(&mut self, off: f64, usual: f64) {
        let most = usual.min(RESIDUAL_MAX_US);
        if let Some(residual) = self.residuals.get_mut(self.next) {
            *residual = off.clamp(-most, most);
        }
        self.next = (self.next + 1) % WINDOW;
    }

    /// In microseconds. Lee et al.: `eₓ = Σ (d − dᴱ) / 2|S|`, so that a pair shares what it has in common.
    pub(super) fn us(&self) -> f64 {
        self.residuals.iter().fold(0.0, |sum, residual| sum + residual) / (2 * WINDOW) as f64
    }

    pub(super) fn digest(&self, hasher: &mut blake3::Hasher) {
        for residual in self.residuals {
            hasher.update(&residual.to_bits().to_be_bytes());
        }
        hasher.update(&[u8::try_from(self.next).unwrap_or(u8::MAX)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(predictions: &[f64]) -> f64 {
        let mut adjustment = Adjustment::NONE;
        predictions.iter().for_each(|off| adjustment.predicted(*off, 5_000.0));
        adjustment.us()
    }

    #[test]
    fn half_of_the_mean_residual_of_the_last_twenty_counts() {
        assert_eq!(after(&[4_000.0]), 100.0);
        assert_eq!(after(&[-1_000.0; WINDOW]), -500.0);
        let mut turned = vec![4_000.0; WINDOW];
        turned.extend([-1_000.0; WINDOW]);
        assert_eq!(after(&turned), -500.0);
    }

    #[test]
    fn one_prediction_shifts_it_little_however_wrong() {
        assert_eq!(after(&[-50_000_000.0]), -125.0);
        let mut adjustment = Adjustment::NONE;
        (0..WINDOW).for_each(|_| adjustment.predicted(9_000_000.0, 10_000_000.0));
        assert_eq!(adjustment.us(), f64::from(ADJUSTMENT_MAX * UNIT_US));
    }
}
