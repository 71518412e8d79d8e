use super::*;
use crate::testing::{ISSUER, SampleMesh};
use proptest::prelude::*;

fn invitation() -> Invitation {
    let mesh = SampleMesh::new(1);
    let keys = mesh.keys(ISSUER);
    Invitation {
        version: VERSION,
        mesh: mesh.root().mesh(),
        issuer: keys.chain.node(),
        issuer_peer: PeerId::of(&keys.transport.public()),
        addresses: vec!["192.0.2.7:4000".parse().unwrap(), "[2001:db8::7]:4000".parse().unwrap()],
        invite: InviteId([1; 16]),
        secret: InviteSecret::from_bytes([2; 16]),
        region: Region::new("eu").unwrap(),
        not_after: SampleMesh::NOW.plus_s(3600),
    }
}

fn statement() -> SecretKey {
    SampleMesh::new(1).keys(ISSUER).statement
}

/// The text of an envelope with a checksum that holds.
fn text_of(envelope: &[u8]) -> String {
    format!("{PREFIX}{}", Base32::encode(&[envelope, checksum(envelope).as_slice()].concat()))
}

#[test]
fn a_ticket_survives_its_text_and_what_mail_does_to_it() {
    let ticket = Ticket::issue(&invitation(), &statement());
    let text = ticket.encode();
    let broken = text.as_bytes().chunks(60).map(|line| String::from_utf8_lossy(line)).collect::<Vec<_>>().join("\r\n");
    assert_eq!(Ticket::decode(&text), Ok(ticket.clone()));
    assert_eq!(Ticket::decode(&format!("  {broken}\n")), Ok(ticket.clone()));
    assert_eq!(*ticket, invitation());
    assert_eq!(*ticket.issuer_statement(), statement().public());
}

#[test]
fn the_ticket_is_frozen() {
    assert_eq!(
        Ticket::issue(&invitation(), &statement()).encode(),
        "hedgerow1agsztsyt7o62arlas4p52cfbclhv7iwa2siodkwjfonsxno6kez47ipaiprwpahgd5fkox6dse4oktziqzjcvayzshmqtpk4p3uwmnwx33pyym4vq75o3vyupibaujxiwbvcsig3vax2v2rjx46t5oi6seb2iaibpjxvlfulrpzgzykk5wd7l7sqjiqtntlxzquktu7sopk4xub4pmtj2wlou2ekdtioqxmhrgfewzfcegt6qzz5sxmpf6fewfceccavaefwnrrfmuztdozp6gvpqooqbpfnqbrmjnfyedz35uueb5rbqm2v3qbabqaaaid2ahybeaaq3oaaaaaaaaaaaaaaaaaaa6qb6aibaeaqcaibaeaqcaibaeaqcaicaibaeaqcaibaeaqcaibaeaqcajsxleeo27fanswfeuja"
    );
}

#[test]
fn a_ticket_cut_anywhere_is_called_cut() {
    let text = Ticket::issue(&invitation(), &statement()).encode();
    for end in 1..text.len() {
        assert_eq!(Ticket::decode(&text[..end]), Err(TicketError::CutShort), "{end} of {}", text.len());
    }
}

#[test]
fn a_forged_ticket_is_called_forged() {
    let genuine = Signed::sign(&invitation(), &statement());
    let mut other = invitation();
    other.region = Region::new("us").unwrap();
    let resigned = Signed::sign(&other, &SecretKey::from_seed([66; 32]));
    // The genuine signature over another payload: the thief has no statement key.
    let mut bytes = genuine.to_bytes();
    bytes.splice(97.., resigned.to_bytes().into_iter().skip(97));
    assert_eq!(Ticket::decode(&text_of(&bytes)), Err(TicketError::Forged));
}

#[test]
fn what_is_no_ticket_of_this_release_is_refused_by_kind() {
    let bytes = Signed::sign(&invitation(), &statement()).to_bytes();
    let text = text_of(&bytes);
    assert_eq!(Ticket::decode(""), Err(TicketError::NotATicket));
    assert_eq!(Ticket::decode("hedgehog"), Err(TicketError::NotATicket));
    assert_eq!(Ticket::decode(&text.to_uppercase()), Err(TicketError::NotATicket));
    assert_eq!(Ticket::decode(&"h".repeat(TEXT_MAX + 1)), Err(TicketError::NotATicket));
    assert_eq!(Ticket::decode(&text.replacen('1', "2", 1)), Err(TicketError::UnsupportedVersion));
    assert_eq!(Ticket::decode(&text_of(&[&[2], &bytes[1..]].concat())), Err(TicketError::UnsupportedVersion));
    let later = Invitation { version: 2, ..invitation() };
    assert_eq!(Ticket::decode(&Ticket::issue(&later, &statement()).encode()), Err(TicketError::UnsupportedVersion));
    let trailing = EnvelopeError::TrailingBytes { count: 1 };
    assert_eq!(Ticket::decode(&text_of(&[&bytes[..], &[0]].concat())), Err(TicketError::Malformed(trailing)));
}

#[test]
fn a_ticket_is_for_one_mesh_and_for_a_time() {
    let ticket = Ticket::issue(&invitation(), &statement());
    let (not_after, mesh) = (ticket.not_after, ticket.mesh);
    assert_eq!(ticket.check(not_after, None), Ok(()));
    assert_eq!(ticket.check(not_after, Some(mesh)), Ok(()));
    let now = not_after.plus_s(1);
    assert_eq!(ticket.check(now, Some(mesh)), Err(TicketError::Expired { not_after, now }));
    let own = SampleMesh::new(2).root().mesh();
    assert_eq!(ticket.check(not_after, Some(own)), Err(TicketError::OtherMesh { ticket: mesh, own }));
}

#[test]
fn the_proof_is_that_of_the_secret_for_the_invite() {
    let ticket = Ticket::issue(&invitation(), &statement());
    let proof = ticket.proof(&[3; 32]);
    assert!(InviteSecret::from_bytes([2; 16]).admits(&[3; 32], InviteId([1; 16]), &proof));
    assert!(!InviteSecret::from_bytes([2; 16]).admits(&[4; 32], InviteId([1; 16]), &proof));
}

#[test]
fn the_redemption_proof_is_frozen() {
    let proof = InviteSecret::from_bytes([2; 16]).proof(&[3; 32], InviteId([1; 16]));
    assert_eq!(proof.to_string(), "12f72ab865f7c682ff31b5bd740c2ad15468e914e8eed867699e86a7d5b2596f");
}

#[test]
fn debug_keeps_the_secret() {
    let shown = format!("{:?}", Ticket::issue(&invitation(), &statement()));
    assert!(shown.contains("secret: InviteSecret(..)"), "{shown}");
}

#[test]
fn the_longest_ticket_fits() {
    let longest = Invitation {
        addresses: vec!["[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535".parse().unwrap(); ADDRESSES_MAX],
        region: Region::new(&"e".repeat(32)).unwrap(),
        not_after: UnixSeconds(u64::MAX),
        ..invitation()
    };
    let text = Ticket::issue(&longest, &statement()).encode();
    assert!(text.len() < 900, "{}", text.len());
    assert_eq!(Ticket::decode(&text).map(|ticket| (*ticket).clone()), Ok(longest));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_changed_character_is_refused(at in any::<prop::sample::Index>(), change in 1..=127_u8) {
        let mut text = Ticket::issue(&invitation(), &statement()).encode().into_bytes();
        let at = at.index(text.len());
        text[at] = (text[at] ^ change) & 0x7f;
        prop_assert!(Ticket::decode(&String::from_utf8(text).unwrap()).is_err());
    }

    #[test]
    fn any_changed_byte_under_a_good_checksum_is_refused(at in any::<prop::sample::Index>(), change in 1..=u8::MAX) {
        let mut bytes = Signed::sign(&invitation(), &statement()).to_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        prop_assert!(Ticket::decode(&text_of(&bytes)).is_err());
    }

    #[test]
    fn random_text_never_panics(text in "\\PC{0,80}", body in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Ticket::decode(&text).is_err());
        let prefixed = format!("{PREFIX}{text}");
        prop_assert!(Ticket::decode(&prefixed).is_err());
        prop_assert!(Ticket::decode(&text_of(&body)).is_err());
    }
}
