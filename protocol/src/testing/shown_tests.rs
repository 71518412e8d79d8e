//! Whom members show as the aggregator of a cell.

use super::censor::{Fate, Kind};
use super::cluster::{Cluster, MS, S};
use super::election_tests::{aggregator, grown, three_voters};
use std::cell::Cell;
use std::collections::BTreeSet;

#[test]
fn a_lease_that_ends_is_shown_to_have_ended_with_nothing_else_to_show() {
    let mut cluster = grown(1, 3);
    let holder = cluster.judge.holder("eu", cluster.now).expect("somebody leads").node;
    let witness = (holder + 1) % 3;
    cluster.censor = Some(Box::new(|frame| Fate::Withhold.when(frame.kind == Kind::Campaign)));
    let is_led = |c: &Cluster| aggregator(c, witness).is_some_and(|seen| seen.valid);
    cluster.run_for(3 * S);
    // As a node shows it: a view is made only when its version says that there is something new.
    let shown = Cell::new((u64::MAX, true));
    let look = |c: &Cluster| {
        let version = c.nodes[witness].core.view_version();
        if shown.get().0 != version {
            shown.set((version, is_led(c)));
        }
    };
    cluster.run_until_holds(2 * S, "the lease that it knows of ends", |c| {
        look(c);
        !is_led(c)
    });
    cluster.run_until_holds(300 * MS, "that is shown", |c| {
        look(c);
        !shown.get().1
    });
}

#[test]
fn members_of_another_cell_name_the_same_aggregators() {
    let mut cluster = Cluster::formed(2, &["eu", "eu", "eu", "us", "us", "us"]);
    cluster.run_until_holds(20 * S, "both regions are led and everybody knows", |c| {
        let views: BTreeSet<Vec<_>> = c
            .up()
            .map(|node| {
                let view = c.view(node);
                let valid = view.aggregators.iter().filter(|(_, seen)| seen.valid);
                valid.map(|(region, seen)| (region.clone(), seen.holder, seen.term)).collect()
            })
            .collect();
        views.len() == 1 && views.iter().all(|view| view.len() == 2) && three_voters(c)
    });
}
