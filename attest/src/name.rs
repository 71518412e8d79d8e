//! Short names that people choose: of meshes, of node classes, of failure domains; [`crate::region::Region`] is made by the same rule.

use thiserror::Error;

/// Characters that a name may have; it fits a DNS label with room for a suffix.
pub const NAME_MAX: usize = 32;

/// Why a text is not a name; names have 1 to 32 characters of `a-z`, `0-9` and `-`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NameError {
    /// Empty, or longer than [`NAME_MAX`].
    #[error("name of {found} characters, 1 to 32 allowed")]
    Length {
        /// Characters (bytes) that the text has.
        found: usize,
    },
    /// A character outside `a-z`, `0-9` and `-`.
    #[error("name with a character outside a-z, 0-9 and '-'")]
    Alphabet,
}

/// The rule of every name.
pub(crate) fn check(text: &str) -> Result<(), NameError> {
    if text.is_empty() || text.len() > NAME_MAX {
        return Err(NameError::Length { found: text.len() });
    }
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if text.bytes().all(allowed) { Ok(()) } else { Err(NameError::Alphabet) }
}

/// Declares a type of names: checked at construction, cheap to clone, a string in every serde format.
macro_rules! name {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// The name with this text.
            ///
            /// # Errors
            /// [`NameError`](crate::name::NameError) unless it has 1 to 32 characters of `a-z`, `0-9` and `-`.
            pub fn new(text: &str) -> Result<Self, $crate::name::NameError> {
                $crate::name::check(text)?;
                Ok(Self(text.into()))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::name::NameError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::new(text)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::bounded::parsed_text(deserializer)
            }
        }
    };
}
pub(crate) use name;

name! {
    /// The name of a mesh, for people; two meshes may share one, their [`crate::id::MeshId`] never.
    MeshName
}

name! {
    /// What kind of machine a node is (`edge`, `server`, ...), as its certificate says.
    NodeClass
}

name! {
    /// What a node would fail together with: a site, a rack, an operator, a network. As its certificate says.
    FailureDomain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        assert_eq!(NodeClass::new("edge-2").unwrap().as_str(), "edge-2");
        assert_eq!(NodeClass::new(""), Err(NameError::Length { found: 0 }));
        assert_eq!(NodeClass::new(&"a".repeat(33)), Err(NameError::Length { found: 33 }));
        for odd in ["Edge", "e dge", "e\u{301}", "a/b", "a\n"] {
            assert_eq!(NodeClass::new(odd), Err(NameError::Alphabet), "{odd:?}");
        }
    }

    #[test]
    fn a_name_is_checked_when_it_is_read() {
        assert_eq!(postcard::from_bytes::<MeshName>(b"\x04oaks"), Ok(MeshName::new("oaks").unwrap()));
        assert_eq!(postcard::from_bytes::<MeshName>(b"\x04OAKS"), Err(postcard::Error::SerdeDeCustom));
    }
}
