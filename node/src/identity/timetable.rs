//! When a certificate is renewed, and when again if that failed.

use std::time::Duration;

use hedgerow_attest::member::Member;
use hedgerow_attest::time::UnixSeconds;
use hedgerow_protocol::time::Wall;

/// First second at which a certificate may be renewed: half of its life is over. Later is safe, sooner makes work for issuers.
pub fn renewable_from(member: &Member) -> UnixSeconds {
    member.not_before().plus_s(life_s(member) / 2)
}

/// When the node itself renews it: up to an eighth of its life later, so that nodes that joined together do not ask together.
/// `draw` is any random number.
pub fn renewal_due(member: &Member, draw: u64) -> Wall {
    let from = micros(renewable_from(member).0);
    let spread = micros(life_s(member)) / 8;
    Wall(from.saturating_add(draw % spread.max(1)))
}

/// How long to wait after that many attempts in a row that failed: from a hundred-and-twenty-eighth of a life on, doubled up to a
/// sixteenth, within a quarter of a second and an hour, or a minute where the certificate is over: somebody waits then. Up to a
/// half is taken off at random.
pub fn retry_after(member: &Member, now: UnixSeconds, failures: u32, draw: u64) -> Duration {
    let life = Duration::from_secs(life_s(member));
    let longest = if now > member.not_after() { RETRY_ENDED_MOST } else { RETRY_MOST };
    let first = (life / 128).clamp(RETRY_LEAST, RETRY_ENDED_MOST);
    let most = (life / 16).clamp(RETRY_LEAST, longest);
    let doubled = first.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(most);
    let half = u64::try_from(doubled.as_micros() / 2).unwrap_or(u64::MAX);
    doubled - Duration::from_micros(draw % half.max(1))
}

/// Seconds from its beginning to its end.
pub fn life_s(member: &Member) -> u64 {
    member.not_after().0.saturating_sub(member.not_before().0)
}

fn micros(seconds: u64) -> u64 {
    seconds.saturating_mul(1_000_000)
}

/// Less would be a burden on a mesh of short lives.
const RETRY_LEAST: Duration = Duration::from_millis(250);
/// More than this an issuer that is back should not be waited for.
const RETRY_MOST: Duration = Duration::from_secs(3_600);
const RETRY_ENDED_MOST: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use hedgerow_attest::testing::SampleMesh;
    use proptest::prelude::*;

    use super::*;

    fn member(life_s: u64) -> Member {
        let mesh = SampleMesh::new(1);
        let keys = mesh.keys(5);
        let mut membership = mesh.membership(&keys, "eu", 9);
        membership.not_after = membership.not_before.plus_s(life_s);
        mesh.certificate(&keys, &membership).verify(mesh.root(), SampleMesh::NOW, 0).unwrap()
    }

    #[test]
    fn a_certificate_is_renewed_in_the_eighth_after_its_half() {
        let (now, member) = (SampleMesh::NOW.0, member(800));
        assert_eq!(renewable_from(&member), UnixSeconds(now + 400));
        let due_s = |draw| renewal_due(&member, draw).0 as f64 / 1e6 - now as f64;
        assert_eq!([due_s(0), due_s(99_000_000), due_s(100_000_000)], [400.0, 499.0, 400.0]);
    }

    #[test]
    fn attempts_are_repeated_ever_more_rarely_and_oftener_once_it_is_over() {
        let month = member(30 * 86_400);
        let after = |now, failures| retry_after(&month, now, failures, 0).as_secs();
        let running = month.not_before();
        assert_eq!([1, 2, 3, 7, 99].map(|failures| after(running, failures)), [60, 120, 240, 3_600, 3_600]);
        let over = month.not_after().plus_s(1);
        assert_eq!([1, 2, 99].map(|failures| after(over, failures)), [60, 60, 60]);
        let brief = member(16);
        let after_ms = |failures| retry_after(&brief, brief.not_before(), failures, 0).as_millis();
        assert_eq!([1, 2, 3, 4].map(after_ms), [250, 500, 1_000, 1_000]);
    }

    proptest! {
        #[test]
        fn no_wait_is_shorter_than_half_of_the_least(life_s in 12_u64..40_000_000, failures: u32, draw: u64) {
            let member = member(life_s.min(30 * 86_400));
            let wait = retry_after(&member, member.not_before(), failures, draw);
            prop_assert!(wait >= RETRY_LEAST / 2 && wait <= RETRY_MOST, "{wait:?}");
        }
    }
}
