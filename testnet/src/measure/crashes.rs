//! Crashes of processes, one after the other, and how soon all others know.

use std::time::Duration;

use futures::future::join_all;
use hedgerow::admin::wire::{MemberRow, Status};
use hedgerow_protocol::time::micros;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::error::MeasureError;
use super::figures::Seen;
use super::watch::{Observed, agree, logs};
use crate::commands::tell;
use crate::local::LocalMesh;
use crate::plan::Plan;
use crate::report::NodeReport;

/// When one node saw a crash.
#[derive(Clone, Copy, Debug)]
struct Sight {
    /// When its answer was here.
    at: Instant,
    /// When the question before was put, whose answer did not show it.
    unseen_at: Instant,
}

/// Kills so many nodes; each is back and seen by all before the next. `nodes` agree.
pub(super) async fn crashes(
    plan: Plan,
    mesh: &mut LocalMesh,
    mut nodes: Vec<NodeReport>,
    observed: &[Observed],
    (count, seed): (u32, u64),
) -> Result<Seen, MeasureError> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut seen = Seen::default();
    for number in 1..=count {
        let victim = nodes.swap_remove(rng.next_u32() as usize % nodes.len());
        let id = victim.status.expect("nodes agree by what they say of themselves").node;
        let killed_at = Instant::now();
        mesh.kill(&victim.name).await?;
        let sights = look(mesh, observed, &victim.name, &id, killed_at).await?;
        let known = sights.iter().map(|sight| sight.at - killed_at).max().unwrap_or_default();
        let unknown = sights.iter().map(|sight| sight.unseen_at - killed_at).max().unwrap_or_default();
        tell(&format!("crash {number} of {count}: {} known to all in {:.3} s", victim.name, known.as_secs_f64()));
        seen.known.take(micros(known));
        seen.uncertain_s_max = seen.uncertain_s_max.max((known - unknown).as_secs_f64());
        mesh.restart(&victim.name).await?;
        nodes = agree(plan, mesh, BACK_WITHIN).await?;
    }
    Ok(seen)
}

/// Waits until everybody but the victim has seen it down.
async fn look(
    mesh: &LocalMesh,
    observed: &[Observed],
    victim: &str,
    id: &str,
    killed_at: Instant,
) -> Result<Vec<Sight>, MeasureError> {
    let others: Vec<&Observed> = observed.iter().filter(|node| node.name != victim).collect();
    // Spread over the period, so that the looks themselves do not crowd the processors all at once.
    let step = LOOK_EVERY / u32::try_from(others.len().max(1)).unwrap_or(u32::MAX);
    let looks = (0..).zip(&others).map(|(at, node)| timeout(KNOWN_WITHIN, sight(node, id, killed_at, step * at)));
    let sights = join_all(looks).await;
    let late = others.iter().zip(&sights).filter(|(_, sight)| sight.is_err());
    let ignorant: Vec<String> = late.map(|(node, _)| node.name.clone()).collect();
    if !ignorant.is_empty() {
        let logs = logs(mesh, &ignorant);
        return Err(MeasureError::NotKnown { node: victim.to_owned(), within: KNOWN_WITHIN, ignorant, logs });
    }
    Ok(sights.into_iter().flatten().collect())
}

/// Asks one node until it says that the victim is down. A node that gives no answer is asked again.
async fn sight(node: &Observed, id: &str, killed_at: Instant, offset: Duration) -> Sight {
    let admin = node.admin.clone().patience(ANSWER_WITHIN);
    let mut ticks = interval_at(Instant::now() + offset, LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut unseen_at = killed_at;
    loop {
        ticks.tick().await;
        let asked = Instant::now();
        // The counts are a tenth of the rows; only once somebody is down does it matter who.
        if let Ok(status) = admin.get::<Status>("read the status", "/admin/v1/status").await {
            let at = Instant::now();
            if status.members.down > 0 && is_down(&admin, id).await {
                return Sight { at, unseen_at };
            }
            unseen_at = asked;
        }
    }
}

async fn is_down(admin: &hedgerow::admin::AdminClient, id: &str) -> bool {
    let rows: Result<Vec<MemberRow>, _> = admin.get("read the members", "/admin/v1/members").await;
    rows.is_ok_and(|rows| rows.iter().any(|row| row.node == id && row.state == "down"))
}

/// Between two looks at one node.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Answers come from memory.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Several times what a crash takes to be known.
const KNOWN_WITHIN: Duration = Duration::from_secs(30);

/// From a restart until all agree again.
const BACK_WITHIN: Duration = Duration::from_secs(90);
