//! Canonical JSON as TUF signs it (OLPC form: sorted names, no spaces, integers only).

use olpc_cjson::CanonicalFormatter;
use serde::Serialize as _;
use serde_json::{Serializer, Value};

/// The one text of a value; fails on numbers with a fraction, which the form does not have.
pub(crate) fn to_vec(value: &Value) -> Result<Vec<u8>, serde_json::Error> {
    let mut text = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut text, CanonicalFormatter::new());
    value.serialize(&mut serializer)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn canonical_text_is_sorted_and_dense() {
        let value = json!({"b": [true, null], "a": {"y": "é", "x": 7}});
        assert_eq!(to_vec(&value).unwrap(), r#"{"a":{"x":7,"y":"é"},"b":[true,null]}"#.as_bytes());
    }

    #[test]
    fn fractions_have_no_canonical_text() {
        assert!(to_vec(&json!({"a": 1.5})).is_err());
    }
}
