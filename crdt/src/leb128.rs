//! A reader of LEB128 numbers and runs over untrusted bytes: every read is bounded, nothing is allocated.

/// The bytes end early, or a number does not fit 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("read a number or field past the end of the bytes")]
pub(crate) struct CutShort;

/// A cursor over untrusted bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn byte(&mut self) -> Result<u8, CutShort> {
        let (first, rest) = self.rest.split_first().ok_or(CutShort)?;
        self.rest = rest;
        Ok(*first)
    }

    /// The next `length` bytes.
    pub(crate) fn take(&mut self, length: u64) -> Result<&'a [u8], CutShort> {
        let length = usize::try_from(length).map_err(|_too_long| CutShort)?;
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(CutShort)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Unsigned LEB128 (DWARF 5 §7.6), at most ten bytes.
    pub(crate) fn unsigned(&mut self) -> Result<u64, CutShort> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(CutShort);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(CutShort)
    }

    /// Signed LEB128 (DWARF 5 §7.6), at most ten bytes.
    pub(crate) fn signed(&mut self) -> Result<i64, CutShort> {
        let mut value = 0_i64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = i64::from(byte & 0x7f);
            if shift == 63 && bits != 0 && bits != 0x7f {
                return Err(CutShort);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                let negative = byte & 0x40 != 0;
                return Ok(if negative && shift < 57 { value | (-1 << (shift + 7)) } else { value });
            }
        }
        Err(CutShort)
    }

    /// A length and that many bytes.
    pub(crate) fn prefixed(&mut self) -> Result<&'a [u8], CutShort> {
        let length = self.unsigned()?;
        self.take(length)
    }
}

/// A run of a run-length encoded column: a count, then what it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Run {
    /// One value follows, which stands this often.
    Repeat(u64),
    /// This many values follow.
    Literal(u64),
    /// This many places are empty; nothing follows.
    Nulls(u64),
}

impl Reader<'_> {
    /// The header of the next run.
    pub(crate) fn run(&mut self) -> Result<Run, CutShort> {
        Ok(match self.signed()? {
            0 => Run::Nulls(self.unsigned()?),
            count if count > 0 => Run::Repeat(count.unsigned_abs()),
            count => Run::Literal(count.unsigned_abs()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unsigned_bytes(mut value: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            let low = u8::try_from(value & 0x7f).unwrap();
            value >>= 7;
            bytes.push(if value == 0 { low } else { low | 0x80 });
            if value == 0 {
                return bytes;
            }
        }
    }

    fn signed_bytes(mut value: i64) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            let low = u8::try_from(value & 0x7f).unwrap();
            value >>= 7;
            let last = (value == 0 && low & 0x40 == 0) || (value == -1 && low & 0x40 != 0);
            bytes.push(if last { low } else { low | 0x80 });
            if last {
                return bytes;
            }
        }
    }

    #[test]
    fn numbers_of_more_than_64_bits_are_refused() {
        assert_eq!(Reader::new(&[0xff; 11]).unsigned(), Err(CutShort));
        assert_eq!(
            Reader::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]).unsigned(),
            Err(CutShort)
        );
        assert_eq!(Reader::new(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02]).signed(), Err(CutShort));
        assert_eq!(Reader::new(&[0x80]).unsigned(), Err(CutShort));
        assert_eq!(Reader::new(&[1, 2]).take(u64::MAX), Err(CutShort));
    }

    proptest! {
        #[test]
        fn numbers_read_back(unsigned: u64, signed: i64) {
            prop_assert_eq!(Reader::new(&unsigned_bytes(unsigned)).unsigned(), Ok(unsigned));
            prop_assert_eq!(Reader::new(&signed_bytes(signed)).signed(), Ok(signed));
        }
    }
}
