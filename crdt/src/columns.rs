//! The column part of the [`crate::prescan`]: counts and contents of the run-length encoded columns of a change, without expanding any run.

use crate::{
    engine::{CELL_ID_LENGTH, SKELETON_MAPS},
    leb128::{Reader, Run},
    limits::VALUE_BYTES_MAX,
    path::from_pointer,
    prescan::{COLUMNS, ForeignPart, ScanRefusal},
};

/// The columns that a session's change may have, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ScanColumn {
    ObjectActor,
    ObjectCounter,
    Key,
    Insert,
    Action,
    ValueMeta,
    Value,
    PredecessorCount,
    PredecessorActor,
    PredecessorCounter,
}

/// What the columns may refer to and how much they may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ColumnLimits {
    pub(crate) ops: u64,
    pub(crate) predecessors: u64,
    /// Size of the change's table of actors.
    pub(crate) actors: u64,
    /// Where in that table the skeleton's actor stands.
    pub(crate) skeleton_actor: Option<u64>,
}

/// The columns of one change; those it leaves out are empty.
#[derive(Debug, Default)]
pub(crate) struct Columns<'a> {
    bytes: [&'a [u8]; COLUMNS.len()],
}

impl<'a> Columns<'a> {
    /// Reads the directory of columns and takes their bytes.
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, ScanRefusal> {
        let count = reader.unsigned()?;
        let mut directory = Vec::new();
        for _ in 0..count {
            let (spec, length) = (reader.unsigned()?, reader.unsigned()?);
            if spec & DEFLATE_BIT != 0 {
                return Err(ScanRefusal::Deflated);
            }
            let known = COLUMNS.iter().position(|(known, _)| *known == spec);
            let place = known.ok_or(ScanRefusal::UnexpectedColumn { spec })?;
            if directory.last().is_some_and(|(last, _)| *last >= place) {
                return Err(ScanRefusal::UnexpectedColumn { spec });
            }
            directory.push((place, length));
        }
        let mut columns = Self::default();
        for (place, length) in directory {
            columns.bytes[place] = reader.take(length)?;
        }
        Ok(columns)
    }

    /// Checks every column and returns the number of operations.
    pub(crate) fn check(&self, limits: &ColumnLimits) -> Result<u64, ScanRefusal> {
        let ops = each_run(self.column(ScanColumn::Action), limits.ops, |reader, _| {
            expect(matches!(reader.unsigned()?, ACTION_SET | ACTION_DELETE), ForeignPart::Action)
        })?;
        let skeleton_actor = limits.skeleton_actor;
        let objects = each_run(self.column(ScanColumn::ObjectActor), ops, |reader, _| {
            expect(Some(reader.unsigned()?) == skeleton_actor, ForeignPart::Object)
        })?;
        let counters = each_run(self.column(ScanColumn::ObjectCounter), ops, |reader, _| {
            expect((1..=SKELETON_MAPS).contains(&reader.unsigned()?), ForeignPart::Object)
        })?;
        let keys = each_run(self.column(ScanColumn::Key), ops, |reader, _| {
            expect(is_key(reader.prefixed()?), ForeignPart::Key)
        })?;
        if [objects, counters, keys].into_iter().any(|count| count != ops) {
            return Err(ScanRefusal::UnevenColumns);
        }
        self.check_insert(ops)?;
        self.check_values(ops)?;
        self.check_predecessors(ops, limits)?;
        Ok(ops)
    }

    fn column(&self, column: ScanColumn) -> &'a [u8] {
        COLUMNS.iter().zip(self.bytes).find(|((_, known), _)| *known == column).map_or(&[], |(_, bytes)| bytes)
    }

    /// A boolean column counts alternately false and true; a session's change inserts nothing.
    fn check_insert(&self, ops: u64) -> Result<(), ScanRefusal> {
        let mut reader = Reader::new(self.column(ScanColumn::Insert));
        let not_inserted = if reader.is_empty() { 0 } else { reader.unsigned()? };
        expect(reader.is_empty(), ForeignPart::Action)?;
        if not_inserted == ops { Ok(()) } else { Err(ScanRefusal::UnevenColumns) }
    }

    fn check_values(&self, ops: u64) -> Result<(), ScanRefusal> {
        let raw = self.column(ScanColumn::Value).len() as u64;
        let mut total = 0_u64;
        let values = each_run(self.column(ScanColumn::ValueMeta), ops, |reader, times| {
            let meta = reader.unsigned()?;
            let (kind, length) = (meta & 0xf, meta >> 4);
            expect(value_fits(kind, length), ForeignPart::Value)?;
            // Bounded by ops × VALUE_BYTES_MAX, far from overflow.
            total += length * times;
            Ok(())
        })?;
        if values == ops && total == raw { Ok(()) } else { Err(ScanRefusal::UnevenColumns) }
    }

    fn check_predecessors(&self, ops: u64, limits: &ColumnLimits) -> Result<(), ScanRefusal> {
        let mut total = 0_u64;
        let max = limits.predecessors;
        let counts = each_run(self.column(ScanColumn::PredecessorCount), ops, |reader, times| {
            let count = reader.unsigned()?;
            total = total.saturating_add(count.saturating_mul(times));
            if total > max { Err(ScanRefusal::TooManyEntries { count: total, max }) } else { Ok(()) }
        })?;
        let actors = each_run(self.column(ScanColumn::PredecessorActor), total, |reader, _| {
            expect(reader.unsigned()? < limits.actors, ForeignPart::Predecessor)
        })?;
        let counters = each_run(self.column(ScanColumn::PredecessorCounter), total, |reader, _| {
            reader.signed()?;
            Ok(())
        })?;
        if counts == ops && actors == total && counters == total { Ok(()) } else { Err(ScanRefusal::UnevenColumns) }
    }
}

/// Reads a run-length encoded column, calling `value` once per stored value with the number of places it fills, and returns the number of places.
/// No column of a session's change has empty places.
fn each_run<'a>(
    column: &'a [u8],
    max: u64,
    mut value: impl FnMut(&mut Reader<'a>, u64) -> Result<(), ScanRefusal>,
) -> Result<u64, ScanRefusal> {
    let mut reader = Reader::new(column);
    let mut places = 0_u64;
    while !reader.is_empty() {
        let run = reader.run()?;
        let (Run::Repeat(length) | Run::Literal(length) | Run::Nulls(length)) = run;
        places = places.saturating_add(length);
        if places > max {
            return Err(ScanRefusal::TooManyEntries { count: places, max });
        }
        match run {
            Run::Repeat(times) => value(&mut reader, times)?,
            Run::Literal(count) => {
                for _ in 0..count {
                    value(&mut reader, 1)?;
                }
            }
            Run::Nulls(_) => return Err(ScanRefusal::UnevenColumns),
        }
    }
    Ok(places)
}

fn expect(holds: bool, what: ForeignPart) -> Result<(), ScanRefusal> {
    if holds { Ok(()) } else { Err(ScanRefusal::Foreign { what }) }
}

/// A pointer, or a counter's cell: sixteen hexadecimal digits and a pointer.
fn is_key(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let pointer = match text.split_at_checked(CELL_ID_LENGTH) {
        Some((id, pointer)) if id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) => pointer,
        Some(_) | None => text,
    };
    from_pointer(pointer).is_ok()
}

/// Types of scalars by their code in the format: null, false, true, signed number, double, text, bytes.
fn value_fits(kind: u64, length: u64) -> bool {
    match kind {
        0..=2 => length == 0,
        4 => (1..=10).contains(&length),
        5 => length == 8,
        6 | 7 => length <= VALUE_BYTES_MAX as u64,
        _ => false,
    }
}

const DEFLATE_BIT: u64 = 0b1000;
const ACTION_SET: u64 = 1;
const ACTION_DELETE: u64 = 3;
