//! `hedgerow init`: the beginning of a mesh.

use std::path::Path;

use hedgerow_attest::name::{FailureDomain, MeshName, NodeClass};
use hedgerow_attest::region::Region;

use super::arguments::InitArguments;
use super::failure::{CliError, Exit};
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
    let founded = found_mesh(&folder, &arguments.name, &arguments.region, arguments.domain.as_deref())?;
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
    };
    found(folder, &founding, wall().unix_seconds()).map_err(CliError::own)
}
