//! Session operations as engine operations on the flat maps of a document.

use automerge::{
    AutomergeError, ObjId, ReadDoc, ScalarValue, Value,
    transaction::{Transactable, Transaction},
};

use crate::{
    engine::{CELL_ID_LENGTH, EditRefusal, EngineRefusal, automerge_doc::Maps},
    limits::PATH_DEPTH_MAX,
    ops::{Scalar, SessionOp},
    path::{ancestors, to_pointer},
};

/// Applies `ops` in order. They were checked by [`crate::ops::check_ops`]; `cell` is the prefix of the author's counters.
pub(crate) fn edit(tx: &mut Transaction<'_>, maps: &Maps, cell: &str, ops: &[SessionOp]) -> Result<(), EditRefusal> {
    for op in ops {
        match op {
            SessionOp::Put { path, value } => put(tx, maps, &pointer(path), value)?,
            SessionOp::Delete { path } => delete(tx, maps, &pointer(path))?,
            SessionOp::Increment { path, by } => increment(tx, maps, cell, &pointer(path), *by)?,
        }
    }
    Ok(())
}

fn put(tx: &mut Transaction<'_>, maps: &Maps, pointer: &str, value: &Scalar) -> Result<(), EditRefusal> {
    clear_above(tx, maps, pointer)?;
    clear_below(tx, maps, pointer)?;
    clear_cells(tx, maps, |at| at == pointer)?;
    tx.put(&maps.values, pointer, engine_value(value)).map_err(refused)
}

fn delete(tx: &mut Transaction<'_>, maps: &Maps, pointer: &str) -> Result<(), EditRefusal> {
    clear_below(tx, maps, pointer)?;
    clear_cells(tx, maps, |at| at == pointer)?;
    delete_if_present(tx, &maps.values, pointer)
}

fn increment(tx: &mut Transaction<'_>, maps: &Maps, cell: &str, pointer: &str, by: i64) -> Result<(), EditRefusal> {
    let base = read(tx, &maps.values, pointer)?;
    if base.is_some_and(|base| !matches!(base, ScalarValue::Int(_)))
        || !keys_below(tx, &maps.values, pointer).is_empty()
    {
        return Err(EditRefusal::NotACounter { pointer: pointer.to_owned() });
    }
    clear_above(tx, maps, pointer)?;
    let key = format!("{cell}{pointer}");
    let counted = match read(tx, &maps.cells, &key)? {
        Some(ScalarValue::Int(counted)) => counted,
        Some(_) | None => 0,
    };
    let Some(counted) = counted.checked_add(by) else {
        return Err(EditRefusal::CounterOverflow { pointer: pointer.to_owned() });
    };
    tx.put(&maps.cells, key, counted).map_err(refused)
}

/// Removes the values at strict ancestors of `pointer`: what held a value becomes a subtree.
fn clear_above(tx: &mut Transaction<'_>, maps: &Maps, pointer: &str) -> Result<(), EditRefusal> {
    for above in ancestors(pointer) {
        delete_if_present(tx, &maps.values, above)?;
    }
    clear_cells(tx, maps, |at| ancestors(pointer).any(|above| above == at))
}

/// Removes everything strictly below `pointer`.
fn clear_below(tx: &mut Transaction<'_>, maps: &Maps, pointer: &str) -> Result<(), EditRefusal> {
    for key in keys_below(tx, &maps.values, pointer) {
        tx.delete(&maps.values, key).map_err(refused)?;
    }
    clear_cells(tx, maps, |at| at.strip_prefix(pointer).is_some_and(|rest| rest.starts_with('/')))
}

/// Removes the cells of the counters at the pointers that `matches`.
fn clear_cells(tx: &mut Transaction<'_>, maps: &Maps, matches: impl Fn(&str) -> bool) -> Result<(), EditRefusal> {
    let cells: Vec<String> = tx.keys(&maps.cells).collect();
    for key in cells {
        if key.split_at_checked(CELL_ID_LENGTH).is_some_and(|(_, at)| matches(at)) {
            tx.delete(&maps.cells, key).map_err(refused)?;
        }
    }
    Ok(())
}

/// The keys strictly below a pointer lie between `pointer/` and `pointer0`, since `0` follows `/`.
fn keys_below(tx: &Transaction<'_>, map: &ObjId, pointer: &str) -> Vec<String> {
    tx.map_range(map, format!("{pointer}/")..format!("{pointer}0")).map(|item| item.key.into_owned()).collect()
}

fn delete_if_present(tx: &mut Transaction<'_>, map: &ObjId, key: &str) -> Result<(), EditRefusal> {
    if read(tx, map, key)?.is_some() { tx.delete(map, key).map_err(refused) } else { Ok(()) }
}

fn read(tx: &Transaction<'_>, map: &ObjId, key: &str) -> Result<Option<ScalarValue>, EditRefusal> {
    Ok(match tx.get(map, key).map_err(refused)? {
        Some((Value::Scalar(value), _)) => Some(value.into_owned()),
        // No object is ever stored below the skeleton.
        Some((Value::Object(_), _)) | None => None,
    })
}

fn engine_value(value: &Scalar) -> ScalarValue {
    match value {
        Scalar::Null => ScalarValue::Null,
        Scalar::Bool(value) => ScalarValue::Boolean(*value),
        Scalar::Int(value) => ScalarValue::Int(*value),
        Scalar::Float(value) => ScalarValue::F64(*value),
        Scalar::Text(text) => ScalarValue::Str(text.as_str().into()),
        Scalar::Bytes(bytes) => ScalarValue::Bytes(bytes.clone()),
    }
}

fn pointer(path: &[String]) -> String {
    to_pointer(path, PATH_DEPTH_MAX).expect("paths were checked before the edit")
}

/// The engine's errors here mean that the document lacks its skeleton or a key that was just read: a defect, not something a client can mend.
fn refused(_defect: AutomergeError) -> EditRefusal {
    EditRefusal::Engine(EngineRefusal::Inapplicable)
}
