//! `hedgerow model`: lower, sign, push; list, show, check.

use std::path::Path;

use data_encoding::BASE64;
use hedgerow_attest::endorsed::Endorsed;
use hedgerow_attest::key::SecretKey;
use hedgerow_attest::region::Region;
use hedgerow_attest::secretfile::SecretPurpose;
use hedgerow_inference::artifact::{Artifact, Bundle, pack};
use hedgerow_inference::onnx::{LowerLimits, lower};
use hedgerow_inference::publish::statement;
use hedgerow_protocol::fact::SignedFact;
use hedgerow_protocol::name::{ModelName, ModelVersion};
use hedgerow_protocol::placement::Deployment;
use hyper::Method;
use serde_json::Value;

use super::arguments::PushArguments;
use super::failure::{CliError, Exit};
use super::output::{OutputFormat, columns, line, print};
use crate::admin::{AdminClient, DEPLOYMENT_HEADER};
use crate::identity::load_secrets;
use crate::observe::wall;
use crate::store::Layout;

/// An ONNX file larger than this is not read.
const ONNX_BYTES_MAX: u64 = 2 << 30;

/// Lowers the file on this machine, signs what comes of it, and hands it to the node.
pub(super) async fn push(
    client: &AdminClient,
    data: &Path,
    arguments: &PushArguments,
    format: OutputFormat,
) -> Result<Exit, CliError> {
    let artifact = make_artifact(arguments)?;
    let publisher = publisher_key(data, arguments)?;
    let envelope = statement(&artifact.manifest).sign(&[&publisher]);
    let deployment = deployment(&artifact, arguments)?;
    let fact = SignedFact::Deployment(Endorsed::sign(&deployment, &[&publisher])).to_bytes();
    let bundle = Bundle { artifact, envelope }.to_bytes();
    if let Some(path) = &arguments.bundle_out {
        std::fs::write(path, &bundle).map_err(|error| CliError::local("write the bundle", error, None))?;
    }
    let headers = [("content-type", "application/octet-stream"), (DEPLOYMENT_HEADER, &BASE64.encode(&fact))];
    let answer = client.exchange(Method::POST, "/admin/v1/models", &headers, bundle).await?;
    let answer: Value = answer.json_or_refusal("push the model")?;
    print(format, &answer, |answer, _| {
        let text = |key: &str| answer[key].as_str().unwrap_or("-").to_owned();
        format!(
            "pushed {} version {}\nmanifest  sha256:{}\nnext      hedgerow nearest {}",
            text("name"),
            text("version"),
            text("digest"),
            text("name")
        )
    })?;
    Ok(Exit::Ok)
}

fn make_artifact(arguments: &PushArguments) -> Result<Artifact, CliError> {
    let path = &arguments.file;
    let read = |source| CliError::ReadFile { path: path.clone(), source };
    if std::fs::metadata(path).map_err(read)?.len() > ONNX_BYTES_MAX {
        return Err(CliError::Usage {
            what: format!("{} is larger than 2 GiB", path.display()),
            remedy: "push a smaller model",
        });
    }
    let onnx = std::fs::read(path).map_err(read)?;
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

/// The file's name without its ending, or its folder's where the file is called `model.onnx` as exporters call it.
fn default_name(path: &Path) -> String {
    let text =
        |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned()).unwrap_or_default();
    match text(path.file_stem()) {
        stem if stem == "model" => text(path.parent().and_then(Path::file_name)),
        stem => stem,
    }
}

fn publisher_key(data: &Path, arguments: &PushArguments) -> Result<SecretKey, CliError> {
    let path = arguments.key.clone().unwrap_or_else(|| Layout::new(data).publisher_key());
    let remedy =
        "name a publisher's key with --key FILE; the node that founded the mesh has publisher.key in its data folder";
    let failed = |error: anyhow::Error| CliError::local("load the publisher's key", error, Some(remedy.to_owned()));
    let secrets = load_secrets(&path).map_err(|error| failed(error.into()))?;
    secrets.key(SecretPurpose::Publisher).map_err(|error| failed(error.into()))
}

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
    let models: Vec<Value> = client.get("list the models", "/admin/v1/models").await?;
    print(format, &models, |models, _| {
        let row = |model: &Value| {
            let text = |key: &str| model[key].as_str().unwrap_or("-").to_owned();
            let regions: Vec<_> = model["regions"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let regions = if regions.is_empty() { "all".to_owned() } else { regions.join(",") };
            let warm = model["warm"].as_array().map_or(0, Vec::len);
            vec![
                text("name"),
                text("version"),
                warm.to_string(),
                model["replicas"].to_string(),
                regions,
                text("digest").chars().take(12).collect(),
            ]
        };
        columns(&["MODEL", "VERSION", "WARM", "PER REGION", "REGIONS", "MANIFEST"], models.iter().map(row).collect())
    })?;
    Ok(Exit::Ok)
}

/// Shows one model.
pub(super) async fn inspect(client: &AdminClient, name: &str, format: OutputFormat) -> Result<Exit, CliError> {
    let model: Value = client.get("inspect the model", &format!("/admin/v1/models/{}", in_path(name)?)).await?;
    print(format, &model, |model, _| described(model))?;
    Ok(Exit::Ok)
}

fn described(model: &Value) -> String {
    let text = |key: &str| model[key].as_str().unwrap_or("-").to_owned();
    let mut lines = vec![
        format!("model      {} version {}", text("name"), text("version")),
        format!("manifest   sha256:{}", text("digest")),
        format!(
            "warm on    {} node(s), {} per region wanted",
            model["warm"].as_array().map_or(0, Vec::len),
            model["replicas"]
        ),
    ];
    for (title, key) in [("input", "inputs"), ("output", "outputs")] {
        for value in model["signature"][key].as_array().into_iter().flatten() {
            let name = value["name"].as_str().unwrap_or("-");
            lines.push(format!(
                "{title:<10} {name}: {} {}",
                value["dtype"].as_str().unwrap_or("-"),
                shape(&value["shape"])
            ));
        }
    }
    if let Some(operators) = model["operators"].as_object() {
        let counts: Vec<_> = operators.iter().map(|(operator, count)| format!("{count} {operator}")).collect();
        lines.push(format!("operators  {}", counts.join(", ")));
        lines.push(format!("parameters {}", model["parameters"]));
    } else {
        lines.push("this node does not hold it".to_owned());
    }
    lines.join("\n")
}

/// Dimensions as the publisher named them: `{"Fixed": 28}` is 28, `{"Symbol": "batch"}` is batch.
fn shape(value: &Value) -> String {
    let dimension = |dimension: &Value| match dimension.as_object().and_then(|object| object.values().next()) {
        Some(Value::String(name)) => name.clone(),
        Some(size) => size.to_string(),
        None => dimension.to_string(),
    };
    let dimensions: Vec<_> = value.as_array().into_iter().flatten().map(dimension).collect();
    format!("[{}]", dimensions.join(", "))
}

/// Has the node check signature and bytes again.
pub(super) async fn verify(client: &AdminClient, name: &str, format: OutputFormat) -> Result<Exit, CliError> {
    let path = format!("/admin/v1/models/{}/verification", in_path(name)?);
    let answer: Value = client.get("verify the model", &path).await?;
    match format {
        OutputFormat::Table | OutputFormat::Wide => {
            let text = |key: &str| answer[key].as_str().unwrap_or("-").to_owned();
            line(&format!(
                "{} version {}: the signature and every byte hold\nmanifest sha256:{}",
                text("name"),
                text("version"),
                text("digest")
            ))?;
        }
        OutputFormat::Json | OutputFormat::Yaml => print(format, &answer, |answer, _| answer.to_string())?,
    }
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
    use serde_json::json;

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

    #[test]
    fn dimensions_are_shown_as_their_publisher_named_them() {
        assert_eq!(shape(&json!([{ "Symbol": "batch" }, { "Fixed": 28 }])), "[batch, 28]");
    }
}
