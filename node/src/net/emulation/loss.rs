//! What share of the datagrams is lost.

use rand_core::Rng;
use serde::{Deserialize, Serialize};

/// A share of datagrams, exact to one in a million; in JSON a percentage with at most four decimals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Loss {
    per_million: u32,
}

/// Why a percentage is no share of datagrams.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum LossError {
    /// Name a percentage from 0 to 100.
    #[error("a loss of {percent} %, name one from 0 to 100")]
    OutOfRange {
        /// What was given.
        percent: f64,
    },
    /// Leave out what stands after the fourth decimal.
    #[error("a loss of {percent} %, at most four decimals are kept")]
    TooFine {
        /// What was given.
        percent: f64,
    },
}

impl Loss {
    /// Nothing is lost.
    pub const NONE: Self = Self { per_million: 0 };

    /// From 0 to 100, with at most four decimals.
    pub fn from_percent(percent: f64) -> Result<Self, LossError> {
        // Also refuses what is not a number.
        if !(0.0..=100.0).contains(&percent) {
            return Err(LossError::OutOfRange { percent });
        }
        let scaled = percent * PER_MILLION_IN_A_PERCENT;
        if (scaled - scaled.round()).abs() > ROUNDING {
            return Err(LossError::TooFine { percent });
        }
        Ok(Self { per_million: scaled.round() as u32 })
    }

    /// As a percentage.
    pub fn percent(self) -> f64 {
        f64::from(self.per_million) / PER_MILLION_IN_A_PERCENT
    }

    /// Draws whether one datagram is lost; draws nothing where none is.
    pub(super) fn strikes(self, rng: &mut impl Rng) -> bool {
        self != Self::NONE && below(MILLION, rng) < u64::from(self.per_million)
    }
}

impl TryFrom<f64> for Loss {
    type Error = LossError;

    fn try_from(percent: f64) -> Result<Self, LossError> {
        Self::from_percent(percent)
    }
}

impl From<Loss> for f64 {
    fn from(loss: Loss) -> Self {
        loss.percent()
    }
}

/// A number below `bound`, each as likely as any other but for one part in 2^64 / `bound`.
pub(super) fn below(bound: u64, rng: &mut impl Rng) -> u64 {
    let product = u128::from(rng.next_u64()) * u128::from(bound);
    u64::try_from(product >> 64).expect("a product of two 64 bit numbers has 128 bits")
}

const MILLION: u64 = 1_000_000;
const PER_MILLION_IN_A_PERCENT: f64 = 10_000.0;
/// More than what binary fractions are off by, and less than half of the last decimal.
const ROUNDING: f64 = 1e-6;

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng as _;

    use super::*;

    #[test]
    fn every_share_goes_through_json_and_back() {
        for per_million in (0..=1_000_000).step_by(7).chain([1, 999_999, 1_000_000]) {
            let loss = Loss { per_million };
            let text = serde_json::to_string(&loss).unwrap();
            assert_eq!(serde_json::from_str::<Loss>(&text).unwrap(), loss, "{text}");
        }
        let forms = [(0, "0.0"), (1, "0.0001"), (15_000, "1.5"), (123_456, "12.3456"), (1_000_000, "100.0")];
        for (per_million, text) in forms {
            assert_eq!(serde_json::to_string(&Loss { per_million }).unwrap(), text);
        }
        assert_eq!(serde_json::from_str::<Loss>("2").unwrap(), Loss { per_million: 20_000 });
    }

    #[test]
    fn what_is_no_share_is_refused() {
        assert_eq!(Loss::from_percent(100.1), Err(LossError::OutOfRange { percent: 100.1 }));
        assert_eq!(Loss::from_percent(-0.1), Err(LossError::OutOfRange { percent: -0.1 }));
        assert!(matches!(Loss::from_percent(f64::NAN), Err(LossError::OutOfRange { .. })));
        assert_eq!(Loss::from_percent(0.00001), Err(LossError::TooFine { percent: 0.00001 }));
        let told = serde_json::from_str::<Loss>("101").unwrap_err().to_string();
        assert!(told.starts_with("a loss of 101 %, name one from 0 to 100"), "{told}");
    }

    #[test]
    fn as_many_are_lost_as_was_said() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for percent in [0.0, 0.1, 1.5, 50.0, 100.0] {
            let loss = Loss::from_percent(percent).unwrap();
            let lost = (0..1_000_000).filter(|_| loss.strikes(&mut rng)).count() as f64;
            // Five standard deviations of a binomial distribution.
            let expected = percent * 10_000.0;
            let slack = 5.0 * (expected * (1.0 - percent / 100.0)).sqrt();
            assert!((lost - expected).abs() <= slack, "{percent} %: {lost}");
        }
    }
}
