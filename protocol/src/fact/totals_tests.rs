//! Tests of sums over members: however they are grouped, the sums are the same.

use super::*;
use proptest::prelude::*;

fn class(number: u8) -> NodeClass {
    NodeClass::new(&format!("class-{number:02}")).unwrap()
}

fn of(members: &[(u8, bool, u8, u32)]) -> Totals {
    let mut totals = Totals::default();
    for (liveness, leaving, class_number, queue_depth) in members {
        let liveness = [Liveness::Alive, Liveness::Suspect, Liveness::Down][usize::from(*liveness)];
        let energy = if queue_depth % 3 == 0 { Energy::Battery } else { Energy::Mains };
        let health = Health { queue_depth: *queue_depth, free_memory_mib: 100, energy, ..Health::default() };
        totals.count(liveness, *leaving, &class(*class_number), &health);
    }
    totals
}

fn merged(totals: &[&Totals]) -> Totals {
    let mut all = Totals::default();
    totals.iter().for_each(|one| all.merge(one));
    all
}

fn members() -> impl Strategy<Value = Vec<(u8, bool, u8, u32)>> {
    proptest::collection::vec((0..3_u8, any::<bool>(), 0..24_u8, 0..5_000_u32), 0..40)
}

proptest! {
    #[test]
    fn totals_of_groups_are_the_totals_of_all(one in members(), two in members(), three in members()) {
        let (a, b, c) = (of(&one), of(&two), of(&three));
        prop_assert_eq!(merged(&[&a, &b]), of(&[one, two].concat()));
        prop_assert_eq!(merged(&[&a, &b]), merged(&[&b, &a]));
        prop_assert_eq!(merged(&[&merged(&[&a, &b]), &c]), merged(&[&a, &merged(&[&b, &c])]));
        prop_assert_eq!(merged(&[&a]), a);
    }

    #[test]
    fn a_quantile_is_at_most_twice_the_true_one(mut depths in proptest::collection::vec(0..1_000_u32, 1..60), per_mille in 0..=1_000_u64) {
        let mut sketch = QueueSketch::default();
        depths.iter().for_each(|depth| sketch.count(*depth));
        depths.sort_unstable();
        let rank = usize::try_from((depths.len() as u64 * per_mille).div_ceil(1_000).max(1)).unwrap();
        let (read, truth) = (sketch.quantile(per_mille).unwrap(), depths[rank - 1]);
        prop_assert!(truth <= read && read <= truth * 2, "{read} for {truth}");
    }
}

#[test]
fn members_are_counted_once_and_only_those_alive_weigh() {
    let counted = of(&[(0, false, 1, 4), (0, true, 1, 8), (1, false, 2, 16), (2, true, 1, 32), (0, false, 2, 3)]);
    let expected = Totals {
        alive: 2,
        suspect: 1,
        down: 1,
        leaving: 1,
        on_battery: 1,
        classes: vec![(class(1), 1), (class(2), 1)],
        queue_depth: 7,
        free_memory_mib: 200,
        queues: QueueSketch([0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
    };
    assert_eq!(counted, expected);
    assert_eq!(counted.members(), 5);
    assert_eq!(QueueSketch::default().quantile(500), None);
    assert_eq!(counted.queues.quantile(1_000), Some(7));
}
