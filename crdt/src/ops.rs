//! What a client may do to a session, and the bounds checked before anything else happens.

use serde::{Deserialize, Serialize};

use crate::{
    limits::{Limits, VALUE_BYTES_MAX},
    path::{PathError, to_pointer},
};

/// One edit of a session. The edits of one write take effect together and in their order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum SessionOp {
    /// Sets the value at `path`. Values at ancestors of the path and everything below it are removed: a place holds a value or a subtree, not both.
    Put {
        /// Where, as components from the root.
        path: Vec<String>,
        /// What.
        value: Scalar,
    },
    /// Removes the value and the subtree at `path`; the empty path removes the whole body. Edits that this replica has not seen survive.
    Delete {
        /// Where.
        path: Vec<String>,
    },
    /// Adds to the counter at `path`, which starts as 0 or as the [`Scalar::Int`] stored there. Concurrent increments all count.
    Increment {
        /// Where.
        path: Vec<String>,
        /// How much; may be negative.
        by: i64,
    },
}

/// A value in a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Scalar {
    /// JSON `null`, which is a value: deleting is [`SessionOp::Delete`].
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A finite number; NaN and infinities are refused.
    Float(f64),
    /// Text, replaced as a whole: concurrent edits of one text conflict and are not merged letter by letter.
    Text(String),
    /// Bytes, shown in JSON as `{"$bytes": "<base64>"}`.
    Bytes(Vec<u8>),
}

impl Scalar {
    /// The scalar of a JSON value; `None` for arrays, objects (except `{"$bytes": …}`) and whole numbers beyond 64 bits signed.
    #[must_use]
    pub fn from_json(value: &serde_json::Value) -> Option<Self> {
        match value {
            serde_json::Value::Null => Some(Self::Null),
            serde_json::Value::Bool(value) => Some(Self::Bool(*value)),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(value) => Some(Self::Int(value)),
                None if number.is_f64() => number.as_f64().map(Self::Float),
                None => None,
            },
            serde_json::Value::String(text) => Some(Self::Text(text.clone())),
            serde_json::Value::Object(object) if object.len() == 1 => {
                let text = object.get(BYTES_KEY)?.as_str()?;
                data_encoding::BASE64.decode(text.as_bytes()).map(Self::Bytes).ok()
            }
            serde_json::Value::Array(_) | serde_json::Value::Object(_) => None,
        }
    }

    /// The JSON form that [`Scalar::from_json`] reads.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(value) => (*value).into(),
            Self::Int(value) => (*value).into(),
            // A NaN can only come from another member's change; JSON has no word for it.
            Self::Float(value) => {
                serde_json::Number::from_f64(*value).map_or(serde_json::Value::Null, serde_json::Value::Number)
            }
            Self::Text(text) => text.as_str().into(),
            Self::Bytes(bytes) => serde_json::json!({ BYTES_KEY: data_encoding::BASE64.encode(bytes) }),
        }
    }

    /// Bytes that count against the bounds; numbers count eight.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Null | Self::Bool(_) => 1,
            Self::Int(_) | Self::Float(_) => 8,
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }
}

/// The single key of the JSON object that stands for bytes.
const BYTES_KEY: &str = "$bytes";

/// Why a write's operations are refused. Nothing was changed; the same write will be refused again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpRefusal {
    /// A write without operations.
    #[error("write nothing: give at least one operation")]
    NoOps,
    /// Too many operations; split the write.
    #[error("write {ops} operations at once, at most {max} are allowed")]
    TooManyOps {
        /// Operations given.
        ops: usize,
        /// Operations allowed.
        max: usize,
    },
    /// The path of the operation at this index breaks a bound.
    #[error("use the path of operation {index}")]
    Path {
        /// Position in the write, from 0.
        index: usize,
        /// What is wrong with it.
        #[source]
        source: PathError,
    },
    /// A value over the bound; store large data as an artifact and its digest here.
    #[error("store a value of {bytes} bytes in operation {index}, at most {max} are allowed")]
    ValueTooLarge {
        /// Position in the write, from 0.
        index: usize,
        /// Bytes given.
        bytes: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// NaN or an infinity, which JSON readers could not be shown.
    #[error("store a number that is not finite in operation {index}")]
    NotFinite {
        /// Position in the write, from 0.
        index: usize,
    },
    /// Values and paths of the write together exceed the bound on a body; split the write.
    #[error("write {bytes} bytes at once, at most {max} are allowed")]
    WriteTooLarge {
        /// Bytes given.
        bytes: usize,
        /// Bytes allowed.
        max: usize,
    },
}

/// Checks everything about `ops` that can be said without the document.
///
/// # Errors
/// The first bound that is broken.
pub fn check_ops(ops: &[SessionOp], limits: &Limits) -> Result<(), OpRefusal> {
    if ops.is_empty() {
        return Err(OpRefusal::NoOps);
    }
    if ops.len() > limits.ops {
        return Err(OpRefusal::TooManyOps { ops: ops.len(), max: limits.ops });
    }
    let mut bytes = 0_usize;
    for (index, op) in ops.iter().enumerate() {
        let (path, may_be_root) = match op {
            SessionOp::Put { path, .. } | SessionOp::Increment { path, .. } => (path, false),
            SessionOp::Delete { path } => (path, true),
        };
        let pointer = to_pointer(path, limits.path_depth).map_err(|source| OpRefusal::Path { index, source })?;
        if pointer.is_empty() && !may_be_root {
            return Err(OpRefusal::Path { index, source: PathError::Empty });
        }
        bytes = bytes.saturating_add(pointer.len());
        if let SessionOp::Put { value, .. } = op {
            check_value(index, value, limits)?;
            bytes = bytes.saturating_add(value.size());
        }
    }
    if bytes > limits.body_bytes {
        return Err(OpRefusal::WriteTooLarge { bytes, max: limits.body_bytes });
    }
    Ok(())
}

fn check_value(index: usize, value: &Scalar, limits: &Limits) -> Result<(), OpRefusal> {
    let max = limits.value_bytes.min(VALUE_BYTES_MAX);
    if value.size() > max {
        return Err(OpRefusal::ValueTooLarge { index, bytes: value.size(), max });
    }
    match value {
        Scalar::Float(number) if !number.is_finite() => Err(OpRefusal::NotFinite { index }),
        Scalar::Null | Scalar::Bool(_) | Scalar::Int(_) | Scalar::Float(_) | Scalar::Text(_) | Scalar::Bytes(_) => {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn put(path: &[&str], value: Scalar) -> SessionOp {
        SessionOp::Put { path: path.iter().map(|component| (*component).to_owned()).collect(), value }
    }

    #[test]
    fn json_scalars_read_back() {
        for value in [json!(null), json!(true), json!(-3), json!(2.5), json!("x"), json!({"$bytes": "AP8="})] {
            assert_eq!(Scalar::from_json(&value).map(|scalar| scalar.to_json()), Some(value));
        }
        for value in [json!([]), json!({}), json!({"a": 1}), json!({"$bytes": "!"}), json!(u64::MAX)] {
            assert_eq!(Scalar::from_json(&value), None);
        }
    }

    #[test]
    fn bounds_are_named() {
        let limits = Limits::standard();
        assert_eq!(check_ops(&[], &limits), Err(OpRefusal::NoOps));
        assert_eq!(
            check_ops(&vec![put(&["a"], Scalar::Null); 65], &limits),
            Err(OpRefusal::TooManyOps { ops: 65, max: 64 })
        );
        assert_eq!(
            check_ops(&[put(&["a"], Scalar::Null), put(&["b"], Scalar::Bytes(vec![0; 4097]))], &limits),
            Err(OpRefusal::ValueTooLarge { index: 1, bytes: 4097, max: 4096 })
        );
        assert_eq!(check_ops(&[put(&["a"], Scalar::Float(f64::NAN))], &limits), Err(OpRefusal::NotFinite { index: 0 }));
        assert_eq!(
            check_ops(&[put(&[], Scalar::Null)], &limits),
            Err(OpRefusal::Path { index: 0, source: PathError::Empty })
        );
        assert_eq!(check_ops(&[SessionOp::Delete { path: vec![] }], &limits), Ok(()));
        let large = vec![put(&["a"], Scalar::Bytes(vec![0; 4096])); 17];
        assert_eq!(check_ops(&large, &limits), Err(OpRefusal::WriteTooLarge { bytes: 17 * 4098, max: 65_536 }));
    }
}
