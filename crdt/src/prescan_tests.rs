use proptest::prelude::*;

use super::*;
use crate::{
    engine::{AutomergeDoc, DocEngine},
    limits::Limits,
    ops::SessionOp,
    testing::{author, delete, increment, mend_checksum, put, session},
};

fn change_of(ops: &[SessionOp]) -> Vec<u8> {
    AutomergeDoc::skeleton().edit(&author(1, 1), &session("cart"), ops, &Limits::standard()).unwrap().bytes
}

/// A change chunk around a body.
fn chunk(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend([0; 4]);
    bytes.push(kind);
    unsigned(&mut bytes, body.len() as u64);
    bytes.extend(body);
    mend_checksum(&mut bytes);
    bytes
}

fn unsigned(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).unwrap());
}

/// A change by author 1 on the skeleton with these columns.
fn with_columns(columns: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut body = vec![1];
    body.extend(AutomergeDoc::skeleton().heads()[0].0);
    body.push(16);
    body.extend(ActorId::of(&author(1, 1), &session("cart")).0);
    body.extend([1, 4, 0, 0, 1, 16]);
    body.extend(ActorId::SKELETON.0);
    body.push(u8::try_from(columns.len()).unwrap());
    for (spec, bytes) in columns {
        unsigned(&mut body, *spec);
        unsigned(&mut body, bytes.len() as u64);
    }
    for (_, bytes) in columns {
        body.extend(bytes);
    }
    chunk(CHANGE_KIND, &body)
}

/// The columns of `put("/a", null)` repeated `times` times, a few bytes whatever the number.
fn repeated(times: i64) -> Vec<(u64, Vec<u8>)> {
    let run = |value: &[u8]| {
        let mut bytes = Vec::new();
        // A positive signed LEB128 keeps its sign bit clear.
        let mut rest = times;
        while rest >= 0x40 {
            bytes.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
            rest >>= 7;
        }
        bytes.push(u8::try_from(rest).unwrap());
        bytes.extend(value);
        bytes
    };
    let mut insert = Vec::new();
    unsigned(&mut insert, times.unsigned_abs());
    vec![
        (0x01, run(&[1])),
        (0x02, run(&[1])),
        (0x15, run(b"\x02/a")),
        (0x34, insert),
        (0x42, run(&[1])),
        (0x56, run(&[0])),
        (0x70, run(&[0])),
    ]
}

fn replaced(spec: u64, bytes: &[u8]) -> Vec<u8> {
    let mut columns = repeated(1);
    columns.retain(|(known, _)| *known != spec);
    columns.push((spec, bytes.to_vec()));
    columns.sort_by_key(|(spec, _)| *spec);
    with_columns(&columns)
}

#[test]
fn what_the_engine_writes_is_admitted() {
    let change = change_of(&[put("/a", 1), put("/b/c", 2), increment("/n", 3), delete("/a")]);
    let scanned = scan(&change).unwrap();
    let expected = ScannedChange {
        hash: hash_of(&change),
        actor: ActorId::of(&author(1, 1), &session("cart")),
        seq: 1,
        start_op: 4,
        deps: AutomergeDoc::skeleton().heads(),
        ops: 4,
    };
    assert_eq!(scanned, expected);
    assert_eq!(scan(&with_columns(&repeated(1))).map(|change| change.ops), Ok(1));
}

#[test]
fn an_empty_change_is_admitted() {
    let change = change_of(&[delete("/nothing")]);
    assert_eq!(scan(&change).map(|change| change.ops), Ok(0));
}

#[test]
fn a_run_length_bomb_is_refused_before_the_engine_counts_it() {
    let harmless = with_columns(&repeated(5));
    assert_eq!(scan(&harmless).map(|change| change.ops), Ok(5));
    assert_eq!(AutomergeDoc::skeleton().apply(&harmless), Ok(hash_of(&harmless)), "the engine would take the bomb too");
    let bomb = with_columns(&repeated(3_000_000));
    assert!(bomb.len() < 200, "{} bytes", bomb.len());
    assert_eq!(scan(&bomb), Err(ScanRefusal::TooManyEntries { count: 3_000_000, max: CHANGE_OPS_MAX }));
    let columns: [(u64, &[u8]); 3] = [
        (0x70, b"\x01\xff\xff\xff\xff\x0f"),
        (0x01, b"\xff\xff\xff\xff\x07\x01"),
        (0x15, b"\x80\x80\x80\x80\x08\x02/a"),
    ];
    for (spec, column) in columns {
        assert!(matches!(scan(&replaced(spec, column)), Err(ScanRefusal::TooManyEntries { .. })), "column {spec:#x}");
    }
}

/// A deflate stream (RFC 1951 §3.2.6) of `matches` copies of 258 zeros, thirteen bits each.
fn deflated_zeros(matches: usize) -> Vec<u8> {
    let (mut bytes, mut filled) = (vec![0_u8], 0);
    let mut push = |code: u32, length: u32| {
        for at in (0..length).rev() {
            *bytes.last_mut().unwrap() |= u8::try_from(code >> at & 1).unwrap() << filled;
            filled = (filled + 1) % 8;
            if filled == 0 {
                bytes.push(0);
            }
        }
    };
    // The last block, fixed codes, a zero; then "258 bytes from one back"; the end of the block.
    push(0b110, 3);
    push(0b0011_0000, 8);
    (0..matches).for_each(|_| push(0b1100_0101 << 5, 13));
    push(0, 7);
    bytes
}

#[test]
fn a_deflate_bomb_is_refused_without_inflating_it() {
    let bomb = chunk(2, &deflated_zeros(80_000));
    assert!(bomb.len() < CHANGE_BYTES_MAX, "{} bytes for 20 MB", bomb.len());
    assert_eq!(scan(&bomb), Err(ScanRefusal::WrongChunk { kind: 2 }));
    for kind in [0, 3, 9] {
        assert_eq!(scan(&chunk(kind, &[0x78; 64])), Err(ScanRefusal::WrongChunk { kind }));
    }
}

#[test]
fn a_deflated_column_is_refused() {
    let mut columns = repeated(1);
    columns[4].0 |= 0b1000;
    assert_eq!(scan(&with_columns(&columns)), Err(ScanRefusal::Deflated));
}

#[test]
fn claims_beyond_the_bounds_are_refused_before_they_are_read() {
    let mut dependencies = vec![0xff, 0xff, 0x03];
    dependencies.extend([0; 64]);
    assert_eq!(scan(&chunk(1, &dependencies)), Err(ScanRefusal::TooManyDependencies { count: 65_535 }));
    let mut actors = vec![0, 16];
    actors.extend([0; 16]);
    actors.extend([1, 1, 0, 0, 0xff, 0xff, 0x03]);
    assert_eq!(scan(&chunk(1, &actors)), Err(ScanRefusal::TooManyActors { count: 65_535 }));
    assert_eq!(scan(&vec![0; CHANGE_BYTES_MAX + 1]), Err(ScanRefusal::TooLarge { bytes: CHANGE_BYTES_MAX + 1 }));
    assert_eq!(scan(&chunk(1, &[0, 3, 1, 2, 3])), Err(ScanRefusal::BadActor { bytes: 3 }));
}

#[test]
fn what_no_session_has_is_refused() {
    let foreign = |what| Err(ScanRefusal::Foreign { what });
    assert_eq!(scan(&replaced(0x42, &[1, 0])), foreign(ForeignPart::Action), "makes a map");
    assert_eq!(scan(&replaced(0x42, &[1, 5])), foreign(ForeignPart::Action), "increments");
    assert_eq!(scan(&replaced(0x34, &[0, 1])), foreign(ForeignPart::Action), "inserts");
    assert_eq!(scan(&replaced(0x02, &[1, 3])), foreign(ForeignPart::Object), "writes to a reserved map");
    assert_eq!(scan(&replaced(0x01, &[1, 0])), foreign(ForeignPart::Object), "writes to an object of its own");
    assert_eq!(scan(&replaced(0x01, &[0, 1])), Err(ScanRefusal::UnevenColumns), "writes to the root");
    assert_eq!(scan(&replaced(0x15, b"\x01\x02kv")), foreign(ForeignPart::Key), "a key that is no pointer");
    assert_eq!(scan(&replaced(0x56, &[1, 0x08])), foreign(ForeignPart::Value), "a counter");
    assert_eq!(scan(&replaced(0x56, &[1, 0x16])), Err(ScanRefusal::UnevenColumns), "a text without its letter");
    assert_eq!(scan(&replaced(0x11, &[1, 0])), Err(ScanRefusal::UnexpectedColumn { spec: 0x11 }), "keys of a list");
    assert_eq!(scan(&replaced(0xa5, b"\x01\x01m")), Err(ScanRefusal::UnexpectedColumn { spec: 0xa5 }), "a mark");
}

#[test]
fn a_wrong_checksum_is_refused() {
    let mut change = change_of(&[put("/a", 1)]);
    change[5] ^= 1;
    assert_eq!(scan(&change), Err(ScanRefusal::BadChecksum));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(scan(&bytes).is_err());
        prop_assert!(scan(&chunk(CHANGE_KIND, &bytes)).is_err());
    }

    #[test]
    fn no_columns_panic(columns in proptest::collection::vec((0usize..COLUMNS.len(), proptest::collection::vec(any::<u8>(), 0..12)), 0..10)) {
        let mut columns: Vec<_> = columns.into_iter().map(|(place, bytes)| (COLUMNS[place].0, bytes)).collect();
        columns.sort_by_key(|(spec, _)| *spec);
        if let Ok(change) = scan(&with_columns(&columns)) {
            prop_assert!(change.ops <= CHANGE_OPS_MAX);
        }
    }
}
