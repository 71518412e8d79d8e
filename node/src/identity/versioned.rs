//! A version byte and postcard: the form of all that this room sends.

use serde::{Deserialize, Serialize};

/// Why bytes are not of a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// Of another version.
    Version(u8),
    /// Cut short, out of bounds, or followed by something else.
    Malformed,
}

/// The bytes of a value.
pub(super) fn write(version: u8, value: &impl Serialize) -> Vec<u8> {
    postcard::to_extend(value, vec![version]).expect("postcard writes into memory what has no more than its bounds")
}

/// Reads a value, and nothing behind it.
pub(super) fn read<T: for<'de> Deserialize<'de>>(version: u8, bytes: &[u8]) -> Result<T, Unread> {
    match bytes.split_first() {
        Some((&found, body)) if found == version => match postcard::take_from_bytes(body) {
            Ok((value, [])) => Ok(value),
            Ok(_) | Err(_) => Err(Unread::Malformed),
        },
        Some((&found, _)) => Err(Unread::Version(found)),
        None => Err(Unread::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_reads_back_and_anything_else_is_told_apart() {
        let bytes = write(3, &(7_u8, 300_u16));
        assert_eq!(bytes, [3, 7, 0xac, 2]);
        assert_eq!(read(3, &bytes), Ok((7_u8, 300_u16)));
        assert_eq!(read::<(u8, u16)>(2, &bytes), Err(Unread::Version(3)));
        for bytes in [&[][..], &[3], &[3, 7], &[3, 7, 1, 0]] {
            assert_eq!(read::<(u8, u16)>(3, bytes), Err(Unread::Malformed), "{bytes:?}");
        }
    }
}
