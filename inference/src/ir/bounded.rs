//! Names that refuse to be longer than their bound before they are copied.

use serde::{Deserialize, Deserializer, de::Error as _};

/// For `#[serde(deserialize_with)]`: a `String` of at most `MAX` bytes, from a format that lends
/// its input, as postcard does.
pub(super) fn text<'de, D, const MAX: usize>(deserializer: D) -> Result<String, D::Error>
where
    D: Deserializer<'de>,
{
    let text = <&str>::deserialize(deserializer)?;
    if text.len() > MAX {
        return Err(D::Error::custom(format_args!("name of {} bytes, at most {MAX} are allowed", text.len())));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Sample(#[serde(deserialize_with = "text::<_, 3>")] String);

    #[test]
    fn at_the_bound_is_taken_and_above_is_refused() {
        assert_eq!(postcard::from_bytes(b"\x03abc"), Ok(Sample("abc".into())));
        assert!(postcard::from_bytes::<Sample>(b"\x04abcd").is_err());
        // A length of 2^35 with nothing behind it.
        assert!(postcard::from_bytes::<Sample>(&[0x80, 0x80, 0x80, 0x80, 0x80, 1]).is_err());
    }
}
