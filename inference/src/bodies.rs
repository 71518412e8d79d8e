//! Bodies of control flow: what they take, what they make, and what is known of it.

use crate::{
    check::{GraphError, NodeFault},
    ir::{Subgraph, ValueName},
    ops::{Control, Extent, Fact, Inference, ShapeError},
    tensor::DType,
    trace::{Scopes, Trace},
};

/// A body, checked.
#[derive(Debug)]
pub(crate) struct Body {
    /// Its index among the bodies of the graph.
    pub(crate) index: u32,
    pub(crate) trace: Trace,
    /// Slots of what it takes.
    pub(crate) inputs: Vec<usize>,
    /// Slots of what it makes.
    pub(crate) outputs: Vec<usize>,
}

/// What is known of a control-flow node's outputs, and its bodies.
pub(crate) fn trace(
    scopes: &mut Scopes<'_>,
    control: Control,
    inference: &Inference<'_>,
) -> Result<(Vec<Fact>, Vec<Body>), NodeFault> {
    match control {
        Control::If => branches(scopes, inference),
        Control::Loop => repeated(scopes, inference),
        Control::Scan => scanned(scopes, inference),
    }
}

/// A value of which only the element type is known, because a body may change its extents.
fn open(dtype: DType) -> Fact {
    Fact { dtype, shape: None, content: None }
}

/// Checks one body whose inputs are of these types.
fn body(
    scopes: &mut Scopes<'_>,
    inference: &Inference<'_>,
    name: &'static str,
    inputs: Vec<Fact>,
) -> Result<Body, NodeFault> {
    let fault = |source| NodeFault::Body { name, source };
    let index = inference.attributes.graph(name);
    let subgraph = scopes.claim(index).ok_or_else(|| fault(None))?;
    let stated = subgraph.inputs.iter().map(|info| info.dtype);
    let agrees = !scopes.compares_types || stated.eq(inputs.iter().map(|fact| fact.dtype));
    if subgraph.inputs.len() != inputs.len() || !agrees {
        return Err(fault(None));
    }
    scopes.enter().map_err(|error| fault(Some(Box::new(error))))?;
    let traced = traced(scopes, subgraph, inputs);
    let trace = scopes.leave();
    let (inputs, outputs) = traced.map_err(|error| fault(error.map(Box::new)))?;
    Ok(Body { index, trace, inputs, outputs })
}

/// Slots of inputs and outputs.
type Ports = (Vec<usize>, Vec<usize>);

fn traced(scopes: &mut Scopes<'_>, subgraph: &Subgraph, inputs: Vec<Fact>) -> Result<Ports, Option<GraphError>> {
    let mut taken = Vec::with_capacity(inputs.len());
    for (info, fact) in subgraph.inputs.iter().zip(inputs) {
        taken.push(scopes.inner().define(&info.name, fact).map_err(Some)?);
    }
    for node in &subgraph.nodes {
        scopes.apply(node).map_err(Some)?;
    }
    let mut resolve = |ValueName(name): &ValueName| scopes.resolve(name).ok_or(None);
    let made = subgraph.outputs.iter().map(&mut resolve).collect::<Result<_, _>>()?;
    Ok((taken, made))
}

/// What is known of a body's outputs.
fn made(body: &Body) -> Vec<Fact> {
    body.outputs.iter().map(|slot| body.trace.facts[*slot].clone()).collect()
}

fn branches(scopes: &mut Scopes<'_>, inference: &Inference<'_>) -> Result<(Vec<Fact>, Vec<Body>), NodeFault> {
    let condition = inference.fact(0).content.as_ref().map(|condition| condition.truths());
    if let Some([truth]) = condition.as_deref() {
        // The other branch may be one that these shapes do not fit; it is never run.
        let (name, unread) = if *truth { ("then_branch", "else_branch") } else { ("else_branch", "then_branch") };
        let chosen = body(scopes, inference, name, Vec::new())?;
        let fault = || NodeFault::Body { name: unread, source: None };
        scopes.claim_unread(inference.attributes.graph(unread)).ok_or_else(fault)?;
        let facts = made(&chosen);
        return if facts.len() < inference.asked { Err(fault()) } else { Ok((facts, vec![chosen])) };
    }
    let chosen = body(scopes, inference, "then_branch", Vec::new())?;
    let other = body(scopes, inference, "else_branch", Vec::new())?;
    let (left, right) = (made(&chosen), made(&other));
    let same_types = left.iter().map(|fact| fact.dtype).eq(right.iter().map(|fact| fact.dtype));
    if !same_types || left.len() < inference.asked {
        return Err(NodeFault::Body { name: "else_branch", source: None });
    }
    let facts = left.into_iter().zip(right).map(|(left, right)| common(&left, &right)).collect();
    Ok((facts, vec![chosen, other]))
}

/// What holds of a value that is one or the other.
fn common(left: &Fact, right: &Fact) -> Fact {
    let shape = left.shape.as_ref().zip(right.shape.as_ref()).filter(|(left, right)| left.len() == right.len());
    let shape = shape.map(|(left, right)| {
        let either = |(left, right): (&Extent, &Extent)| if left == right { left.clone() } else { Extent::Unknown };
        left.iter().zip(right).map(either).collect()
    });
    Fact { shape, ..open(left.dtype) }
}

/// The body takes the number of the iteration, the condition and what is carried; it makes a
/// condition, what is carried on, and an element of each list.
fn repeated(scopes: &mut Scopes<'_>, inference: &Inference<'_>) -> Result<(Vec<Fact>, Vec<Body>), NodeFault> {
    let carried = carried_types(inference, 2)?;
    let mut inputs = vec![Fact { shape: Some(Vec::new()), ..open(DType::I64) }, open(DType::Bool)];
    inputs.extend(carried.iter().map(|dtype| open(*dtype)));
    let body = body(scopes, inference, "body", inputs)?;
    let types: Vec<_> = made(&body).into_iter().map(|fact| fact.dtype).collect();
    let expected = [&[DType::Bool], carried.as_slice()].concat();
    if !types.starts_with(&expected) || types.len() - 1 < inference.asked {
        return Err(NodeFault::Body { name: "body", source: None });
    }
    Ok((types[1..].iter().map(|dtype| open(*dtype)).collect(), vec![body]))
}

/// The body takes states and an element of each list; it makes states and elements of other lists.
fn scanned(scopes: &mut Scopes<'_>, inference: &Inference<'_>) -> Result<(Vec<Fact>, Vec<Body>), NodeFault> {
    let lists = usize::try_from(inference.attributes.int("num_scan_inputs")).ok();
    let all = carried_types(inference, 0)?;
    let states = lists.filter(|lists| *lists > 0).and_then(|lists| all.len().checked_sub(lists));
    let states = states.ok_or(NodeFault::Shape(ShapeError::Value { name: "num_scan_inputs" }))?;
    let body = body(scopes, inference, "body", all.iter().map(|dtype| open(*dtype)).collect())?;
    let types: Vec<_> = made(&body).into_iter().map(|fact| fact.dtype).collect();
    if !types.starts_with(&all[..states]) || types.len() < inference.asked {
        return Err(NodeFault::Body { name: "body", source: None });
    }
    Ok((types.into_iter().map(open).collect(), vec![body]))
}

/// Element types of the inputs from a position on, none of which may be left out.
fn carried_types(inference: &Inference<'_>, first: usize) -> Result<Vec<DType>, NodeFault> {
    let given = inference.inputs.get(first..).unwrap_or_default();
    let trailing = given.iter().rev().take_while(|fact| fact.is_none()).count();
    let types = given[..given.len() - trailing].iter().map(|fact| Some(fact.as_ref()?.dtype));
    types.collect::<Option<_>>().ok_or(NodeFault::MissingInput { input: "v_initial" })
}
