//! Coordinates of nodes that only probe each other.

use super::cluster::{Cluster, MS, S};

/// One way between the two regions.
const FAR_US: u64 = 40 * MS;

fn rtts(cluster: &Cluster, here: usize, there: usize) -> (Option<u64>, Option<u64>) {
    let member = &cluster.view(here).members[&cluster.nodes[there].id()];
    (member.rtt_us, member.estimate_us)
}

#[test]
fn the_distance_to_a_member_that_never_answered_is_estimated_by_its_aggregator() {
    for seed in 0..4 {
        let mut cluster = Cluster::new(seed, &["eu", "eu", "eu", "us", "us", "us"]);
        cluster.faults.far_us = FAR_US;
        cluster.form(&["eu", "eu", "eu", "us", "us", "us"]);
        cluster.run_for(20 * S);
        cluster.kill(0);
        cluster.cut(&[0], &[5]);
        cluster.start(0);
        assert_eq!(rtts(&cluster, 0, 5), (None, None), "a node that has measured nothing has no opinion");
        cluster.run_for(20 * S);
        let (measured, estimate) = rtts(&cluster, 0, 5);
        assert_eq!(measured, None);
        assert!(estimate.is_some_and(|us| (70 * MS..100 * MS).contains(&us)), "seed {seed}: {estimate:?}");
        for there in 1..5 {
            let (measured, estimate) = rtts(&cluster, 0, there);
            assert!(measured.is_some() && estimate.is_none(), "seed {seed}: what is measured is not guessed");
        }
        assert_eq!(rtts(&cluster, 0, 0), (None, None), "nor is the way to itself");
    }
}
