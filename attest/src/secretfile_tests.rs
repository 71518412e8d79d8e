use super::*;
use proptest::prelude::*;

fn file() -> SecretFile {
    let mut file = SecretFile::of(SecretPurpose::Transport, &SecretKey::from_seed([1; 32]));
    file.insert(SecretPurpose::Statement, Zeroizing::new([2; 32]));
    file
}

fn seeds(file: &SecretFile) -> Vec<(SecretPurpose, [u8; 32])> {
    file.0.iter().map(|(purpose, seed)| (*purpose, **seed)).collect()
}

const FROZEN: &str = "hedgerow-secret 1\ntransport aeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaq\nstatement aibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaiba\ncheck 25361242\n";

#[test]
fn the_text_is_frozen() {
    assert_eq!(*file().encode(), FROZEN);
    assert_eq!(SecretFile::decode(FROZEN).map(|read| seeds(&read)), Ok(seeds(&file())));
}

#[test]
fn keys_are_found_by_purpose_only() {
    let file = file();
    assert_eq!(file.key(SecretPurpose::Transport).unwrap().public(), SecretKey::from_seed([1; 32]).public());
    assert_eq!(file.seed(SecretPurpose::Statement).map(|seed| **seed), Ok([2; 32]));
    let missing = SecretPurpose::Publisher;
    assert_eq!(file.key(missing).unwrap_err(), SecretFileError::Missing(missing));
}

#[test]
fn texts_that_are_no_secret_file_are_refused_by_kind() {
    let refused = |text: &str| SecretFile::decode(text).unwrap_err();
    let with_checksum = |body: &str| {
        let covered = format!("{HEADER}\n{body}");
        format!("{covered}check {}\n", checksum(&covered))
    };
    assert_eq!(refused(""), SecretFileError::Header);
    assert_eq!(refused("-----BEGIN PRIVATE KEY-----"), SecretFileError::Header);
    assert_eq!(refused(&FROZEN.replacen('1', "2", 1)), SecretFileError::Header);
    assert_eq!(refused(&" ".repeat(TEXT_MAX + 1)), SecretFileError::TooLong(TEXT_MAX + 1));
    assert_eq!(refused(&with_checksum("transport abc\n")), SecretFileError::Line(2));
    let line = FROZEN.lines().nth(1).unwrap();
    assert_eq!(refused(&with_checksum(&format!("{line}\n{line}\n"))), SecretFileError::Line(3));
    assert_eq!(refused(&with_checksum(&line.replace("transport", "sport"))), SecretFileError::Line(2));
    for end in HEADER.len() + 1..FROZEN.len() {
        assert_eq!(refused(&FROZEN[..end]), SecretFileError::Damaged, "{end}");
    }
}

#[test]
fn debug_shows_purposes_only() {
    assert_eq!(format!("{:?}", file()), "SecretFile([Transport, Statement])");
}

#[test]
fn every_purpose_has_a_word_of_its_own_and_all_fit_one_file() {
    let mut file = SecretFile::default();
    for (purpose, seed) in SecretPurpose::ALL.into_iter().zip(0..) {
        file.insert(purpose, Zeroizing::new([seed; 32]));
    }
    assert_eq!(SecretFile::decode(&file.encode()).map(|read| seeds(&read)), Ok(seeds(&file)));
    assert!(file.encode().len() < 900);
}

proptest! {
    #[test]
    fn any_changed_character_is_refused(at in 0..FROZEN.len(), change in 1..=127_u8) {
        let mut text = FROZEN.as_bytes().to_vec();
        text[at] = (text[at] ^ change) & 0x7f;
        prop_assert!(SecretFile::decode(&String::from_utf8(text).unwrap()).is_err());
    }

    #[test]
    fn random_text_never_panics(text in "\\PC{0,80}") {
        let file = format!("{HEADER}\n{text}check {text}\n");
        prop_assert!(SecretFile::decode(&file).is_err());
    }
}
