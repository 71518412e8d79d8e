//! Running the bodies of `If`, `Loop` and `Scan`.

use std::sync::Arc;

use burn::backend::Backend;

use super::{
    measure::within,
    plan::{PlannedBody, PlannedStep, Source},
    reading::bytes,
    request::RunError,
    run::Run,
    value::Value,
};
use crate::{
    array::{Array, strides},
    data::Data,
    ops::{Attributes, Control, Fault},
    tensor::{DType, RANK_MAX},
};

/// Most iterations of all loops of a request together. A guess far above any exported model's;
/// without a bound a condition that stays true would hold a worker for ever.
const ITERATIONS_MAX: u64 = 1 << 20;

/// Bytes that an element of a list takes beside its elements: its extents and the counts that share
/// it. Measured roughly.
const LISTED_BYTES: u64 = 128;

impl<B: Backend> Run<'_, B> {
    /// What a control-flow step makes, by position.
    pub(super) fn control(&mut self, step: &PlannedStep<B>, control: Control) -> Result<Vec<Value<B>>, RunError> {
        let first = step.bodies.iter().map(|body| body.captured.start).min().unwrap_or(step.inputs.len());
        let before = self.live_bytes();
        let mut values = self.operands(step);
        // What bodies read is held here until the last of them has run, so it counts until then; so do
        // copies of what lies in the arena.
        let taken = self.hold_back(before).saturating_add(self.copied(step));
        within(self.live_bytes(), 0, self.limits())?;
        let captured = values.split_off(first);
        let attributes = Attributes::checked(step.operator.attributes, &step.attributes);
        let node = Node { name: &step.node, bodies: &step.bodies, captured: &captured, first };
        let made = match control {
            Control::If => self.branch(&node, values),
            Control::Loop => self.repeat(&node, values),
            Control::Scan => self.scan(&node, values, &attributes),
        };
        self.let_go(taken);
        made
    }

    fn branch(&self, node: &Node<'_, B>, mut values: Vec<Option<Value<B>>>) -> Result<Vec<Value<B>>, RunError> {
        let condition = values.first_mut().and_then(Option::take).ok_or_else(|| node.refuse(Fault::Input("cond")))?;
        // With a constant condition only the branch that it chooses was planned.
        let body = if node.truth(condition)? || node.bodies.len() == 1 { 0 } else { 1 };
        self.body(node, body, Vec::new(), 0)
    }

    fn repeat(&self, node: &Node<'_, B>, mut values: Vec<Option<Value<B>>>) -> Result<Vec<Value<B>>, RunError> {
        values.resize(values.len().max(2), None);
        let carried: Vec<_> = values.split_off(2).into_iter().flatten().collect();
        let most = match values[0].take() {
            Some(count) => node.host(count)?.places().first().copied().ok_or_else(|| node.refuse(Fault::Input("M")))?,
            None => i64::MAX,
        };
        let mut goes_on = match values[1].take() {
            Some(condition) => node.truth(condition)?,
            None => true,
        };
        let states = carried.len();
        let mut carried = carried;
        let mut lists = Lists::default();
        let mut iteration = 0;
        while goes_on && iteration < most {
            if self.iterated() > ITERATIONS_MAX {
                return Err(node.refuse(Fault::Iterations));
            }
            let count = Array::of_places(Vec::new(), vec![iteration]);
            let condition = Array::of_ints(DType::Bool, Vec::new(), [1]);
            let mut given = vec![Value::Host(Arc::new(count)), Value::Host(Arc::new(condition))];
            given.append(&mut carried);
            let mut made = self.body(node, 0, given, lists.bytes)?.into_iter();
            goes_on = node.truth(made.next().ok_or_else(|| node.refuse(Fault::Input("body")))?)?;
            carried = made.by_ref().take(states).collect();
            self.collect(node, &mut lists, made)?;
            iteration += 1;
        }
        let types = node.element_types(1 + states);
        let axes = vec![0; types.len()];
        carried.extend(lists.joined(node, &types, &axes, &vec![false; types.len()])?);
        Ok(carried)
    }

    fn scan(
        &self,
        node: &Node<'_, B>,
        values: Vec<Option<Value<B>>>,
        attributes: &Attributes<'_>,
    ) -> Result<Vec<Value<B>>, RunError> {
        let refuse = |name| node.refuse(Fault::Input(name));
        let count =
            usize::try_from(attributes.int("num_scan_inputs")).map_err(|_negative| refuse("num_scan_inputs"))?;
        let mut carried: Vec<_> = values.into_iter().flatten().collect();
        let states = carried.len().checked_sub(count).ok_or_else(|| refuse("num_scan_inputs"))?;
        let sources = carried.split_off(states).into_iter().map(|value| node.host(value));
        let sources: Vec<_> = sources.collect::<Result<_, _>>()?;
        let types = node.element_types(states);
        let list = |name: &'static str, length: usize| match attributes.ints(name) {
            None => Ok(vec![0; length]),
            Some(given) if given.len() == length => Ok(given.to_vec()),
            Some(_) => Err(node.refuse(Fault::Input(name))),
        };
        let (axes, backwards) = (list("scan_input_axes", count)?, list("scan_input_directions", count)?);
        let (made_axes, made_backwards) =
            (list("scan_output_axes", types.len())?, list("scan_output_directions", types.len())?);
        let axis = |array: &Array, axis: i64| {
            crate::ops::axis(axis, array.rank()).map_err(|_outside| refuse("scan_input_axes"))
        };
        let axes: Vec<_> = sources.iter().zip(axes).map(|(array, at)| axis(array, at)).collect::<Result<_, _>>()?;
        let mut lengths = sources.iter().zip(&axes).map(|(array, axis)| array.shape()[*axis]);
        let length = lengths.next().unwrap_or(0);
        if lengths.any(|other| other != length) {
            return Err(refuse("initial_state_and_scan_inputs"));
        }
        let mut lists = Lists::default();
        for iteration in 0..length {
            if self.iterated() > ITERATIONS_MAX {
                return Err(node.refuse(Fault::Iterations));
            }
            let mut given = std::mem::take(&mut carried);
            for ((array, axis), backwards) in sources.iter().zip(&axes).zip(&backwards) {
                let at = if *backwards == 1 { length - 1 - iteration } else { iteration };
                given.push(Value::Host(Arc::new(slice(array, *axis, at))));
            }
            let mut made = self.body(node, 0, given, lists.bytes)?.into_iter();
            carried = made.by_ref().take(states).collect();
            self.collect(node, &mut lists, made)?;
        }
        let reversed: Vec<_> = made_backwards.iter().map(|backwards| *backwards == 1).collect();
        carried.extend(lists.joined(node, &types, &made_axes, &reversed)?);
        Ok(carried)
    }

    /// Runs a body once.
    fn body(
        &self,
        node: &Node<'_, B>,
        index: usize,
        given: Vec<Value<B>>,
        listed_bytes: u64,
    ) -> Result<Vec<Value<B>>, RunError> {
        let PlannedBody { plan, captured } = &node.bodies[index];
        let mut values = vec![None; plan.facts.len()];
        for resident in &plan.resident {
            if let Source::Known(array) = &resident.source {
                values[resident.slot] = Some(Value::Host(Arc::clone(array)));
            }
        }
        let outside = &node.captured[captured.start - node.first..captured.end - node.first];
        let outside = outside.iter().map(|value| value.clone().expect("what a body reads is made before"));
        let mut live = self.live_bytes().saturating_add(listed_bytes);
        for (slot, value) in plan.entry.iter().zip(given.into_iter().chain(outside)) {
            live = live.saturating_add(bytes(&value));
            values[*slot] = Some(value);
        }
        let mut run = self.inside(plan, values, live);
        for step in &plan.steps {
            run.step(step)?;
        }
        Ok(run.wanted())
    }

    /// Appends an element to each list, within the memory that is left.
    fn collect(
        &self,
        node: &Node<'_, B>,
        lists: &mut Lists,
        made: impl Iterator<Item = Value<B>>,
    ) -> Result<(), RunError> {
        for (position, value) in made.enumerate() {
            lists.bytes = lists.bytes.saturating_add(bytes(&value)).saturating_add(LISTED_BYTES);
            // Once as elements and once joined.
            within(self.live_bytes(), lists.bytes.saturating_mul(2), self.limits())?;
            let array = node.host(value)?;
            if lists.elements.len() == position {
                lists.elements.push(Vec::new());
            }
            lists.elements[position].push(array);
        }
        Ok(())
    }
}

/// What a control-flow step looks at.
struct Node<'a, B: Backend> {
    name: &'a str,
    bodies: &'a [PlannedBody<B>],
    captured: &'a [Option<Value<B>>],
    /// Position of the first captured value among the inputs.
    first: usize,
}

impl<B: Backend> Node<'_, B> {
    fn refuse(&self, source: Fault) -> RunError {
        RunError::Refused { node: self.name.to_owned(), source }
    }

    fn host(&self, value: Value<B>) -> Result<Arc<Array>, RunError> {
        value.into_host().map_err(RunError::Backend)
    }

    /// A condition: exactly one truth value.
    fn truth(&self, value: Value<B>) -> Result<bool, RunError> {
        match self.host(value)?.truths().as_slice() {
            [truth] => Ok(*truth),
            _ => Err(self.refuse(Fault::Input("cond"))),
        }
    }

    /// Element types of what the first body makes, from a position on.
    fn element_types(&self, first: usize) -> Vec<(DType, Option<Vec<usize>>)> {
        let plan = &self.bodies[0].plan;
        let known = |slot: &usize| {
            let fact = &plan.facts[*slot];
            (fact.dtype, fact.extents())
        };
        plan.outputs[first..].iter().map(known).collect()
    }
}

/// Elements that iterations append to lists.
#[derive(Default)]
struct Lists {
    elements: Vec<Vec<Arc<Array>>>,
    bytes: u64,
}

impl Lists {
    /// Joins each list along a dimension of its own.
    fn joined<B: Backend>(
        self,
        node: &Node<'_, B>,
        types: &[(DType, Option<Vec<usize>>)],
        axes: &[i64],
        backwards: &[bool],
    ) -> Result<Vec<Value<B>>, RunError> {
        let mut elements = self.elements;
        elements.resize_with(types.len(), Vec::new);
        let mut joined = Vec::with_capacity(types.len());
        for (((list, (dtype, known)), axis), backwards) in elements.into_iter().zip(types).zip(axes).zip(backwards) {
            let shape = match list.first() {
                Some(first) => first.shape().to_vec(),
                // Without any element only the check of the graph can tell its extents.
                None => known.clone().ok_or_else(|| node.refuse(Fault::Input("body")))?,
            };
            let axis =
                crate::ops::axis(*axis, shape.len() + 1).map_err(|_outside| node.refuse(Fault::Input("body")))?;
            if shape.len() == RANK_MAX || list.iter().any(|array| array.shape() != shape) {
                return Err(node.refuse(Fault::Input("body")));
            }
            joined.push(Value::Host(Arc::new(stacked(list, *dtype, shape, axis, *backwards))));
        }
        Ok(joined)
    }
}

fn stacked(mut list: Vec<Arc<Array>>, dtype: DType, mut shape: Vec<usize>, axis: usize, backwards: bool) -> Array {
    if backwards {
        list.reverse();
    }
    let inner: usize = shape[axis..].iter().product();
    let outer: usize = shape[..axis].iter().product();
    let mut all = Data::of_ints(dtype, std::iter::empty());
    list.iter().for_each(|array| all.extend(array.data()));
    shape.insert(axis, list.len());
    let rows = (0..outer).flat_map(|row| (0..list.len()).map(move |at| (at * outer + row) * inner));
    let picked = all.pick(rows.flat_map(|start| start..start + inner));
    Array::new(shape, picked)
}

/// The part of a tensor at one place along an axis, without that axis.
fn slice(array: &Array, axis: usize, at: usize) -> Array {
    let steps = strides(array.shape());
    let mut shape = array.shape().to_vec();
    shape.remove(axis);
    let mut left = steps.clone();
    left.remove(axis);
    let places = crate::array::Places::new(&shape, left).map(|place| place + at * steps[axis]);
    array.pick(shape.clone(), places)
}
