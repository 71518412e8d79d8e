//! `hedgerow model`: lower, sign, push; list, check.

use std::path::Path;
use std::time::Duration;

use data_encoding::BASE64;
use hedgerow_attest::endorsed::Endorsed;
use hedgerow_attest::region::Region;
use hedgerow_attest::secretfile::SecretPurpose;
use hedgerow_inference::artifact::{Artifact, Bundle, pack};
use hedgerow_inference::onnx::{LowerLimits, lower};
use hedgerow_inference::publish::statement;
use hedgerow_protocol::fact::SignedFact;
use hedgerow_protocol::name::{ModelName, ModelVersion};
use hedgerow_protocol::placement::Deployment;
use hyper::Method;

use super::arguments::PushArguments;
use super::failure::{CliError, Exit};
use super::key::SigningKey;
use super::output::{OutputFormat, columns, print};
use crate::admin::wire::{ModelPushed, ModelRow, ModelSignature, ModelVerified, Port, Size};
use crate::admin::{AdminClient, DEPLOYMENT_HEADER};
use crate::observe::wall;
use crate::store::Layout;

/// An ONNX file larger than this is not read.
const ONNX_BYTES_MAX: u64 = 2 << 30;
/// A node checks and stores a bundle of the largest size within this on a slow disk; a guess.
const PUSH_PATIENCE: Duration = Duration::from_secs(120);

/// Lowers the file on this machine, signs what comes of it, and hands it to the node.
pub(super) async fn push(
    client: &AdminClient,
    data: &Path,
    arguments: &PushArguments,
    format: OutputFormat,
) -> Result<Exit, CliError> {
    let artifact = make_artifact(arguments)?;
    let publisher = PUBLISHER_KEY.load(arguments.key.as_deref(), Layout::new(data).publisher_key())?;
    let envelope = statement(&artifact.manifest).sign(&[&publisher]);
    let deployment = deployment(&artifact, arguments)?;
    let fact = SignedFact::Deployment(Endorsed::sign(&deployment, &[&publisher])).to_bytes();
    let bundle = Bundle { artifact, envelope }.to_bytes();
    if let Some(path) = &arguments.bundle_out {
        std::fs::write(path, &bundle).map_err(|error| CliError::local("write the bundle", error, None))?;
    }
    let headers = [("content-type", "application/octet-stream"), (DEPLOYMENT_HEADER, &BASE64.encode(&fact))];
    let client = client.clone().patience(PUSH_PATIENCE);
    let answer = client.exchange(Method::POST, "/admin/v1/models", &headers, bundle).await?;
    let pushed: ModelPushed = answer.json_or_refusal("push the model")?;
    print(format, &pushed, |pushed, _| announced(pushed))?;
    Ok(Exit::Ok)
}

fn announced(pushed: &ModelPushed) -> String {
    let ModelPushed { name, version, digest, replicas, .. } = pushed;
    match replicas {
        0 => format!("withdrew {name}: no node is asked to hold it from here on"),
        _ => format!("pushed {name} version {version}\nmanifest  sha256:{digest}\nnext      hedgerow nearest {name}"),
    }
}

fn make_artifact(arguments: &PushArguments) -> Result<Artifact, CliError> {
    let path = &arguments.file;
    let onnx = read_onnx(path)?;
    let name = match &arguments.name {
        Some(name) => name.clone(),
        None => default_name(path),
    };
    let bad = |what: String| CliError::Usage {
        what,
        remedy: "names are lower-case letters, digits and dashes: --name digits --version 1",
    };
    let name = ModelName::new(&name).map_err(|error| bad(format!("--name {name}: {error}")))?;
    let version = ModelVersion::new(&arguments.version)
        .map_err(|error| bad(format!("--version {}: {error}", arguments.version)))?;
    let lowered =
        lower(&onnx, &LowerLimits::default()).map_err(|error| CliError::local("lower the ONNX file", error, None))?;
    pack(name, version, &lowered).map_err(|error| CliError::local("pack the model", error, None))
}

/// An ONNX file of a size that can be one.
pub(super) fn read_onnx(path: &Path) -> Result<Vec<u8>, CliError> {
    let read = |source| CliError::ReadFile { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(read)?.len() > ONNX_BYTES_MAX {
        return Err(CliError::Usage {
            what: format!("{} is larger than 2 GiB", path.display()),
            remedy: "push a smaller model",
        });
    }
    std::fs::read(path).map_err(read)
}

/// The file's name without its ending, or its folder's where the file is called `model.onnx` as exporters call it.
fn default_name(path: &Path) -> String {
    let text =
        |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned()).unwrap_or_default();
    match text(path.file_stem()) {
        stem if stem == "model" => text(path.parent().and_then(Path::file_name)),
        stem => stem,
    }
}

const PUBLISHER_KEY: SigningKey = SigningKey {
    purpose: SecretPurpose::Publisher,
    operation: "load the publisher's key",
    remedy: "name a publisher's key with --key FILE; the node that founded the mesh has publisher.key in its data folder",
};

/// The wall clock in seconds counts the revisions, so that a later push holds whoever made it.
fn deployment(artifact: &Artifact, arguments: &PushArguments) -> Result<Deployment, CliError> {
    let region = |text: &String| {
        Region::new(text).map_err(|error| CliError::Usage {
            what: format!("--region {text}: {error}"),
            remedy: "name a region such as --region eu",
        })
    };
    let model = artifact.manifest.model();
    Ok(Deployment {
        model: model.model.clone(),
        version: model.version.clone(),
        revision: wall().unix_seconds().0,
        manifest: artifact.manifest.digest(),
        replicas: arguments.replicas,
        regions: arguments.region.iter().map(region).collect::<Result<_, _>>()?,
    })
}

/// Lists what publishers want served.
pub(super) async fn list(client: &AdminClient, format: OutputFormat) -> Result<Exit, CliError> {
    let models: Vec<ModelRow> = client.get("list the models", "/admin/v1/models").await?;
    print(format, &models, |models, _| {
        let row = |model: &ModelRow| {
            vec![
                model.name.clone(),
                model.version.clone(),
                model.warm.len().to_string(),
                model.replicas.to_string(),
                if model.regions.is_empty() { "all".to_owned() } else { model.regions.join(",") },
                model.digest.chars().take(12).collect(),
            ]
        };
        columns(&["MODEL", "VERSION", "WARM", "PER REGION", "REGIONS", "MANIFEST"], models.iter().map(row).collect())
    })?;
    Ok(Exit::Ok)
}

/// A line for each input and output.
pub(super) fn ports(signature: &ModelSignature) -> Vec<String> {
    let line =
        |title: &str, value: &Port| format!("{title:<10} {}: {} {}", value.name, value.dtype, shape(&value.shape));
    let inputs = signature.inputs.iter().map(|value| line("input", value));
    inputs.chain(signature.outputs.iter().map(|value| line("output", value))).collect()
}

/// Dimensions as the publisher named them.
fn shape(sizes: &[Size]) -> String {
    let size = |size: &Size| match size {
        Size::Fixed(size) => size.to_string(),
        Size::Named(name) => name.clone(),
    };
    format!("[{}]", sizes.iter().map(size).collect::<Vec<_>>().join(", "))
}

/// Has the node check signature and bytes again.
pub(super) async fn verify(client: &AdminClient, name: &str, format: OutputFormat) -> Result<Exit, CliError> {
    let path = format!("/admin/v1/models/{}/verification", in_path(name)?);
    let verified: ModelVerified = client.get("verify the model", &path).await?;
    print(format, &verified, |verified, _| {
        let ModelVerified { name, version, digest, .. } = verified;
        format!("{name} version {version}: the signature and every byte hold\nmanifest sha256:{digest}")
    })?;
    Ok(Exit::Ok)
}

/// A name that a path can carry; others would be refused by the node with less of an explanation.
pub(super) fn in_path(name: &str) -> Result<&str, CliError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !name.is_empty() && name.bytes().all(plain) {
        return Ok(name);
    }
    Err(CliError::Usage {
        what: format!("`{name}` is not a name"),
        remedy: "names are letters, digits, dots, dashes and underscores",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_called_after_its_file_or_its_folder() {
        assert_eq!(default_name(Path::new("a/digits.onnx")), "digits");
        assert_eq!(default_name(Path::new("a/digits/model.onnx")), "digits");
    }

    #[test]
    fn names_that_would_change_a_path_are_refused() {
        assert!(in_path("digits").is_ok());
        for bad in ["", "../x", "a?b", "a b", "ä"] {
            assert!(in_path(bad).is_err(), "{bad} was accepted");
        }
    }
}
