//! Step 2: one lease holder per region, the same for everyone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Result;

use super::mesh::{DemoMesh, REGIONS};
use super::observe::until;
use super::report::Report;

/// Aggregators by region: the holder's id and its term.
pub(super) type Aggregators = BTreeMap<String, (String, u64)>;

/// Waits until all nodes name the same two aggregators.
pub(super) async fn run(mesh: &DemoMesh, report: &mut Report) -> Result<()> {
    report
        .check("every node names the same two aggregators", async {
            let aggregators = agreed(mesh, |aggregators| aggregators.len() == REGIONS.len()).await?;
            Ok(told(mesh, &aggregators))
        })
        .await?;
    Ok(())
}

/// What all running nodes agree on, once that is what is wanted.
pub(super) async fn agreed(mesh: &DemoMesh, wanted: impl Fn(&Aggregators) -> bool) -> Result<Aggregators> {
    let (aggregators, _) = until("one answer from every node", Duration::from_secs(30), async || {
        let mut answers = BTreeSet::new();
        for node in mesh.nodes() {
            let known = node.status().await?.aggregators.into_iter();
            answers.insert(known.map(|each| (each.region, (each.holder, each.term))).collect::<Aggregators>());
        }
        let first = answers.pop_first().filter(|first| answers.is_empty() && wanted(first));
        Ok(first)
    })
    .await?;
    Ok(aggregators)
}

/// `n1 for eu, term 2; …`
pub(super) fn told(mesh: &DemoMesh, aggregators: &Aggregators) -> String {
    let each = aggregators
        .iter()
        .map(|(region, (holder, term))| format!("{} for {region}, term {term}", mesh.name_of(holder)));
    each.collect::<Vec<_>>().join("; ")
}
