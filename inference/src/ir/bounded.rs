//! Sequences that refuse to be longer than their bound before they allocate.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, SeqAccess, Visitor},
};

/// For `#[serde(deserialize_with)]`: a `Vec` of at most `MAX` elements.
///
/// The claimed length is compared before anything is reserved, so that a few hostile bytes
/// cannot ask for a large buffer.
pub(super) fn sequence<'de, D, T, const MAX: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_seq(Bounded::<T, MAX>(PhantomData))
}

/// For `#[serde(deserialize_with)]`: a `String` of at most `MAX` bytes.
pub(super) fn text<'de, D, const MAX: usize>(deserializer: D) -> Result<String, D::Error>
where
    D: Deserializer<'de>,
{
    // A borrowed string is a slice of the input: nothing is allocated before the check.
    let text = <&str>::deserialize(deserializer)?;
    if text.len() > MAX {
        return Err(D::Error::custom(format_args!("name of {} bytes, at most {MAX} are allowed", text.len())));
    }
    Ok(text.to_owned())
}

struct Bounded<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Bounded<T, MAX> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {MAX} elements")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Vec<T>, A::Error> {
        let claimed = sequence.size_hint().unwrap_or(0);
        if claimed > MAX {
            return Err(A::Error::invalid_length(claimed, &self));
        }
        let mut elements = Vec::new();
        while let Some(element) = sequence.next_element()? {
            if elements.len() == MAX {
                return Err(A::Error::invalid_length(MAX + 1, &self));
            }
            elements.push(element);
        }
        Ok(elements)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Sample {
        #[serde(deserialize_with = "sequence::<_, _, 2>")]
        numbers: Vec<u8>,
        #[serde(deserialize_with = "text::<_, 3>")]
        name: String,
    }

    #[test]
    fn at_the_bound_is_taken_and_above_is_refused() {
        let sample: Sample = postcard::from_bytes(&[2, 7, 8, 3, b'a', b'b', b'c']).unwrap();
        assert_eq!(sample, Sample { numbers: vec![7, 8], name: "abc".into() });
        assert!(postcard::from_bytes::<Sample>(&[3, 7, 8, 9, 1, b'a']).is_err());
        assert!(postcard::from_bytes::<Sample>(&[0, 4, b'a', b'b', b'c', b'd']).is_err());
        // A length of 2^35 with nothing behind it.
        assert!(postcard::from_bytes::<Sample>(&[0x80, 0x80, 0x80, 0x80, 0x80, 1]).is_err());
    }
}
