//! The round trip that is usual for this node: a running median of all that it measures.

/// By how much of itself the median moves with each sample: within some forty samples it has grown or shrunk tenfold. A
/// guess; the median of a steady network is off by about as much.
const STEP: f64 = 1.0 / 16.0;

/// A median over all samples, whoever they are of, in the memory of one number: each sample moves it a step towards
/// itself, however far away it lies (Robbins, Monro, "A stochastic approximation method", 1951, for the quantile of a
/// half). So it follows what most samples say, and the length of a long one has no weight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Typical {
    /// Microseconds; nothing before the first sample.
    us: Option<f64>,
}

impl Typical {
    /// Of a node that has measured nothing.
    pub(super) const UNKNOWN: Self = Self { us: None };

    /// Takes a sample in microseconds and returns what is usual, which lies between samples or a step beyond one.
    pub(super) fn measured(&mut self, rtt: f64) -> f64 {
        let usual = match self.us {
            None => rtt,
            Some(us) if rtt > us => us + us * STEP,
            Some(us) => us - us * STEP,
        };
        self.us = Some(usual);
        usual
    }

    pub(super) fn digest(&self, hasher: &mut blake3::Hasher) {
        hasher.update(&self.us.unwrap_or(0.0).to_bits().to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(samples: &[f64]) -> f64 {
        let mut typical = Typical::UNKNOWN;
        samples.iter().map(|sample| typical.measured(*sample)).last().unwrap()
    }

    #[test]
    fn the_first_sample_is_believed_and_later_ones_move_it_a_step() {
        assert_eq!(after(&[1_600.0]), 1_600.0);
        assert_eq!(after(&[1_600.0, 9_000_000.0]), 1_700.0);
        assert_eq!(after(&[1_600.0, 10.0]), 1_500.0);
    }

    #[test]
    fn it_is_what_most_samples_say() {
        let one_in_three_waits: Vec<f64> = (0..300).map(|n| if n % 3 == 2 { 9_000_000.0 } else { 1_000.0 }).collect();
        assert!((800.0..1_250.0).contains(&after(&one_in_three_waits)), "{}", after(&one_in_three_waits));
        let mut moved = vec![100_000.0];
        moved.extend([1_000.0; 80]);
        assert!((900.0..1_100.0).contains(&after(&moved)), "{}", after(&moved));
    }
}
