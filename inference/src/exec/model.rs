//! A loaded model.

use std::{
    cell::Cell,
    collections::BTreeMap,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use burn::backend::{Backend, Flex};

use super::{
    limits::ExecLimits,
    measure,
    plan::{Plan, Resident, Source},
    request::{RunError, bind},
    run::Run,
    value::Value,
};
use crate::{
    array::Array,
    artifact::Opened,
    check::GraphError,
    ir::{Graph, Signature},
    ops::Bindings,
    tensor::Tensor,
    weights::Weights,
};

/// A model with its weights resident on a backend. Running it needs only `&self`, so one model can
/// answer on several threads at once; each run may take the memory of the limits.
pub struct Model<B: Backend = Flex> {
    signature: Signature,
    limits: ExecLimits,
    plan: Plan<B>,
    /// By slot; `None` for values that each request makes.
    resident: Vec<Option<Value<B>>>,
    resident_bytes: u64,
    device: B::Device,
}

/// Why an opened artifact cannot be run here. Nothing stays resident.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The graph does not pass the checks; the publisher has to push it again.
    #[error("graph cannot be run")]
    Graph(#[source] GraphError),
    /// The weights alone exceed the bound; a node with a larger one may load it.
    #[error("weights need {needed} bytes, at most {most} are allowed")]
    Memory {
        /// Bytes of the weights.
        needed: u64,
        /// The bound.
        most: u64,
    },
    /// The backend panicked while taking the weights; its message went to the panic hook.
    #[error("backend panicked while taking the weights")]
    Panicked,
}

impl Model<Flex> {
    /// Loads a model on the CPU.
    pub fn load(opened: &Opened, limits: ExecLimits) -> Result<Self, LoadError> {
        Self::load_on(opened, limits, <Flex as burn::backend::BackendTypes>::Device::default())
    }
}

impl<B: Backend> Model<B> {
    /// Loads a model on a device of any backend.
    pub fn load_on(opened: &Opened, limits: ExecLimits, device: B::Device) -> Result<Self, LoadError> {
        Self::build(opened.graph(), opened.weights(), limits, device)
    }

    pub(crate) fn build(
        graph: &Graph,
        weights: &Weights,
        limits: ExecLimits,
        device: B::Device,
    ) -> Result<Self, LoadError> {
        let limits = limits.tightened(&graph.limits);
        let plan = Plan::of(graph, weights).map_err(LoadError::Graph)?;
        let infos: BTreeMap<_, _> = graph.weights.iter().map(|info| (info.name.as_str(), info)).collect();
        let size = |resident: &Resident| match &resident.source {
            Source::Weight(name) => {
                let info = infos[name.as_str()];
                info.shape.iter().fold(info.dtype.size_bytes(), |size, extent| size.saturating_mul(*extent))
            }
            Source::Folded(array) => array.len() as u64 * array.dtype().size_bytes(),
        };
        let (needed, most) = (plan.all_resident().map(size).fold(0, u64::saturating_add), limits.memory_bytes_max);
        if needed > most {
            return Err(LoadError::Memory { needed, most });
        }
        let keep = || keep_resident(&plan, weights, &device);
        let resident = catch_unwind(AssertUnwindSafe(keep)).map_err(|_message| LoadError::Panicked)?;
        Ok(Self { signature: graph.signature.clone(), limits, plan, resident, resident_bytes: needed, device })
    }

    /// What callers give and get.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Bytes that the weights take as long as the model is loaded.
    pub fn resident_bytes(&self) -> u64 {
        self.resident_bytes
    }

    /// The limits that hold: the node's, tightened by the publisher's.
    pub fn limits(&self) -> &ExecLimits {
        &self.limits
    }

    /// Answers one request, on the calling thread.
    pub fn run(&self, inputs: BTreeMap<String, Tensor>) -> Result<BTreeMap<String, Tensor>, RunError> {
        let bindings = bind(&self.signature.inputs, &inputs, &self.limits)?;
        measure::known(&self.plan, &bindings, &self.limits, self.resident_bytes)?;
        let at = Cell::new("inputs");
        let execute = || self.execute(inputs, &bindings, &at);
        match catch_unwind(AssertUnwindSafe(execute)) {
            Ok(result) => result,
            Err(_message) => Err(RunError::Panicked { node: at.get().to_owned() }),
        }
    }

    fn execute<'a>(
        &'a self,
        mut inputs: BTreeMap<String, Tensor>,
        bindings: &Bindings,
        at: &Cell<&'a str>,
    ) -> Result<BTreeMap<String, Tensor>, RunError> {
        let given = self.signature.inputs.iter().filter_map(|info| inputs.remove(&info.name));
        let resident = self.resident.clone();
        let mut run = Run::new(&self.plan, &self.limits, &self.device, resident, self.resident_bytes, given)?;
        for step in &self.plan.steps {
            at.set(&step.node);
            run.step(step)?;
        }
        at.set("outputs");
        run.outputs(&self.signature.outputs, bindings)
    }
}

/// What stays between requests, by slot, where its readers want it.
fn keep_resident<B: Backend>(plan: &Plan<B>, weights: &Weights, device: &B::Device) -> Vec<Option<Value<B>>> {
    let mut kept = vec![None; plan.facts.len()];
    for Resident { slot, source, on_backend } in &plan.resident {
        let array = match source {
            Source::Weight(name) => {
                let tensor = weights.tensor(name).expect("tracing took its type from the same file");
                Arc::new(Array::of_tensor(&tensor))
            }
            Source::Folded(array) => Arc::clone(array),
        };
        let host = Value::Host(array);
        let moved = if *on_backend { host.clone().into_backend(device).map(Value::Backend) } else { None };
        kept[*slot] = Some(moved.unwrap_or(host));
    }
    kept
}

impl<B: Backend> fmt::Debug for Model<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model")
            .field("signature", &self.signature)
            .field("steps", &self.plan.steps.len())
            .field("resident_bytes", &self.resident_bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "dynamic_tests.rs"]
mod dynamic_tests;
