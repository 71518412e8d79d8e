//! A loaded model.

use std::{
    cell::Cell,
    collections::BTreeMap,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use burn::backend::{Backend, Flex};

use super::{
    limits::ExecLimits,
    measure::Measured,
    plan::{Plan, PlannedStep},
    request::{RunError, bind},
};
use crate::{
    artifact::Opened,
    check::GraphError,
    ir::{Graph, Signature, ValueInfo},
    ops::{Call, Value},
    tensor::Tensor,
    weights::Weights,
};

/// A model with its weights resident on a backend. Running it needs only `&self`, so one model can
/// answer on several threads at once; each run may take the memory of the limits.
pub struct Model<B: Backend = Flex> {
    signature: Signature,
    limits: ExecLimits,
    plan: Plan<B>,
    /// By slot; `None` for slots that are no resident weights.
    weights: Vec<Option<Value<B>>>,
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
        let sizes = plan.resident.iter().map(|(_, name)| {
            let info = infos[name.as_str()];
            info.shape.iter().fold(info.dtype.size_bytes(), |size, extent| size.saturating_mul(*extent))
        });
        let (needed, most) = (sizes.fold(0, u64::saturating_add), limits.memory_bytes_max);
        if needed > most {
            return Err(LoadError::Memory { needed, most });
        }
        let upload = || {
            let mut uploaded = vec![None; plan.types.len()];
            for (slot, name) in &plan.resident {
                let tensor = weights.tensor(name).expect("tracing took its type from the same file");
                uploaded[*slot] = Some(Value::upload(&tensor, &device));
            }
            uploaded
        };
        let weights = catch_unwind(AssertUnwindSafe(upload)).map_err(|_message| LoadError::Panicked)?;
        Ok(Self { signature: graph.signature.clone(), limits, plan, weights, resident_bytes: needed, device })
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
        let measured = Measured::of(&self.plan, &bindings, &self.limits, self.resident_bytes)?;
        let at = Cell::new("inputs");
        let execute = || self.execute(inputs, &measured, &at);
        match catch_unwind(AssertUnwindSafe(execute)) {
            Ok(result) => result,
            Err(_message) => Err(RunError::Panicked { node: at.get().to_owned() }),
        }
    }

    fn execute<'a>(
        &'a self,
        inputs: BTreeMap<String, Tensor>,
        measured: &Measured,
        at: &Cell<&'a str>,
    ) -> Result<BTreeMap<String, Tensor>, RunError> {
        let mut values = self.weights.clone();
        for (slot, info) in self.signature.inputs.iter().enumerate() {
            values[slot] = inputs.get(&info.name).map(|tensor| Value::upload(tensor, &self.device));
        }
        drop(inputs);
        for step in &self.plan.steps {
            at.set(&step.node);
            let made = apply(step, &mut values, &self.plan, measured)?;
            if !step.is_unused {
                values[step.output] = Some(made);
            }
        }
        at.set("outputs");
        let outputs = self.signature.outputs.iter().zip(&self.plan.outputs);
        let download =
            |(info, slot): (&ValueInfo, &usize)| Ok((info.name.clone(), present(&values[*slot]).download()?));
        outputs.map(download).collect::<Result<_, _>>().map_err(RunError::Backend)
    }
}

/// Runs one kernel on the values that it reads.
fn apply<B: Backend>(
    step: &PlannedStep<B>,
    values: &mut [Option<Value<B>>],
    plan: &Plan<B>,
    measured: &Measured,
) -> Result<Value<B>, RunError> {
    let read = |operand: &Option<super::plan::Operand>| {
        let operand = (*operand)?;
        if operand.is_last { values[operand.slot].take() } else { values[operand.slot].clone() }
    };
    let inputs = step.inputs.iter().map(read).collect();
    let expected = &measured.shapes[step.output];
    let call = Call {
        attributes: step.operator.schema.checked_attributes(&step.attributes),
        constants: &step.constants,
        dtype: plan.types[step.output].dtype,
        shape: expected,
    };
    let made = (step.operator.kernel)(&call, inputs);
    if made.shape() != *expected || made.dtype() != call.dtype {
        let (node, expected, got) = (step.node.clone(), expected.clone(), made.shape());
        return Err(RunError::Kernel { node, expected, got });
    }
    Ok(made)
}

fn present<B: Backend>(value: &Option<Value<B>>) -> Value<B> {
    value.clone().expect("every output is made and stays until the end")
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
