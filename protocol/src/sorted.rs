//! Lists in the order of a key: what a node keeps thousands of, or what thousands of nodes of one process keep a few of.

/// Puts an item into its place. A list grows by an eighth: doubling would leave each of thousands of nodes of one process
/// with half-empty lists.
pub(crate) fn insert_at<T>(list: &mut Vec<T>, place: usize, item: T) {
    if list.len() == list.capacity() {
        list.reserve_exact(list.len() / 8 + SLACK);
    }
    list.insert(place, item);
}

/// Items that the first growth makes room for.
const SLACK: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_never_holds_much_more_room_than_items() {
        let mut list = Vec::new();
        for item in 0..1_000 {
            let place = list.partition_point(|known| *known > item);
            insert_at(&mut list, place, item);
            assert!(list.capacity() <= list.len() * 9 / 8 + SLACK, "{} for {}", list.capacity(), list.len());
        }
        assert!(list.is_sorted_by(|a, b| a > b));
    }
}
