//! Time of a call: both engines take turns.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};
use serde::{Deserialize, Serialize, de::IgnoredAny};

use super::processes::Engine;
use super::setting::{Setting, Side};

/// The model that computes nothing; its call costs what every call does.
pub(super) const EMPTY: &str = "empty";
/// Below this it is measured in the same rounds what an empty call costs, to be taken off: for onnxruntime that includes
/// Python's part.
const SHORT_S: f64 = 200e-6;
/// How long an engine is measured at a time: long beside a switch between processes, short beside what changes on the
/// machine. A guess; the spread of the rounds judges it.
const TURN_S: f64 = 0.05;
const CALLS_MAX: f64 = 5000.0;

/// One engine's turn in one round, per call.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Turn {
    pub(super) wall_s: f64,
    /// Of all threads of the process.
    pub(super) cpu_s: f64,
}

/// Everybody's turn in one round.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Round {
    pub(super) ours: Turn,
    pub(super) onnxruntime: Turn,
    /// Empty calls of both, where those of the model are short.
    pub(super) empty: Option<[Turn; 2]>,
}

/// An engine with the question that fills its turn.
struct Player {
    engine: Engine,
    question: String,
    call_s: f64,
}

/// Measures one model. The order of the engines is drawn in each round.
pub(super) async fn measure(
    setting: &Setting,
    model: &str,
    cores: &[usize],
    rounds: u32,
    seed: u64,
) -> anyhow::Result<Vec<Round>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut players = Vec::new();
    for side in [Side::Ours, Side::Onnxruntime] {
        players.push(Player::ready(setting, side, model, cores).await?);
    }
    let is_short = players.iter().any(|player| player.call_s < SHORT_S);
    for side in [Side::Ours, Side::Onnxruntime].into_iter().filter(|_| is_short) {
        players.push(Player::ready(setting, side, EMPTY, cores).await?);
    }
    let mut measured = Vec::new();
    for _ in 0..rounds {
        let mut turns = vec![None; players.len()];
        for at in shuffled(players.len(), &mut random) {
            let Player { engine, question, .. } = &mut players[at];
            turns[at] = Some(engine.ask(question).await?);
        }
        let turns: Vec<Turn> = turns.into_iter().flatten().collect();
        let empty = turns.get(2..).and_then(|turns| turns.try_into().ok());
        measured.push(Round { ours: turns[0], onnxruntime: turns[1], empty });
    }
    Ok(measured)
}

impl Player {
    async fn ready(setting: &Setting, side: Side, model: &str, cores: &[usize]) -> anyhow::Result<Self> {
        let (mut engine, _) = setting.engine::<IgnoredAny>(side, model, cores).await?;
        // The first calls also make what later ones use again.
        let _warm: Turn = engine.ask("run 5").await?;
        let Turn { wall_s: call_s, .. } = engine.ask("run 5").await?;
        let question = format!("run {}", (TURN_S / call_s.max(1e-9)).clamp(1.0, CALLS_MAX).round());
        Ok(Self { engine, question, call_s })
    }
}

/// Every order is as likely as any other (Fisher and Yates).
fn shuffled(count: usize, random: &mut ChaCha8Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        // The remainder prefers small numbers by a part in 2^60.
        let other = random.next_u64() % (last as u64 + 1);
        order.swap(last, other as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_order_is_drawn() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let drawn: BTreeSet<_> = (0..500).map(|_| shuffled(4, &mut random)).collect();
        assert_eq!(drawn.len(), 24);
        assert!(drawn.iter().all(|order| BTreeSet::from_iter(order) == BTreeSet::from([&0, &1, &2, &3])));
    }
}
