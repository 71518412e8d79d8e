//! What a model does for requests of certain extents, and what that costs.

use std::collections::BTreeMap;

use burn::backend::Backend;

use super::{
    fusion::Fusion,
    measure::Size,
    model::Model,
    plan::{Kernel, PlannedStep},
    program::{Action, Program, known_size},
    request::RunError,
};
use crate::{ir::Dim, ops::Fact};

/// A model's work for requests of certain extents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// In the order in which they run.
    pub steps: Vec<ExplainedStep>,
    /// What was made one step of several.
    pub fusions: Vec<Fusion>,
    /// Bytes of the weights, which stay between requests.
    pub resident_bytes: u64,
    /// Bytes of the values that lie in planned memory, each place used again when its value has been
    /// read for the last time.
    pub planned_bytes: u64,
    /// Bytes of everything at the peak, as far as extents tell it.
    pub peak_bytes: u64,
}

/// One operator application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedStep {
    /// The node's name.
    pub node: String,
    /// The operator's name.
    pub operator: String,
    /// Which kernel runs it.
    pub kernel: KernelKind,
    /// Element type and extents of each result; `?` is not known before a request runs.
    pub results: Vec<String>,
    /// Multiply-adds of products and convolutions, elements made by all others; 0 where unknown.
    pub multiply_adds: u64,
    /// Bytes read and written; 0 where unknown.
    pub bytes: u64,
    /// Bytes that the kernel works with besides, as far as they are planned.
    pub scratch_bytes: u64,
}

/// What runs a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelKind {
    /// Nothing: its results follow from extents.
    Known,
    /// Nothing: its result is its input with other extents.
    Alias,
    /// A kernel of this crate for the processor, in planned memory.
    Host,
    /// burn's, on a device.
    Backend,
    /// The table's plain kernel, in memory of its own.
    Plain,
    /// Decided when it runs: a kernel for the processor where that fits, else the plain one.
    Open,
    /// Bodies of their own.
    Control,
}

impl KernelKind {
    /// A word for tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Known => "known",
            Self::Alias => "alias",
            Self::Host => "host",
            Self::Backend => "backend",
            Self::Plain => "plain",
            Self::Open => "open",
            Self::Control => "control",
        }
    }
}

impl<B: Backend> Model<B> {
    /// Explains the work for requests in which symbolic dimensions have these values, 1 where none is
    /// given, on so many threads.
    ///
    /// # Errors
    /// When such a request would be refused.
    pub fn explain(&self, symbols: &BTreeMap<String, u64>, threads: usize) -> Result<Explanation, RunError> {
        let dims = || self.signature().inputs.iter().flat_map(|info| &info.shape);
        let is_there = |symbol: &str| dims().any(|dim| matches!(dim, Dim::Symbol(name) if name == symbol));
        if let Some(symbol) = symbols.keys().find(|symbol| !is_there(symbol)) {
            return Err(RunError::UnknownSymbol { symbol: symbol.clone() });
        }
        let extent = |dim: &Dim| match dim {
            Dim::Fixed(extent) => Ok(*extent),
            Dim::Symbol(symbol) => {
                let got = symbols.get(symbol).copied().unwrap_or(1);
                let most = self.limits().symbol_max;
                let refused = || RunError::TooMany { symbol: symbol.clone(), got, most };
                (got <= most).then_some(got).ok_or_else(refused)
            }
        };
        let shape = |shape: &[Dim]| shape.iter().map(extent).collect::<Result<Vec<_>, _>>();
        let given = self.signature().inputs.iter().map(|info| shape(&info.shape)).collect::<Result<_, _>>()?;
        let program = self.program(given, threads)?;
        let mut steps = Vec::with_capacity(self.plan.steps.len());
        for (step, action) in self.plan.steps.iter().zip(&program.actions) {
            steps.push(self.explain_step(&program, step, action)?);
        }
        Ok(Explanation {
            steps,
            fusions: self.plan.fusions.clone(),
            resident_bytes: self.resident_bytes(),
            planned_bytes: program.arena_bytes as u64,
            peak_bytes: program.peak_bytes,
        })
    }

    fn explain_step(
        &self,
        program: &Program,
        step: &PlannedStep<B>,
        action: &Action,
    ) -> Result<ExplainedStep, RunError> {
        let results: Vec<_> = step.outputs.iter().flatten().map(|slot| &program.facts[*slot]).collect();
        let (kernel, scratch_bytes) = match (action, &step.kernel) {
            (Action::Known, _) => (KernelKind::Known, 0),
            (Action::Alias, _) => (KernelKind::Alias, 0),
            (Action::Host { scratch, .. }, _) => (KernelKind::Host, scratch.len() as u64),
            (Action::Open, _) if step.operator.control.is_some() => (KernelKind::Control, 0),
            (Action::Open, Kernel::Backend(_)) => (KernelKind::Backend, 0),
            (Action::Open, Kernel::Plain) => (KernelKind::Plain, 0),
            (Action::Open, Kernel::Host(..)) => (KernelKind::Open, 0),
        };
        let is_free = matches!(kernel, KernelKind::Known | KernelKind::Alias);
        let size = |fact: &Fact| known_size(fact, self.limits());
        let mut bytes: u64 = 0;
        let read = step.inputs.iter().flatten().map(|operand| &program.facts[operand.slot]);
        for fact in read.chain(results.iter().copied()).filter(|_| !is_free) {
            bytes = bytes.saturating_add(size(fact)?.bytes);
        }
        let made = results.iter().map(|fact| size(fact)).collect::<Result<Vec<Size>, _>>()?;
        let elements = made.iter().fold(0, |sum: u64, size| sum.saturating_add(size.elements));
        let multiply_adds = if is_free { 0 } else { elements.saturating_mul(terms(program, step)) };
        Ok(ExplainedStep {
            node: step.node.clone(),
            operator: step.operator.name.to_owned(),
            kernel,
            results: results.iter().map(ToString::to_string).collect(),
            multiply_adds,
            bytes,
            scratch_bytes,
        })
    }
}

/// Products that are added up for each element.
fn terms<B: Backend>(program: &Program, step: &PlannedStep<B>) -> u64 {
    let shape = |position: usize| {
        let operand = step.inputs.get(position).copied().flatten()?;
        program.facts[operand.slot].extents()
    };
    let count = match step.operator.name {
        "MatMul" | "MatMulInteger" | "QLinearMatMul" => shape(0).and_then(|a| a.last().copied()),
        "Gemm" => {
            shape(0).map(|a| a.iter().product::<usize>()).zip(program_rows(program, step)).map(|(a, rows)| a / rows)
        }
        "Conv" | "ConvInteger" => shape(1).map(|w| w.iter().skip(1).product()),
        "QLinearConv" => shape(3).map(|w| w.iter().skip(1).product()),
        _ => Some(1),
    };
    count.map_or(0, |count| count as u64)
}

/// Rows of the result of a product of matrices.
fn program_rows<B: Backend>(program: &Program, step: &PlannedStep<B>) -> Option<usize> {
    let slot = step.outputs.first().copied().flatten()?;
    program.facts[slot].extents()?.first().copied().filter(|rows| *rows > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        artifact::pack,
        exec::{ExecLimits, Isa},
        onnx::testing,
    };

    fn small() -> Model {
        let artifact = pack("small".parse().unwrap(), "1".parse().unwrap(), &testing::small()).unwrap();
        Model::load_for(&artifact.open().unwrap(), ExecLimits::default(), Isa::PLAIN).unwrap()
    }

    #[test]
    fn costs_follow_from_extents() {
        let explained = small().explain(&BTreeMap::from([("batch".to_owned(), 3)]), 1).unwrap();
        let step = |node: &str, operator: &str, bytes| ExplainedStep {
            node: node.to_owned(),
            operator: operator.to_owned(),
            kernel: KernelKind::Host,
            results: vec!["FP32 [3, 2]".to_owned()],
            multiply_adds: 6,
            bytes,
            scratch_bytes: 0,
        };
        let expected = Explanation {
            steps: vec![step("scale", "Mul", 24 + 8 + 24), step("add", "Add", 3 * 24)],
            fusions: vec![],
            resident_bytes: 8,
            planned_bytes: 3 * 64,
            peak_bytes: 8 + 3 * 64 + 24,
        };
        assert_eq!(explained, expected);
    }

    #[test]
    fn what_a_request_could_not_ask_is_refused() {
        let refused = small().explain(&BTreeMap::from([("batch".to_owned(), 257)]), 1).unwrap_err();
        assert_eq!(refused.to_string(), "dimension `batch` is 257, at most 256 are allowed");
        let unknown = small().explain(&BTreeMap::from([("bacth".to_owned(), 2)]), 1).unwrap_err();
        assert_eq!(unknown.to_string(), "no input of the model has a dimension `bacth`");
    }
}
