//! One decoder under libFuzzer: `fuzz/run NAME SECONDS` builds and runs it.
#![no_main]

use std::sync::LazyLock;

use hedgerow::hostile::{DECODERS, Decoder};
use libfuzzer_sys::fuzz_target;

static DECODER: LazyLock<Decoder> = LazyLock::new(|| {
    let name = std::env::var("HEDGEROW_DECODER").expect("HEDGEROW_DECODER names a decoder");
    *DECODERS.iter().find(|decoder| decoder.name == name).expect("a name of hedgerow::hostile::DECODERS")
});

fuzz_target!(|bytes: &[u8]| {
    (DECODER.takes)(bytes);
});
