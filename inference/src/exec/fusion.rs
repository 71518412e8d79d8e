//! Steps that become one before a plan is made, for the host's kernels.
//!
//! - An activation that only bounds results (`Relu`, `Clip` with constant bounds) is done by the product
//!   or convolution in front of it, while the sums are still in registers.
//! - The exact Gelu, which exporters before opset 20 write as five operators around `Erf`, becomes one
//!   pass over memory instead of five.
//!
//! Only values that nothing else reads disappear.

use crate::{
    ir::OperatorId,
    ops::{self, Attributes, Fact, Inference, host},
    tensor::DType,
    trace::{Step, Trace},
};

pub(super) use crate::ops::host::Bounds;

/// What was made one step of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fusion {
    /// The node that is left.
    pub node: String,
    /// What it does now, for example `Conv + Relu`.
    pub made: String,
    /// The nodes that it stands for, itself included.
    pub nodes: Vec<String>,
}

/// Steps after fusing, with the bounds that each puts on its results.
pub(super) struct Fused {
    pub(super) steps: Vec<(Step, Option<Bounds>)>,
    pub(super) fusions: Vec<Fusion>,
}

impl Fused {
    /// Nothing is fused.
    pub(super) fn none(steps: Vec<Step>) -> Self {
        Self { steps: steps.into_iter().map(|step| (step, None)).collect(), fusions: Vec::new() }
    }

    /// Fuses the steps of a trace of which some slots are wanted at the end.
    pub(super) fn of(trace: &mut Trace, wanted: &[usize]) -> Self {
        let mut pass = Pass::new(std::mem::take(&mut trace.steps), &trace.facts, wanted);
        for at in 0..pass.steps.len() {
            pass.gelu(at);
        }
        for at in 0..pass.steps.len() {
            pass.bounds(at);
        }
        let Pass { steps, bounds, fusions, .. } = pass;
        let left = steps.into_iter().zip(bounds);
        Self { steps: left.filter_map(|(step, bounds)| Some((step?, bounds))).collect(), fusions }
    }
}

/// Steps in the middle of fusing. A step that has become part of another is gone.
struct Pass<'a> {
    steps: Vec<Option<Step>>,
    bounds: Vec<Option<Bounds>>,
    facts: &'a [Fact],
    /// By slot: the step that makes it, and how often it is read.
    maker: Vec<Option<usize>>,
    readings: Vec<usize>,
    fusions: Vec<Fusion>,
}

impl<'a> Pass<'a> {
    fn new(steps: Vec<Step>, facts: &'a [Fact], wanted: &[usize]) -> Self {
        let (mut maker, mut readings) = (vec![None; facts.len()], vec![0; facts.len()]);
        for (at, step) in steps.iter().enumerate() {
            step.outputs.iter().flatten().for_each(|slot| maker[*slot] = Some(at));
            step.inputs.iter().flatten().for_each(|slot| readings[*slot] += 1);
        }
        wanted.iter().for_each(|slot| readings[*slot] += 1);
        let bounds = vec![None; steps.len()];
        Self { steps: steps.into_iter().map(Some).collect(), bounds, facts, maker, readings, fusions: Vec::new() }
    }

    fn named(&self, at: usize, name: &str) -> Option<&Step> {
        self.steps[at].as_ref().filter(|step| step.operator.domain.is_empty() && step.operator.name == name)
    }

    /// The step of a name that makes a slot which nothing but one reader reads.
    fn only_maker(&self, slot: usize, name: &str) -> Option<usize> {
        let at = self.maker[slot]?;
        let is_alone = self.readings[slot] == 1 && self.named(at, name)?.outputs.len() == 1;
        is_alone.then_some(at)
    }

    /// The other operand of a step of two, when one is a constant near a number.
    fn beside(&self, step: &Step, number: f32) -> Option<usize> {
        let &[Some(left), Some(right)] = &step.inputs[..] else { return None };
        let is_number = |slot: usize| self.constant(slot).is_some_and(|value| (value / number - 1.0).abs() < 1e-6);
        if is_number(right) {
            Some(left)
        } else if is_number(left) {
            Some(right)
        } else {
            None
        }
    }

    /// The value of a slot that is a constant of a single `FP32` element.
    fn constant(&self, slot: usize) -> Option<f32> {
        let content = self.facts[slot].content.as_ref()?;
        let is_single = content.len() == 1 && content.dtype() == DType::F32;
        is_single.then(|| content.floats()[0] as f32)
    }

    /// `x · (1 + erf(x / √2)) · ½`, with the half at either end.
    fn gelu(&mut self, at: usize) -> Option<()> {
        let last = self.named(at, "Mul")?;
        let (whole, is_half_last) = match self.beside(last, 0.5) {
            Some(slot) => (self.only_maker(slot, "Mul")?, true),
            None => (at, false),
        };
        let &[Some(left), Some(right)] = &self.steps[whole].as_ref()?.inputs[..] else { return None };
        // One side is x or half of it, the other the sum.
        let (plain, sum) = [(left, right), (right, left)]
            .into_iter()
            .find_map(|(plain, sum)| Some((plain, self.only_maker(sum, "Add")?)))?;
        let erf = self.only_maker(self.beside(self.named(sum, "Add")?, 1.0)?, "Erf")?;
        let scaled = self.named(erf, "Erf")?.inputs[0]?;
        let (scale, x) = match self.only_maker(scaled, "Div") {
            Some(scale) => {
                let step = self.named(scale, "Div")?;
                let &[Some(x), Some(divisor)] = &step.inputs[..] else { return None };
                let divisor = self.constant(divisor)?;
                (scale, ((divisor / std::f32::consts::SQRT_2 - 1.0).abs() < 1e-6).then_some(x)?)
            }
            None => {
                let scale = self.only_maker(scaled, "Mul")?;
                (scale, self.beside(self.named(scale, "Mul")?, std::f32::consts::FRAC_1_SQRT_2)?)
            }
        };
        let mut gone = vec![scale, erf, sum];
        if is_half_last {
            gone.push(whole);
            (plain == x).then_some(())?;
        } else {
            let half = self.only_maker(plain, "Mul")?;
            (self.beside(self.named(half, "Mul")?, 0.5)? == x).then_some(())?;
            gone.push(half);
        }
        let made = self.steps[at].as_ref()?.outputs.first().copied().flatten()?;
        // Constants with dimensions of their own could add some.
        let keeps_shape = self.facts[x].shape.is_some() && self.facts[x].shape == self.facts[made].shape;
        if self.facts[x].dtype != DType::F32 || !keeps_shape {
            return None;
        }
        self.replace(at, x, &gone)
    }

    /// Makes a step the operator `Gelu`, in place of several others.
    fn replace(&mut self, at: usize, x: usize, gone: &[usize]) -> Option<()> {
        let id = OperatorId { domain: String::new(), name: "Gelu".to_owned(), version: 20 };
        let operator = ops::by_id(&id)?;
        let mut nodes: Vec<_> = gone.iter().filter_map(|at| Some(self.steps[*at].as_ref()?.node.clone())).collect();
        for at in gone {
            self.steps[*at] = None;
        }
        let step = self.steps[at].as_mut()?;
        nodes.push(step.node.clone());
        (step.operator, step.inputs) = (operator, vec![Some(x)]);
        step.attributes.clear();
        self.fusions.push(Fusion { node: step.node.clone(), made: "Gelu".to_owned(), nodes });
        // Every other reader of x is where it was; the two of the pattern are one now.
        self.readings[x] -= 1;
        Some(())
    }

    /// A product or convolution in front of a step that bounds.
    fn bounds(&mut self, at: usize) -> Option<()> {
        let step = self.steps[at].as_ref()?;
        let bounds = self.bounds_of(step)?;
        let (slot, name) = (step.inputs[0]?, step.operator.name);
        let front = ["Conv", "Gemm", "MatMul"].into_iter().find_map(|name| self.only_maker(slot, name))?;
        let before = self.steps[front].as_ref()?;
        if self.bounds[front].is_some() || !self.fits(before) {
            return None;
        }
        let made = format!("{} + {name}", before.operator.name);
        let nodes = vec![before.node.clone(), step.node.clone()];
        let output = step.outputs.clone();
        self.fusions.push(Fusion { node: before.node.clone(), made, nodes });
        // The result takes the place of the sums, where no later step has to wait for it.
        if let Some(Some(slot)) = output.first() {
            self.maker[*slot] = Some(front);
        }
        self.steps[front].as_mut()?.outputs = output;
        self.bounds[front] = Some(bounds);
        self.steps[at] = None;
        Some(())
    }

    fn bounds_of(&self, step: &Step) -> Option<Bounds> {
        if !step.operator.domain.is_empty() {
            return None;
        }
        let attributes = Attributes::checked(step.operator.attributes, &step.attributes);
        match step.operator.name {
            "Relu" => Some(Bounds { least: 0.0, most: f32::INFINITY }),
            "Clip" => {
                let bound = |name: &str, position: usize, missing: f32| {
                    if attributes.has(name) {
                        return Some(attributes.float(name) as f32);
                    }
                    match step.inputs.get(position).copied().flatten() {
                        Some(slot) => self.constant(slot),
                        None => Some(missing),
                    }
                };
                let least = bound("min", 1, f32::NEG_INFINITY)?;
                Some(Bounds { least, most: bound("max", 2, f32::INFINITY)? })
            }
            _ => None,
        }
    }

    /// Whether the host's kernel for a step will run whatever a request brings.
    fn fits(&self, step: &Step) -> bool {
        let Some(kernel) = host::kernel(step.operator) else { return false };
        let attributes = Attributes::checked(step.operator.attributes, &step.attributes);
        let inputs: Vec<_> = step.inputs.iter().map(|slot| slot.map(|slot| self.facts[slot].clone())).collect();
        (kernel.fits)(&Inference { attributes, inputs: &inputs, asked: step.outputs.len() })
    }
}

#[cfg(test)]
#[path = "fusion_tests.rs"]
mod tests;
