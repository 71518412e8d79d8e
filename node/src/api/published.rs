//! Models by the names that a request gives them.

use hedgerow_protocol::name::{ModelName, ModelVersion};
use hedgerow_protocol::view::{DeploymentView, MeshView};

use super::problem::Problem;

/// A model's name out of a path or a query.
pub(crate) fn model_name(text: &str) -> Result<ModelName, Problem> {
    ModelName::new(text)
        .map_err(|error| Problem::bad_request("name-malformed", format!("'{text}' is no model's name: {error}")))
}

/// A version out of a path.
pub(crate) fn model_version(text: &str) -> Result<ModelVersion, Problem> {
    ModelVersion::new(text)
        .map_err(|error| Problem::bad_request("version-malformed", format!("'{text}' is no version: {error}")))
}

/// What a publisher wants served under that name, and in that version where one is asked for; a withdrawn model is none.
pub(crate) fn find<'a>(
    view: &'a MeshView,
    model: &ModelName,
    version: Option<&ModelVersion>,
) -> Option<&'a DeploymentView> {
    view.deployments.iter().find(|row| {
        let served = &row.deployment;
        served.replicas > 0 && served.model == *model && version.is_none_or(|version| served.version == *version)
    })
}

/// The refusal of a model that [`find`] does not find, in the words that clients of the Open Inference Protocol know.
pub(crate) fn unknown(model: &ModelName, version: Option<&ModelVersion>) -> Problem {
    let version = version.map_or_else(String::new, |version| format!(" version {version}"));
    Problem::not_found("model-unknown", format!("Request for unknown model: '{model}'{version} is not found"))
}

/// The same for an operator.
pub(crate) fn unlisted(name: &str) -> Problem {
    Problem::not_found("model-unknown", format!("no model is called '{name}'"))
        .remedy("list them with `hedgerow model ls`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_model_is_told_as_triton_tells_it() {
        let (model, version) = (model_name("nope").unwrap(), model_version("9").unwrap());
        assert_eq!(unknown(&model, None).detail, "Request for unknown model: 'nope' is not found");
        assert_eq!(unknown(&model, Some(&version)).detail, "Request for unknown model: 'nope' version 9 is not found");
        assert!(model_name("NO PE").is_err() && model_version("").is_err());
    }
}
