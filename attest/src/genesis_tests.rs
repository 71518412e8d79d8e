use super::*;
use crate::root::RootDraft;
use crate::testing::{ISSUER, SampleMesh};
use crate::text::{Hex, TextForm as _};

fn genesis(mesh: &SampleMesh) -> Genesis {
    (**mesh.birth("eu", &mesh.member(3, "eu")).genesis()).clone()
}

fn open(mesh: &SampleMesh, genesis: &Genesis) -> Result<Birth, GenesisError> {
    let signed = Signed::sign(genesis, &mesh.keys(ISSUER).statement);
    Birth::open(&signed, mesh.root(), &mesh.member(ISSUER, "eu"))
}

#[test]
fn the_regions_issuer_founds_its_first_cell() {
    let mesh = SampleMesh::new(1);
    let birth = open(&mesh, &genesis(&mesh)).unwrap();
    assert_eq!(**birth.genesis(), genesis(&mesh));
    let again = Genesis { nonce: [1; 16], ..genesis(&mesh) };
    assert_ne!(open(&mesh, &again).unwrap().cell(), birth.cell());
}

#[test]
fn the_genesis_and_the_cell_id_are_frozen() {
    let mesh = SampleMesh::new(1);
    let birth = open(&mesh, &genesis(&mesh)).unwrap();
    assert_eq!(birth.cell().to_string(), "utmgditai2qry4bwhe64ph55ey7mld52b34ghy4spyxyj47mhx2q");
    assert_eq!(
        Hex::encode(birth.genesis().envelope().payload()),
        "017a6f55968b8bf26ce14aed87f5fe504a2136cd77cc28a9d3f273d5cbd03c7b26026575ecfc742f3b77c8ab1875b69b68628fa84e2f286e35a035e792f96562e8e3284aeda734c3f7b9fd6bbad44488e140de24af435b5f18ad6baa514c03b810848bea00000000000000000000000000000000"
    );
}

#[test]
fn a_member_that_is_not_the_regions_issuer_founds_nothing() {
    let mesh = SampleMesh::new(1);
    let usurper = mesh.member(4, "eu");
    let signed = Signed::sign(&genesis(&mesh), &mesh.keys(4).statement);
    let (expected, found) = (mesh.keys(ISSUER).chain.node(), usurper.node());
    let region = Region::new("eu").unwrap();
    assert_eq!(Birth::open(&signed, mesh.root(), &usurper), Err(GenesisError::OtherIssuer { region, expected, found }));
    // Nor does the default issuer where the region has one of its own.
    let mut draft: RootDraft = mesh.draft().clone();
    draft.genesis.regions.insert(Region::new("eu").unwrap(), found);
    let moved = TrustRoot::parse(&draft.sign(&[mesh.operator()])).unwrap();
    let elsewhere = Genesis { mesh: moved.mesh(), ..genesis(&mesh) };
    let signed = Signed::sign(&elsewhere, &mesh.keys(ISSUER).statement);
    assert_eq!(
        Birth::open(&signed, &moved, &mesh.member(ISSUER, "eu")),
        Err(GenesisError::OtherIssuer { region: Region::new("eu").unwrap(), expected: found, found: expected })
    );
}

#[test]
fn a_genesis_of_another_signer_mesh_or_version_is_refused() {
    let mesh = SampleMesh::new(1);
    let signed = Signed::sign(&genesis(&mesh), &mesh.keys(4).statement);
    let (expected, claimed) = (mesh.keys(ISSUER).statement.public(), mesh.keys(4).statement.public());
    assert_eq!(
        Birth::open(&signed, mesh.root(), &mesh.member(ISSUER, "eu")),
        Err(GenesisError::Signature(VerifyError::WrongSigner { expected, claimed }))
    );
    let elsewhere = SampleMesh::new(2).root().mesh();
    assert_eq!(open(&mesh, &Genesis { mesh: elsewhere, ..genesis(&mesh) }), Err(GenesisError::OtherMesh(elsewhere)));
    assert_eq!(open(&mesh, &Genesis { version: 2, ..genesis(&mesh) }), Err(GenesisError::UnsupportedVersion(2)));
}
