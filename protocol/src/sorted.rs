//! Lists in the order of a key: what a node keeps thousands of, or what thousands of nodes of one process keep a few of.

use std::cmp::Ordering;

/// Where an item stands in a list of so many, or would, where its name is a digest: then the number with which the name leads
/// says about where (interpolation search: Peterson 1957). `order` compares what stands at a place with the item.
pub(crate) fn find_spread(len: usize, lead: u64, order: impl Fn(usize) -> Ordering) -> Result<usize, usize> {
    let guess = usize::try_from((u128::from(lead) * len as u128) >> u64::BITS).unwrap_or(0);
    let comes_before = |place: usize| place < len && order(place) == Ordering::Less;
    // From the guess on by steps that double: names that somebody chose cost no more than a binary search.
    let (mut low, mut high, mut step) = (guess.saturating_sub(1), guess, 1);
    if comes_before(guess) {
        (low, high) = (guess + 1, guess + 1);
        while comes_before(high) {
            (low, high, step) = (high + 1, high + 1 + step, step * 2);
        }
    } else {
        while low < high && !comes_before(low) {
            (low, high, step) = (low.saturating_sub(step), low, step * 2);
        }
    }
    let mut end = len.min(high + 1);
    while low < end {
        let middle = low + (end - low) / 2;
        match order(middle) {
            Ordering::Less => low = middle + 1,
            Ordering::Equal => return Ok(middle),
            Ordering::Greater => end = middle,
        }
    }
    Err(low)
}

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
