//! Which model should be served where. A publisher signs it; the mesh chooses the nodes.

use super::policy::REGIONS_MAX;
use crate::name::{ModelName, ModelRef, ModelVersion};
use hedgerow_attest::bounded::bounded_vec;
use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::region::Region;
use hedgerow_attest::signed::Domain;
use serde::{Deserialize, Serialize};

/// One version of a model, and how many nodes of each region should hold it warm. Signed by a publisher key of the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// The model.
    pub model: ModelName,
    /// The version that is to be served.
    pub version: ModelVersion,
    /// Of two deployments of one model the higher revision holds; publishers count up, or use the time in seconds.
    pub revision: u64,
    /// The digest of the manifest; every byte of the artifact follows from it.
    pub manifest: Sha256Digest,
    /// Nodes per region that should hold it warm, of which a cell gives at most [`super::NODES_MAX`]; 0 withdraws the model.
    pub replicas: u8,
    /// Regions in which it should be; all when empty.
    #[serde(deserialize_with = "bounded_vec::<_, _, REGIONS_MAX>")]
    pub regions: Vec<Region>,
}

impl Domain for Deployment {
    const DOMAIN: &'static str = "hedgerow/deployment/1";
    const PAYLOAD_MAX: usize = 4 * 1024;
}

impl Deployment {
    /// Model and version.
    #[must_use]
    pub fn model_ref(&self) -> ModelRef {
        ModelRef { model: self.model.clone(), version: self.version.clone() }
    }

    /// Whether nodes of that region should hold it.
    #[must_use]
    pub fn wants(&self, region: &Region) -> bool {
        self.replicas > 0 && (self.regions.is_empty() || self.regions.contains(region))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_names_its_regions_or_means_all() {
        let (eu, us) = (Region::new("eu").unwrap(), Region::new("us").unwrap());
        let everywhere = Deployment {
            model: ModelName::new("digits").unwrap(),
            version: ModelVersion::new("1").unwrap(),
            revision: 1,
            manifest: Sha256Digest::of(b"m"),
            replicas: 2,
            regions: vec![],
        };
        let fenced = Deployment { regions: vec![eu.clone()], ..everywhere.clone() };
        let withdrawn = Deployment { replicas: 0, ..everywhere.clone() };
        assert_eq!(
            [everywhere.wants(&us), fenced.wants(&eu), fenced.wants(&us), withdrawn.wants(&eu)],
            [true, true, false, false]
        );
        assert_eq!(everywhere.model_ref().to_string(), "digits@1");
    }
}
