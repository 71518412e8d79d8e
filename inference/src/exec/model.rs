//! A loaded model.

use std::{
    cell::Cell,
    collections::{BTreeMap, VecDeque},
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use burn::backend::{Backend, Flex};

use super::{
    engine::Engine,
    fusion::Fusion,
    lane::Lane,
    limits::ExecLimits,
    plan::{Home, Packing, Plan, Resident, Source},
    program::{Action, Program},
    request::{RunError, bind},
    run::{Crew, Planned, Run},
    value::Value,
};
use crate::{
    array::Array,
    artifact::Opened,
    check::GraphError,
    data::Data,
    ir::{Graph, Signature},
    ops::{
        Bindings,
        host::{Isa, Packed, Team},
    },
    tensor::Tensor,
    weights::Weights,
};

/// Programs that are kept, the latest used first: for batches of a few sizes. A guess.
const PROGRAMS_MAX: usize = 4;

/// A model with its weights resident on a backend. Running it needs only `&self`, so one model can
/// answer on several threads at once; each run may take the memory of the limits.
pub struct Model<B: Backend = Flex> {
    signature: Signature,
    limits: ExecLimits,
    pub(super) plan: Plan<B>,
    /// By slot; `None` for values that each request makes.
    resident: Vec<Option<Value<B>>>,
    packed: Vec<Packed>,
    resident_bytes: u64,
    device: B::Device,
    programs: Mutex<VecDeque<Kept>>,
}

/// A program, for the extents of the inputs and the threads that it was made for.
struct Kept {
    extents: Vec<Vec<u64>>,
    threads: usize,
    program: Arc<Program>,
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
    /// A weight is larger than any tensor of a request may be; a node with a larger bound may load it.
    #[error("a weight has more than {most} elements")]
    Elements {
        /// The bound.
        most: u64,
    },
    /// The backend panicked while taking the weights; its message went to the panic hook.
    #[error("backend panicked while taking the weights")]
    Panicked,
}

impl Model<Flex> {
    /// Loads a model for the processor and its widest instruction set.
    pub fn load(opened: &Opened, limits: ExecLimits) -> Result<Self, LoadError> {
        Self::load_for(opened, limits, Isa::widest())
    }

    /// Loads a model for an instruction set of the processor. Which one it is decides the last bits of
    /// results, and nothing else does.
    pub fn load_for(opened: &Opened, limits: ExecLimits, isa: Isa) -> Result<Self, LoadError> {
        let device = <Flex as burn::backend::BackendTypes>::Device::default();
        Self::build(opened.graph(), opened.weights(), limits, Engine::Host(isa), device)
    }
}

impl<B: Backend> Model<B> {
    /// Loads a model on a device of any backend, to be run by burn's kernels where they fit.
    pub fn load_on(opened: &Opened, limits: ExecLimits, device: B::Device) -> Result<Self, LoadError> {
        Self::build(opened.graph(), opened.weights(), limits, Engine::Backend, device)
    }

    pub(crate) fn build(
        graph: &Graph,
        weights: &Weights,
        limits: ExecLimits,
        engine: Engine,
        device: B::Device,
    ) -> Result<Self, LoadError> {
        let limits = limits.tightened(&graph.limits);
        let plan = Plan::of(graph, weights, engine).map_err(LoadError::Graph)?;
        let (needed, most) = (resident_bytes(graph, &plan), limits.memory_bytes_max);
        if needed > most {
            return Err(LoadError::Memory { needed, most });
        }
        let largest = plan.resident.iter().filter_map(|resident| plan.facts[resident.slot].extents());
        let most = limits.elements_max;
        if largest.map(|shape| shape.iter().product::<usize>() as u64).any(|elements| elements > most) {
            return Err(LoadError::Elements { most });
        }
        let keep = || (keep_resident(&plan, weights, &device), pack(&plan, weights));
        let kept = catch_unwind(AssertUnwindSafe(keep)).map_err(|_message| LoadError::Panicked)?;
        let ((resident, packed), signature, programs) = (kept, graph.signature.clone(), Mutex::default());
        Ok(Self { signature, limits, plan, resident, packed, resident_bytes: needed, device, programs })
    }

    /// What callers give and get.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Bytes that the weights take as long as the model is loaded.
    pub fn resident_bytes(&self) -> u64 {
        self.resident_bytes
    }

    /// What was made one step of several when the model was loaded.
    pub fn fusions(&self) -> &[Fusion] {
        &self.plan.fusions
    }

    /// The limits that hold: the node's, tightened by the publisher's.
    pub fn limits(&self) -> &ExecLimits {
        &self.limits
    }

    /// Answers one request on the calling thread, whenever that is done.
    pub fn run(&self, inputs: BTreeMap<String, Tensor>) -> Result<BTreeMap<String, Tensor>, RunError> {
        self.run_in(&mut Lane::single(), inputs, None)
    }

    /// Answers one request with the threads and the memory of a lane, if it can be done by the deadline:
    /// that is looked at between operators, and between blocks of rows of large ones.
    pub fn run_in(
        &self,
        lane: &mut Lane,
        inputs: BTreeMap<String, Tensor>,
        deadline: Option<Instant>,
    ) -> Result<BTreeMap<String, Tensor>, RunError> {
        let bindings = bind(&self.signature.inputs, &inputs, &self.limits)?;
        let program = self.program(self.extents(&inputs), lane.threads())?;
        let team = Team::new(lane.threads(), deadline);
        let (limits, device, packed) = (&self.limits, &self.device, &self.packed[..]);
        let crew = Crew { limits, device, packed, team: &team };
        lane.enter(program.arena_bytes, |arena| {
            let at = Cell::new("inputs");
            let planned = Planned { program: &program, arena: &mut arena[..program.arena_bytes] };
            let execute = || self.execute(inputs, &bindings, &crew, planned, &at);
            match catch_unwind(AssertUnwindSafe(execute)) {
                Ok(result) => result,
                Err(_message) => Err(RunError::Panicked { node: at.get().to_owned() }),
            }
        })
    }

    /// Bytes that a request of these inputs takes at its peak, the resident weights included, as far as
    /// extents tell; what depends on elements comes on top and is compared with the limits as it is met.
    pub fn planned_bytes(&self, inputs: &BTreeMap<String, Tensor>, threads: usize) -> Result<u64, RunError> {
        bind(&self.signature.inputs, inputs, &self.limits)?;
        Ok(self.program(self.extents(inputs), threads)?.peak_bytes)
    }

    /// Extents of the inputs, in the order of the signature.
    fn extents(&self, inputs: &BTreeMap<String, Tensor>) -> Vec<Vec<u64>> {
        self.signature.inputs.iter().map(|info| inputs[&info.name].shape().to_vec()).collect()
    }

    /// The program for these extents, a kept one if there is one.
    pub(super) fn program(&self, extents: Vec<Vec<u64>>, threads: usize) -> Result<Arc<Program>, RunError> {
        let is_kept = |kept: &Kept| kept.threads == threads && kept.extents == extents;
        {
            let mut programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(at) = programs.iter().position(is_kept)
                && let Some(kept) = programs.remove(at)
            {
                let program = Arc::clone(&kept.program);
                programs.push_front(kept);
                return Ok(program);
            }
        }
        let make = || Program::of(&self.plan, &extents, &self.limits, self.resident_bytes, threads);
        let made = catch_unwind(AssertUnwindSafe(make));
        let program = Arc::new(made.unwrap_or_else(|_message| Err(RunError::Panicked { node: "extents".to_owned() }))?);
        let mut programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        programs.truncate(PROGRAMS_MAX - 1);
        programs.push_front(Kept { extents, threads, program: Arc::clone(&program) });
        Ok(program)
    }

    fn execute<'a>(
        &'a self,
        mut inputs: BTreeMap<String, Tensor>,
        bindings: &Bindings,
        crew: &'a Crew<'a, B>,
        planned: Planned<'a>,
        at: &Cell<&'a str>,
    ) -> Result<BTreeMap<String, Tensor>, RunError> {
        let given = self.signature.inputs.iter().filter_map(|info| inputs.remove(&info.name));
        let program = planned.program;
        let mut run = Run::new(&self.plan, crew, self.resident.clone(), self.resident_bytes, planned, given);
        for (step, action) in self.plan.steps.iter().zip(&program.actions) {
            at.set(&step.node);
            match action {
                Action::Known | Action::Alias => run.pass(step),
                Action::Host { call, scratch } => run.host_step(step, call, scratch)?,
                Action::Open => run.step(step)?,
            }
        }
        at.set("outputs");
        run.outputs(&self.signature.outputs, bindings)
    }
}

/// Bytes of everything that stays between requests.
fn resident_bytes<B: Backend>(graph: &Graph, plan: &Plan<B>) -> u64 {
    let infos: BTreeMap<_, _> = graph.weights.iter().map(|info| (info.name.as_str(), info)).collect();
    let size = |resident: &Resident| match &resident.source {
        Source::Weight(name) => {
            let info = infos[name.as_str()];
            info.shape.iter().fold(info.dtype.size_bytes(), |size, extent| size.saturating_mul(*extent))
        }
        Source::Known(array) => array.len() as u64 * array.dtype().size_bytes(),
    };
    let as_is = plan.all_resident().filter(|resident| resident.home != Home::Panels).map(size);
    let panels = plan.packings.iter().map(|packing| Packed::bytes(packing.isa, packing.inner, packing.columns));
    as_is.chain(panels).fold(0, u64::saturating_add)
}

/// The elements of something resident.
fn elements(source: &Source, weights: &Weights) -> Arc<Array> {
    match source {
        Source::Weight(name) => {
            let tensor = weights.tensor(name).expect("tracing took its type from the same file");
            Arc::new(Array::of_tensor(&tensor))
        }
        Source::Known(array) => Arc::clone(array),
    }
}

/// Constant matrices in panels, by their numbers.
fn pack<B: Backend>(plan: &Plan<B>, weights: &Weights) -> Vec<Packed> {
    let pack = |Packing { slot, isa, inner, columns, is_transposed }: &Packing| {
        let resident = plan.resident.iter().find(|resident| resident.slot == *slot);
        let array = elements(&resident.expect("only what is resident is packed").source, weights);
        let Data::F32(numbers) = array.data() else { unreachable!("only matrices of `FP32` are packed") };
        Packed::new(*isa, numbers, *inner, *columns, *is_transposed)
    };
    plan.packings.iter().map(pack).collect()
}

/// What stays between requests, by slot, where its readers want it.
fn keep_resident<B: Backend>(plan: &Plan<B>, weights: &Weights, device: &B::Device) -> Vec<Option<Value<B>>> {
    let mut kept = vec![None; plan.facts.len()];
    for Resident { slot, source, home } in &plan.resident {
        kept[*slot] = match home {
            Home::Panels => None,
            Home::Host => Some(Value::Host(elements(source, weights))),
            Home::Backend => {
                let host = Value::Host(elements(source, weights));
                let moved = host.clone().into_backend(device).map(Value::Backend);
                Some(moved.unwrap_or(host))
            }
        };
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
#[path = "charges_tests.rs"]
mod charges_tests;

#[cfg(test)]
#[path = "dynamic_tests.rs"]
mod dynamic_tests;
