//! Every decoder bears all that is in its corpus, and takes what is of its form.

use std::collections::BTreeSet;

use hedgerow::hostile::DECODERS;
use hedgerow_fuzz::{Entry, corpus};

/// The beginning of the names of files that a decoder has to take.
const TAKEN: &str = "taken-";

#[test]
fn decoders_bear_their_corpus_and_take_what_is_of_their_form() {
    for decoder in DECODERS {
        let entries = corpus(decoder.name).unwrap_or_else(|error| panic!("the corpus of {}: {error}", decoder.name));
        assert!(entries.iter().any(|entry| entry.name.starts_with(TAKEN)), "{} takes nothing", decoder.name);
        for Entry { name, bytes } in entries {
            let taken = (decoder.takes)(&bytes);
            assert!(taken || !name.starts_with(TAKEN), "{} refuses {name}", decoder.name);
        }
    }
}

#[test]
fn what_is_cut_short_or_flipped_is_borne_too() {
    for decoder in DECODERS {
        for Entry { mut bytes, .. } in corpus(decoder.name).expect("it has a corpus") {
            let step = (bytes.len() / 64).max(1);
            for place in (0..bytes.len()).step_by(step) {
                (decoder.takes)(&bytes[..place]);
                for flip in [0x01, 0x80, 0xff] {
                    bytes[place] ^= flip;
                    (decoder.takes)(&bytes);
                    bytes[place] ^= flip;
                }
            }
        }
    }
}

#[test]
fn each_decoder_has_a_name_of_its_own() {
    let names: BTreeSet<&str> = DECODERS.iter().map(|decoder| decoder.name).collect();
    assert_eq!(names.len(), DECODERS.len());
}
