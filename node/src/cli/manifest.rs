//! Manifests: what an operator wants, as YAML.
//!
//! A file has one or more documents of `apiVersion`, `kind`, `metadata` and `spec`. What is wrong with one is told by line
//! and field, before anything is sent.

use std::fmt;
use std::path::{Path, PathBuf};

use hedgerow_attest::name::NodeClass;
use hedgerow_attest::region::Region;
use hedgerow_protocol::name::ClassName;
use hedgerow_protocol::placement::{CLASSES_MAX, REGIONS_MAX, REPLICAS_MAX, WEIGHT_MAX};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_saphyr::{Options, Spanned};
use thiserror::Error;

use super::invite::parse_seconds;
use crate::admin::wire::{DataClassRow, NodeClassShare};

/// The version of every kind that this release reads.
pub(super) const API_VERSION: &str = "hedgerow/v1";

/// A file larger than this is not read: a policy has at most 24 KiB.
pub(super) const FILE_BYTES_MAX: u64 = 1 << 20;

/// What one document asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Manifest {
    /// A rule for sessions.
    DataClass(DataClassRow),
    /// The share of a kind of machine.
    NodeClass(NodeClassShare),
}

/// What is wrong with a file of manifests, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}: line {line}, {field}: {fault}", file.display())]
pub(super) struct ManifestError {
    /// The file.
    pub(super) file: PathBuf,
    /// Counted from 1.
    pub(super) line: u64,
    /// The key on that line.
    pub(super) field: String,
    /// What is wrong with it.
    pub(super) fault: ManifestFault,
}

/// What is wrong with a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ManifestFault {
    /// It is not YAML, or not of the form that its kind has. The text is the parser's.
    Form(String),
    /// Another `apiVersion`.
    ApiVersion,
    /// A kind that this release does not know.
    Kind,
    /// Not a name.
    Name,
    /// Not a number of copies.
    Replicas,
    /// More or fewer than there are copies.
    WriteQuorum,
    /// Data about people everywhere.
    Unfenced,
    /// More regions than a rule may name, or one twice.
    Regions,
    /// Not a time such as 30d.
    Ttl,
    /// Not a share.
    Weight,
    /// A second document of that kind and name.
    Twice,
    /// More classes than a policy may have.
    TooMany,
    /// No document at all.
    Empty,
}

impl fmt::Display for ManifestFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form(text) => f.write_str(text),
            Self::ApiVersion => write!(f, "write `{API_VERSION}`"),
            Self::Kind => f.write_str("write `DataClass` or `NodeClass`"),
            Self::Name => f.write_str("write 1 to 32 of a-z, 0-9 and '-'"),
            Self::Replicas => write!(f, "write 1 to {REPLICAS_MAX}"),
            Self::WriteQuorum => f.write_str("write 1 to the number of replicas"),
            Self::Unfenced => f.write_str("personal data must name its regions: add `regions: [...]`"),
            Self::Regions => write!(f, "name each region once, at most {REGIONS_MAX}"),
            Self::Ttl => f.write_str("write a number and one of s, m, h, d, such as 30d; leave it out for never"),
            Self::Weight => write!(f, "write 1 to {WEIGHT_MAX}"),
            Self::Twice => f.write_str("is in this file twice: remove one of the two"),
            Self::TooMany => write!(f, "is one class too many: a policy has at most {CLASSES_MAX}"),
            Self::Empty => f.write_str("holds no manifest: `hedgerow get dataclasses -o yaml` prints some"),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    api_version: Spanned<String>,
    kind: Spanned<String>,
    metadata: Metadata,
    #[serde(rename = "spec")]
    _spec: IgnoredAny,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    name: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Document<S> {
    #[serde(rename = "apiVersion")]
    _api_version: IgnoredAny,
    #[serde(rename = "kind")]
    _kind: IgnoredAny,
    #[serde(rename = "metadata")]
    _metadata: IgnoredAny,
    spec: S,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct DataClassSpec {
    replicas: Spanned<u8>,
    write_quorum: Spanned<u8>,
    #[serde(default)]
    regions: Vec<Spanned<String>>,
    personal: Option<Spanned<bool>>,
    ttl: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeClassSpec {
    weight: Spanned<u16>,
}

/// The manifests of a file, by kind and name.
pub(super) fn parse(file: &Path, text: &str) -> Result<Vec<Manifest>, ManifestError> {
    let mut manifests: Vec<Manifest> = Vec::new();
    for part in documents(text) {
        let place = Place { file, text, first: part.first };
        let (manifest, name) = document(&place, part.text)?;
        if manifests.iter().any(|known| known.key() == manifest.key()) {
            return Err(place.fault(name, ManifestFault::Twice));
        }
        manifests.push(manifest);
        if manifests.len() > CLASSES_MAX {
            return Err(place.fault(name, ManifestFault::TooMany));
        }
    }
    if manifests.is_empty() {
        return Err(Place { file, text, first: 0 }.fault(1, ManifestFault::Empty));
    }
    manifests.sort_by(|one, two| one.key().cmp(&two.key()));
    Ok(manifests)
}

/// The same class as a manifest.
pub(super) fn text(manifest: &Manifest) -> Result<String, serde_saphyr::ser::Error> {
    let (kind, name) = manifest.key();
    let spec = match manifest {
        Manifest::DataClass(class) => serde_json::json!({
            "replicas": class.replicas,
            "writeQuorum": class.write_quorum,
            "regions": class.regions,
            "personal": class.personal,
        }),
        Manifest::NodeClass(class) => serde_json::json!({ "weight": class.weight }),
    };
    let mut spec = spec;
    if let (Manifest::DataClass(class), Some(fields)) = (manifest, spec.as_object_mut())
        && class.ttl_s > 0
    {
        fields.insert("ttl".to_owned(), ttl_text(class.ttl_s).into());
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Written<'a> {
        api_version: &'a str,
        kind: &'a str,
        metadata: std::collections::BTreeMap<&'a str, &'a str>,
        spec: serde_json::Value,
    }
    let metadata = [("name", name)].into_iter().collect();
    serde_saphyr::to_string(&Written { api_version: API_VERSION, kind, metadata, spec })
}

/// Seconds as people write them.
pub(super) fn ttl_text(seconds: u64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "m")];
    let unit = units.into_iter().find(|(size, _)| seconds.is_multiple_of(*size));
    let (size, unit) = unit.unwrap_or((1, "s"));
    format!("{}{unit}", seconds / size)
}

impl Manifest {
    /// Its kind and name.
    pub(super) fn key(&self) -> (&'static str, &str) {
        match self {
            Self::DataClass(class) => ("DataClass", &class.name),
            Self::NodeClass(class) => ("NodeClass", &class.name),
        }
    }
}

/// Where a document stands.
struct Place<'a> {
    file: &'a Path,
    text: &'a str,
    /// Lines before it.
    first: u64,
}

impl Place<'_> {
    /// A fault on a line of the document, counted from 1.
    fn fault(&self, line: u64, fault: ManifestFault) -> ManifestError {
        let line = self.first + line.max(1);
        let number = usize::try_from(line).unwrap_or(usize::MAX);
        let words = self.text.lines().nth(number - 1).unwrap_or("").trim_start_matches([' ', '-']);
        let field = words.split_once(':').map_or(words, |(key, _)| key).trim();
        let field = if field.is_empty() { "document" } else { field };
        ManifestError { file: self.file.to_owned(), line, field: field.to_owned(), fault }
    }

    fn at<T>(&self, value: &Spanned<T>, fault: ManifestFault) -> ManifestError {
        self.fault(value.referenced.line(), fault)
    }

    fn read<T: DeserializeOwned>(&self, text: &str) -> Result<T, ManifestError> {
        let mut options = Options::default();
        options.with_snippet = false;
        serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let line = error.location().map_or(1, |location| location.line());
            // The parser counts from the start of the document.
            let text = error.to_string();
            let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
            self.fault(line, ManifestFault::Form(text.trim_end().to_owned()))
        })
    }
}

/// Reads one document; also says on which of its lines its name stands.
fn document(place: &Place<'_>, text: &str) -> Result<(Manifest, u64), ManifestError> {
    let header: Header = place.read(text)?;
    if header.api_version.value != API_VERSION {
        return Err(place.at(&header.api_version, ManifestFault::ApiVersion));
    }
    let name = &header.metadata.name;
    let manifest = match header.kind.value.as_str() {
        "DataClass" => {
            let class = ClassName::new(&name.value).map_err(|_error| place.at(name, ManifestFault::Name))?;
            Manifest::DataClass(data_class(place, class.as_str(), place.read::<Document<DataClassSpec>>(text)?.spec)?)
        }
        "NodeClass" => {
            let class = NodeClass::new(&name.value).map_err(|_error| place.at(name, ManifestFault::Name))?;
            let weight = place.read::<Document<NodeClassSpec>>(text)?.spec.weight;
            if !(1..=WEIGHT_MAX).contains(&weight.value) {
                return Err(place.at(&weight, ManifestFault::Weight));
            }
            Manifest::NodeClass(NodeClassShare { name: class.to_string(), weight: weight.value })
        }
        _ => return Err(place.at(&header.kind, ManifestFault::Kind)),
    };
    Ok((manifest, name.referenced.line()))
}

fn data_class(place: &Place<'_>, name: &str, spec: DataClassSpec) -> Result<DataClassRow, ManifestError> {
    let DataClassSpec { replicas, write_quorum, regions, personal, ttl } = spec;
    if !(1..=REPLICAS_MAX).contains(&replicas.value) {
        return Err(place.at(&replicas, ManifestFault::Replicas));
    }
    if !(1..=replicas.value).contains(&write_quorum.value) {
        return Err(place.at(&write_quorum, ManifestFault::WriteQuorum));
    }
    for (at, region) in regions.iter().enumerate() {
        if Region::new(&region.value).is_err() {
            return Err(place.at(region, ManifestFault::Name));
        }
        let before = regions.iter().take(at).any(|other| other.value == region.value);
        if before || at >= REGIONS_MAX {
            return Err(place.at(region, ManifestFault::Regions));
        }
    }
    if let Some(personal) = personal.as_ref().filter(|personal| personal.value && regions.is_empty()) {
        return Err(place.at(personal, ManifestFault::Unfenced));
    }
    let seconds = |ttl: &Spanned<String>| {
        let seconds = parse_seconds(&ttl.value).ok().filter(|seconds| *seconds > 0);
        seconds.ok_or_else(|| place.at(ttl, ManifestFault::Ttl))
    };
    let mut regions: Vec<String> = regions.into_iter().map(|region| region.value).collect();
    regions.sort_unstable();
    Ok(DataClassRow {
        name: name.to_owned(),
        replicas: replicas.value,
        write_quorum: write_quorum.value,
        regions,
        personal: personal.is_some_and(|personal| personal.value),
        ttl_s: ttl.as_ref().map(seconds).transpose()?.unwrap_or(0),
    })
}

struct Part<'a> {
    /// Lines before it.
    first: u64,
    text: &'a str,
}

/// The documents between lines of three dashes; those without a word are left out.
fn documents(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let (mut start, mut first) = (0, 0);
    let mut offset = 0;
    for (line, number) in text.split_inclusive('\n').zip(1..) {
        let end = offset + line.len();
        if line.trim_end() == "---" {
            parts.push(Part { first, text: text.get(start..offset).unwrap_or("") });
            (start, first) = (end, number);
        }
        offset = end;
    }
    parts.push(Part { first, text: text.get(start..).unwrap_or("") });
    let says = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    parts.retain(|part| part.text.lines().any(says));
    parts
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
