//! Deserialisers that know their limit before they allocate.
//!
//! Serde reserves room for up to a mebibyte when a sequence claims to be long; a length that a peer chose should be
//! compared with the bound of the type first.

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

/// A sequence of at most `MAX` elements, for `#[serde(deserialize_with = "bounded_vec::<_, _, 8>")]`.
///
/// # Errors
/// When the sequence claims, or has, more than `MAX` elements, or an element is malformed.
pub fn bounded_vec<'de, D, T, const MAX: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Elements<T, const MAX: usize>(PhantomData<fn() -> T>);

    impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Elements<T, MAX> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {MAX} elements")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
            let claimed = elements.size_hint().unwrap_or(0);
            if claimed > MAX {
                return Err(A::Error::invalid_length(claimed, &self));
            }
            let mut values = Vec::with_capacity(claimed);
            while let Some(value) = elements.next_element()? {
                if values.len() == MAX {
                    return Err(A::Error::invalid_length(MAX + 1, &self));
                }
                values.push(value);
            }
            Ok(values)
        }
    }

    deserializer.deserialize_seq(Elements::<T, MAX>(PhantomData))
}

/// A value read from its text form; the text is borrowed, and `FromStr` looks at its length first.
///
/// # Errors
/// When there is no string, or it does not parse.
pub fn parsed_text<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    struct Text<T>(PhantomData<fn() -> T>);

    impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Text<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(E::custom)
        }
    }

    deserializer.deserialize_str(Text(PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Few(#[serde(deserialize_with = "bounded_vec::<_, _, 3>")] Vec<u8>);

    #[test]
    fn a_sequence_above_its_bound_is_refused_in_every_format() {
        assert_eq!(postcard::from_bytes::<Few>(&[3, 7, 8, 9]), Ok(Few(vec![7, 8, 9])));
        assert_eq!(serde_json::from_str::<Few>("[7,8,9]").unwrap(), Few(vec![7, 8, 9]));
        assert_eq!(postcard::from_bytes::<Few>(&[4, 7, 8, 9, 10]), Err(postcard::Error::SerdeDeCustom));
        assert_eq!(
            serde_json::from_str::<Few>("[7,8,9,10]").unwrap_err().to_string(),
            "invalid length 4, expected at most 3 elements at line 1 column 10"
        );
    }

    #[derive(Debug)]
    struct Untouched;

    impl<'de> Deserialize<'de> for Untouched {
        fn deserialize<D: Deserializer<'de>>(_deserializer: D) -> Result<Self, D::Error> {
            panic!("an element of a sequence that claims too many was read")
        }
    }

    #[derive(Debug, Deserialize)]
    struct NoneRead(
        #[expect(dead_code, reason = "only its decoding matters")]
        #[serde(deserialize_with = "bounded_vec::<_, _, 3>")]
        Vec<Untouched>,
    );

    #[test]
    fn a_claim_above_the_bound_is_refused_before_any_element_is_read() {
        assert_eq!(postcard::from_bytes::<NoneRead>(&[4, 7, 8, 9, 10]).unwrap_err(), postcard::Error::SerdeDeCustom);
    }
}
