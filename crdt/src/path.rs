//! Paths of values inside a session, and the JSON Pointer (RFC 6901) that is their key in the document.
//!
//! A session's body is stored flat, one key per value. Nested maps of the engine would lose writes: when two replicas create the same map at the same
//! time one of the two is hidden, and deleting a map discards edits made inside it elsewhere.

use crate::limits::{PATH_COMPONENT_BYTES_MAX, PATH_DEPTH_MAX};

/// Why a path is not usable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Only a delete may name the whole body by the empty path.
    #[error("name a value: the path is empty")]
    Empty,
    /// Deeper than the limit; use a flatter layout.
    #[error("use a path of {depth} components, at most {max} are allowed")]
    TooDeep {
        /// Components given.
        depth: usize,
        /// Components allowed.
        max: usize,
    },
    /// A component longer than [`PATH_COMPONENT_BYTES_MAX`] bytes; shorten it.
    #[error("use a path component of {bytes} bytes, at most {PATH_COMPONENT_BYTES_MAX} are allowed")]
    ComponentTooLong {
        /// Bytes of the component.
        bytes: usize,
    },
    /// A component is empty or holds a control character; choose another name.
    #[error("use an empty path component or one with control characters")]
    BadComponent,
    /// The text does not start with `/` or has a `~` that is followed by neither `0` nor `1`.
    #[error("read a path that is not a JSON pointer")]
    NotAPointer,
}

/// Encodes `path` as a JSON Pointer: `["a", "b/c"]` becomes `/a/b~1c`, the empty path becomes the empty text.
///
/// # Errors
/// When the path breaks a bound; `depth_max` may be lower than [`PATH_DEPTH_MAX`], never higher.
pub fn to_pointer(path: &[String], depth_max: usize) -> Result<String, PathError> {
    let max = depth_max.min(PATH_DEPTH_MAX);
    if path.len() > max {
        return Err(PathError::TooDeep { depth: path.len(), max });
    }
    let mut pointer = String::new();
    for component in path {
        check_component(component)?;
        pointer.push('/');
        pointer.push_str(&component.replace('~', "~0").replace('/', "~1"));
    }
    Ok(pointer)
}

/// Decodes a JSON Pointer within the same bounds; the exact inverse of [`to_pointer`].
///
/// # Errors
/// When the text is no pointer, or one that [`to_pointer`] would not produce.
pub fn from_pointer(pointer: &str) -> Result<Vec<String>, PathError> {
    let Some(rest) = pointer.strip_prefix('/') else {
        return Err(if pointer.is_empty() { PathError::Empty } else { PathError::NotAPointer });
    };
    let mut path = Vec::new();
    for token in rest.split('/') {
        if path.len() == PATH_DEPTH_MAX {
            return Err(PathError::TooDeep { depth: rest.split('/').count(), max: PATH_DEPTH_MAX });
        }
        let component = unescape(token)?;
        check_component(&component)?;
        path.push(component);
    }
    Ok(path)
}

/// The pointers of all strict ancestors of `pointer`, the nearest last: `/a/b/c` gives `/a` and `/a/b`.
pub(crate) fn ancestors(pointer: &str) -> impl Iterator<Item = &str> {
    pointer.char_indices().skip(1).filter(|(_, character)| *character == '/').map(|(at, _)| pointer.split_at(at).0)
}

fn check_component(component: &str) -> Result<(), PathError> {
    if component.len() > PATH_COMPONENT_BYTES_MAX {
        return Err(PathError::ComponentTooLong { bytes: component.len() });
    }
    if component.is_empty() || component.chars().any(char::is_control) {
        return Err(PathError::BadComponent);
    }
    Ok(())
}

fn unescape(token: &str) -> Result<String, PathError> {
    let mut component = String::with_capacity(token.len());
    let mut characters = token.chars();
    while let Some(character) = characters.next() {
        match (character, if character == '~' { characters.next() } else { None }) {
            ('~', Some('0')) => component.push('~'),
            ('~', Some('1')) => component.push('/'),
            ('~', _) => return Err(PathError::NotAPointer),
            (plain, _) => component.push(plain),
        }
    }
    Ok(component)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn owned(path: &[&str]) -> Vec<String> {
        path.iter().map(|component| (*component).to_owned()).collect()
    }

    #[test]
    fn slashes_and_tildes_are_escaped() {
        assert_eq!(to_pointer(&owned(&["a", "b/c", "~"]), 8), Ok("/a/b~1c/~0".to_owned()));
        assert_eq!(from_pointer("/a/b~1c/~0"), Ok(owned(&["a", "b/c", "~"])));
    }

    #[test]
    fn ancestors_are_strict() {
        assert_eq!(ancestors("/a/b/c").collect::<Vec<_>>(), ["/a", "/a/b"]);
        assert_eq!(ancestors("/a").count(), 0);
    }

    #[test]
    fn bounds_are_named() {
        assert_eq!(to_pointer(&owned(&["a"; 9]), 8), Err(PathError::TooDeep { depth: 9, max: 8 }));
        assert_eq!(from_pointer("/a/a/a/a/a/a/a/a/a"), Err(PathError::TooDeep { depth: 9, max: 8 }));
        assert_eq!(to_pointer(&["x".repeat(129)], 8), Err(PathError::ComponentTooLong { bytes: 129 }));
        assert_eq!(to_pointer(&owned(&["a\u{1}"]), 8), Err(PathError::BadComponent));
        assert_eq!(to_pointer(&owned(&[""]), 8), Err(PathError::BadComponent));
        assert_eq!(from_pointer("a"), Err(PathError::NotAPointer));
        assert_eq!(from_pointer("/~2"), Err(PathError::NotAPointer));
        assert_eq!(from_pointer("/~"), Err(PathError::NotAPointer));
        assert_eq!(from_pointer(""), Err(PathError::Empty));
    }

    proptest! {
        #[test]
        fn a_pointer_reads_back(path in proptest::collection::vec("[a-z/~ é]{1,6}", 1..=8)) {
            let pointer = to_pointer(&path, 8).unwrap();
            prop_assert_eq!(from_pointer(&pointer), Ok(path));
        }

        #[test]
        fn what_reads_back_is_the_only_spelling(text in "[/~01a]{0,12}") {
            if let Ok(path) = from_pointer(&text) {
                prop_assert_eq!(to_pointer(&path, 8), Ok(text));
            }
        }
    }
}
