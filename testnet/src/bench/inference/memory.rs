//! Memory of a model, of each engine in a fresh process.

use serde::{Deserialize, Serialize, de::IgnoredAny};

use super::processes::Engine;
use super::setting::{Setting, Side};

/// Calls before a process is looked at, so that it has what it keeps between them.
const CALLS: u32 = 3;

/// Bytes that one model takes.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Memory {
    pub(super) model: String,
    /// The weights, as our side counts them.
    pub(super) weight_bytes: u64,
    /// What our side plans for a request, weights included; nothing where it does not say so.
    pub(super) planned_bytes: Option<u64>,
    /// The most that our side had allocated while it answered, beyond what it had before the model was loaded.
    pub(super) heap_bytes: u64,
    pub(super) ours: Resident,
    pub(super) onnxruntime: Resident,
}

/// Of a process.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Resident {
    /// Before the model was loaded.
    #[serde(rename = "resident_before_bytes")]
    pub(super) before_bytes: u64,
    /// Between calls.
    #[serde(rename = "resident_bytes")]
    pub(super) between_bytes: u64,
    /// The most while it answered.
    #[serde(rename = "resident_peak_bytes")]
    pub(super) peak_bytes: u64,
}

impl Resident {
    /// The most that the model added.
    pub(super) fn grown_bytes(&self) -> u64 {
        self.peak_bytes.saturating_sub(self.before_bytes)
    }
}

#[derive(Deserialize)]
struct Ready {
    weight_bytes: u64,
    planned_bytes: Option<u64>,
}

#[derive(Deserialize)]
struct Heap {
    heap_before_bytes: u64,
    heap_peak_bytes: u64,
}

/// Looks at one model with one thread.
pub(super) async fn measure(setting: &Setting, model: &str, cores: &[usize]) -> anyhow::Result<Memory> {
    let (mut counted, Ready { weight_bytes, planned_bytes }) = setting.engine(Side::OursCounted, model, cores).await?;
    call(&mut counted).await?;
    let Heap { heap_before_bytes, heap_peak_bytes } = counted.ask("memory").await?;
    let ours = resident(setting, Side::Ours, model, cores).await?;
    let onnxruntime = resident(setting, Side::OnnxruntimeWithoutArena, model, cores).await?;
    let heap_bytes = heap_peak_bytes.saturating_sub(heap_before_bytes);
    Ok(Memory { model: model.to_owned(), weight_bytes, planned_bytes, heap_bytes, ours, onnxruntime })
}

async fn resident(setting: &Setting, side: Side, model: &str, cores: &[usize]) -> anyhow::Result<Resident> {
    let (mut engine, _) = setting.engine::<IgnoredAny>(side, model, cores).await?;
    call(&mut engine).await?;
    engine.ask("memory").await
}

/// One at a time: of several calls our side would hold the requests at once.
async fn call(engine: &mut Engine) -> anyhow::Result<()> {
    for _ in 0..CALLS {
        let _: IgnoredAny = engine.ask("run 1").await?;
    }
    Ok(())
}
