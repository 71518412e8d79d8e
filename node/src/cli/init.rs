//! `hedgerow init`: the beginning of a mesh.

use std::path::Path;

use hedgerow_attest::name::{FailureDomain, MeshName, NodeClass};
use hedgerow_attest::region::Region;

use super::failure::{CliError, Exit};
use super::invite::parse_seconds;
use super::member_arguments::InitArguments;
use super::output::line;
use crate::identity::{Founded, Founding, found};
use crate::observe::wall;
use crate::store::DataFolder;

/// The class of machine in certificates, until node classes are configured.
pub(super) fn node_class() -> NodeClass {
    NodeClass::new("edge").expect("a constant that keeps the rules of names")
}

/// Makes keys, root and first membership in an empty data folder.
pub(super) fn run(data: &Path, arguments: &InitArguments) -> Result<Exit, CliError> {
    let folder = open_folder(data)?;
    let InitArguments { name, region, domain, certificate_life } = arguments;
    let founded = found_mesh(&folder, name, region, domain.as_deref(), *certificate_life)?;
    line(&format!(
        "founded mesh {} with this node, {}, in region {}",
        founded.mesh,
        founded.identity.node(),
        arguments.region
    ))?;
    line("next: hedgerow run")?;
    Ok(Exit::Ok)
}

/// Takes the data folder for this process.
pub(super) fn open_folder(data: &Path) -> Result<DataFolder, CliError> {
    DataFolder::open(data).map_err(CliError::own)
}

/// Founds a mesh in a folder that belongs to no member yet.
pub(super) fn found_mesh(
    folder: &DataFolder,
    name: &str,
    region: &str,
    domain: Option<&str>,
    membership_s: u64,
) -> Result<Founded, CliError> {
    let bad = |what: String| CliError::Usage {
        what,
        remedy: "names are lower-case letters, digits and dashes, such as `--region eu-west`",
    };
    let founding = Founding {
        name: MeshName::new(name).map_err(|error| bad(format!("--name {name}: {error}")))?,
        region: Region::new(region).map_err(|error| bad(format!("--region {region}: {error}")))?,
        class: node_class(),
        domain: domain
            .map(|domain| FailureDomain::new(domain).map_err(|error| bad(format!("--domain {domain}: {error}"))))
            .transpose()?,
        membership_s,
    };
    found(folder, &founding, wall().unix_seconds()).map_err(CliError::own)
}

/// Seconds of a certificate's life. Shorter than the least, clocks and links would end members that renew in time.
pub(super) fn parse_certificate_life(text: &str) -> Result<u64, String> {
    match parse_seconds(text)? {
        total @ LIFE_S_MIN..=LIFE_S_MAX => Ok(total),
        _ => Err("certificates hold between 12 seconds and 365 days".to_owned()),
    }
}

/// Clocks may differ by a quarter of it, three seconds.
const LIFE_S_MIN: u64 = 12;
/// No longer than the right of an issuer to issue.
const LIFE_S_MAX: u64 = 365 * 86_400;

#[cfg(test)]
mod tests {
    use super::parse_certificate_life;

    #[test]
    fn lives_are_bounded() {
        assert_eq!(["12s", "30d", "365d"].map(parse_certificate_life), [Ok(12), Ok(2_592_000), Ok(31_536_000)]);
        for bad in ["11s", "366d", "30", ""] {
            assert!(parse_certificate_life(bad).is_err(), "{bad} was accepted");
        }
    }
}
