//! Instruction sets that kernels are compiled for.
//!
//! A kernel is written once, over vectors of any width; it is compiled for each set and the set is an
//! argument. Sums run in an order that the set fixes and nothing else, so the same set gives the same
//! bits on every machine that has it.

use std::fmt;

#[cfg(target_arch = "aarch64")]
use pulp::aarch64::Neon;
#[cfg(target_arch = "x86_64")]
use pulp::x86::{V3, V4};
use pulp::{Scalar, Simd, WithSimd};

/// An instruction set that this machine has.
#[derive(Clone, Copy)]
pub struct Isa(Set);

#[derive(Clone, Copy)]
enum Set {
    Plain,
    #[cfg(target_arch = "x86_64")]
    Avx2(V3),
    #[cfg(target_arch = "x86_64")]
    Avx512(V4),
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
}

/// An instruction set by this name is not here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this machine has no instruction set `{name}`; it has {}", here.join(", "))]
pub struct IsaError {
    /// What was asked for.
    pub name: String,
    /// What there is.
    pub here: Vec<&'static str>,
}

impl Isa {
    /// What every machine has: one element at a time.
    pub const PLAIN: Self = Self(Set::Plain);

    /// Those of this machine, the narrowest first.
    pub fn all() -> Vec<Self> {
        let mut found = vec![Self::PLAIN];
        #[cfg(target_arch = "x86_64")]
        found.extend(V3::try_new().map(|set| Self(Set::Avx2(set))));
        #[cfg(target_arch = "x86_64")]
        found.extend(V4::try_new().map(|set| Self(Set::Avx512(set))));
        #[cfg(target_arch = "aarch64")]
        found.extend(Neon::try_new().map(|set| Self(Set::Neon(set))));
        found
    }

    /// The widest of this machine.
    pub fn widest() -> Self {
        Self::all().pop().unwrap_or(Self::PLAIN)
    }

    /// The set of a name, for example `avx2`.
    pub fn named(name: &str) -> Result<Self, IsaError> {
        let all = Self::all();
        let found = all.iter().find(|isa| isa.name() == name);
        found
            .copied()
            .ok_or_else(|| IsaError { name: name.to_owned(), here: all.into_iter().map(Self::name).collect() })
    }

    /// The name, as [`Isa::named`] reads it.
    pub fn name(self) -> &'static str {
        match self.0 {
            Set::Plain => "plain",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Set::Avx512(_) => "avx512",
            #[cfg(target_arch = "aarch64")]
            Set::Neon(_) => "neon",
        }
    }

    /// Runs work that is compiled for every set.
    pub(crate) fn run<W: WithSimd>(self, work: W) -> W::Output {
        match self.0 {
            Set::Plain => work.with_simd(Scalar::new()),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(set) => Simd::vectorize(set, work),
            #[cfg(target_arch = "x86_64")]
            Set::Avx512(set) => Simd::vectorize(set, work),
            #[cfg(target_arch = "aarch64")]
            Set::Neon(set) => Simd::vectorize(set, work),
        }
    }

    /// Numbers of `FP32` in a vector.
    pub(crate) fn lanes(self) -> usize {
        struct Lanes;
        impl WithSimd for Lanes {
            type Output = usize;

            fn with_simd<S: Simd>(self, _: S) -> usize {
                S::F32_LANES
            }
        }
        self.run(Lanes)
    }
}

impl fmt::Debug for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl PartialEq for Isa {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Isa {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_is_found_by_its_name_and_the_widest_is_the_last() {
        let all = Isa::all();
        for isa in &all {
            assert_eq!(Isa::named(isa.name()), Ok(*isa));
        }
        assert_eq!(all[0], Isa::PLAIN);
        assert_eq!(all.last(), Some(&Isa::widest()));
        let refused = Isa::named("avx9").unwrap_err().to_string();
        assert!(refused.starts_with("this machine has no instruction set `avx9`; it has plain"), "{refused}");
    }
}
