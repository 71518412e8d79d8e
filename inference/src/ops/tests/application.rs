//! One application of an operator, run as any model is.

use std::{collections::BTreeMap, error::Error as _, sync::Arc};

use burn::backend::{BackendTypes, Flex};

use crate::{
    array::Array,
    exec::{Engine, ExecLimits, Isa, Model, RunError},
    ir::{Attribute, Dim, Graph, Limits, NamedAttribute, Node, Signature, ValueInfo, ValueName, WeightInfo},
    ops::{
        Attributes, Call, Extent, Fact, Fault, Inference, LEARNING, LEARNING_OPSET_MAX, OPSET_MAX, Operator,
        ShapeError, by_opset,
    },
    tensor::{DType, Tensor},
    trace::Trace,
    weights,
};

/// An operator, its attributes, and tensors by position.
pub(super) struct Case {
    pub(super) op: &'static str,
    pub(super) attributes: Vec<(&'static str, Attribute)>,
    pub(super) inputs: Vec<Option<Tensor>>,
    /// The latest, unless a case is about an earlier meaning.
    pub(super) opset: u32,
}

impl Case {
    /// On several tensors.
    pub(super) fn new(op: &'static str, inputs: &[Tensor]) -> Self {
        Self { op, attributes: Vec::new(), inputs: inputs.iter().cloned().map(Some).collect(), opset: OPSET_MAX }
    }

    /// On one tensor.
    pub(super) fn on(op: &'static str, input: &Tensor) -> Self {
        Self::new(op, std::slice::from_ref(input))
    }

    pub(super) fn at(self, opset: u32) -> Self {
        Self { opset, ..self }
    }

    pub(super) fn int(mut self, name: &'static str, value: i64) -> Self {
        self.attributes.push((name, Attribute::Int(value)));
        self
    }

    pub(super) fn float(mut self, name: &'static str, value: f32) -> Self {
        self.attributes.push((name, Attribute::Float(value)));
        self
    }

    pub(super) fn text(mut self, name: &'static str, value: &str) -> Self {
        self.attributes.push((name, Attribute::Text(value.into())));
        self
    }

    pub(super) fn floats(mut self, name: &'static str, values: &[f32]) -> Self {
        self.attributes.push((name, Attribute::Floats(values.to_vec())));
        self
    }

    pub(super) fn tensor(mut self, name: &'static str, value: &Tensor) -> Self {
        self.attributes.push((name, Attribute::Tensor(value.clone())));
        self
    }

    pub(super) fn ints(mut self, name: &'static str, values: &[i64]) -> Self {
        self.attributes.push((name, Attribute::Ints(values.to_vec())));
        self
    }

    /// What the operator makes, through the same check, plan and kernels as any model. What burn and
    /// every instruction set make must be the same but for roundings.
    pub(super) fn run(&self) -> Tensor {
        let engines = [Engine::Backend].into_iter().chain(Isa::all().into_iter().map(Engine::Host));
        let made: Vec<_> = engines.map(|engine| (engine, self.run_with(engine))).collect();
        let (_, last) = made.last().unwrap();
        for (engine, made) in &made {
            assert_eq!((made.dtype(), made.shape()), (last.dtype(), last.shape()), "{} with {engine:?}", self.op);
            let (made, last) = (Array::of_tensor(made).floats(), Array::of_tensor(last).floats());
            let is_near = |(a, b): (&f64, &f64)| {
                a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-5 * b.abs().max(1e-2)
            };
            assert!(made.iter().zip(&last).all(is_near), "{} with {engine:?}: {made:?} and {last:?}", self.op);
        }
        last.clone()
    }

    /// What it makes with one kind of kernels, and plain ones where those do not fit.
    pub(super) fn run_with(&self, engine: Engine) -> Tensor {
        let (graph, weights, inputs) = self.graph();
        let trace = Trace::of(&graph, &weights).unwrap();
        let made = &trace.facts[trace.slot("y").unwrap()];
        let shape = made.shape.as_ref().unwrap().iter().map(|extent| extent.to_dim().unwrap()).collect();
        let outputs = vec![ValueInfo { name: "y".into(), dtype: made.dtype, shape }];
        let graph = Graph { signature: Signature { outputs, ..graph.signature }, ..graph };
        let device = <Flex as BackendTypes>::Device::default();
        let model = Model::<Flex>::build(&graph, &weights, ExecLimits::default(), engine, device).unwrap();
        model.run(inputs).unwrap().remove("y").unwrap()
    }

    /// What the plain kernel makes, without checking, planning or a backend.
    pub(super) fn run_plainly(&self) -> Tensor {
        self.plainly(|made| made.unwrap()[0].to_tensor())
    }

    /// Every output that the plain kernel makes.
    pub(super) fn run_wholly(&self) -> Vec<Tensor> {
        self.plainly(|made| made.unwrap().iter().map(Array::to_tensor).collect())
    }

    /// Why the plain kernel refuses the elements, when it does.
    pub(super) fn plain_fault(&self) -> Option<Fault> {
        self.plainly(Result::err)
    }

    /// Why the shape function refuses the node once it knows every element, when it does.
    pub(super) fn misfit(&self) -> Option<ShapeError> {
        let operator = self.operator();
        let (graph, ..) = self.graph();
        let attributes = Attributes::check(operator.attributes, &graph.nodes[0].attributes).unwrap();
        let fact = |tensor: &Tensor| Fact::of_array(Arc::new(Array::of_tensor(tensor)));
        let inputs: Vec<_> = self.inputs.iter().map(|tensor| tensor.as_ref().map(fact)).collect();
        (operator.infer)(&Inference { attributes, inputs: &inputs, asked: 1 }).err()
    }

    fn plainly<T>(&self, read: impl FnOnce(Result<Vec<Array>, Fault>) -> T) -> T {
        let operator = self.operator();
        let (graph, ..) = self.graph();
        let attributes = Attributes::check(operator.attributes, &graph.nodes[0].attributes).unwrap();
        let inputs: Vec<_> =
            self.inputs.iter().map(|tensor| tensor.as_ref().map(|tensor| Arc::new(Array::of_tensor(tensor)))).collect();
        let facts: Vec<_> = inputs.iter().map(|array| array.clone().map(Fact::of_array)).collect();
        let inference = Inference { attributes, inputs: &facts, asked: 1 };
        let shapes = (operator.infer)(&inference).unwrap();
        let dtypes = operator.dtypes(&inference, shapes.len()).unwrap();
        let extents = |shape: &Vec<Extent>| shape.iter().map(|extent| extent.as_fixed().unwrap() as usize).collect();
        let outputs: Vec<_> = dtypes.into_iter().zip(shapes.iter().map(extents)).collect();
        let call = Call { attributes, inputs: &inputs, outputs: &outputs };
        read((operator.kernel)(&call))
    }

    /// Why a run refuses the elements.
    pub(super) fn fault(&self) -> Fault {
        let (graph, weights, inputs) = self.graph();
        let outputs =
            vec![ValueInfo { name: "y".into(), dtype: DType::F32, shape: vec![Dim::Fixed(3), Dim::Fixed(1)] }];
        let graph = Graph { signature: Signature { outputs, ..graph.signature }, ..graph };
        let device = <Flex as BackendTypes>::Device::default();
        let model =
            Model::<Flex>::build(&graph, &weights, ExecLimits::default(), Engine::Host(Isa::widest()), device).unwrap();
        match model.run(inputs) {
            Err(RunError::Refused { source, .. }) => source,
            other => panic!("{other:?}"),
        }
    }

    /// The entry of the name for the opset, in whichever domain.
    fn operator(&self) -> &'static Operator {
        let learnt = || by_opset(LEARNING, self.op, self.opset.min(LEARNING_OPSET_MAX));
        by_opset("", self.op, self.opset).or_else(learnt).unwrap()
    }

    /// The innermost reason why the operator is refused.
    pub(super) fn refusal(&self) -> String {
        let (graph, weights, _) = self.graph();
        let error = Trace::of(&graph, &weights).unwrap_err();
        error.source().map_or_else(|| error.to_string(), ToString::to_string)
    }

    fn graph(&self) -> (Graph, weights::Weights, BTreeMap<String, Tensor>) {
        let operator = self.operator();
        let mut constants = BTreeMap::new();
        let mut inputs = BTreeMap::new();
        for (position, tensor) in self.inputs.iter().enumerate() {
            let Some(tensor) = tensor.clone() else { continue };
            // Shapes and axes are known at load, everything else comes with the request.
            let is_constant = position > 0 && tensor.dtype() == DType::I64;
            let group = if is_constant { &mut constants } else { &mut inputs };
            group.insert(format!("i{position}"), tensor);
        }
        let describe = |(name, tensor): (&String, &Tensor)| ValueInfo {
            name: name.clone(),
            dtype: tensor.dtype(),
            shape: tensor.shape().iter().map(|extent| Dim::Fixed(*extent)).collect(),
        };
        let weights = weights::serialize(&constants);
        let mut attributes: Vec<_> = self
            .attributes
            .iter()
            .map(|(name, value)| NamedAttribute { name: (*name).into(), value: value.clone() })
            .collect();
        attributes.sort_by(|left, right| left.name.cmp(&right.name));
        let present =
            |(position, tensor): (usize, &Option<Tensor>)| tensor.as_ref().map(|_| ValueName(format!("i{position}")));
        let node = Node {
            name: "n".into(),
            operator: operator.id(),
            inputs: self.inputs.iter().enumerate().map(present).collect(),
            outputs: vec![Some(ValueName("y".into()))],
            attributes,
        };
        let graph = Graph {
            signature: Signature { inputs: inputs.iter().map(describe).collect(), outputs: vec![] },
            limits: Limits::default(),
            weights: weights.infos().collect::<Vec<WeightInfo>>(),
            nodes: vec![node],
            subgraphs: vec![],
        };
        (graph, weights, inputs)
    }
}

pub(super) fn floats(shape: &[u64], values: &[f32]) -> Tensor {
    Tensor::from_f32(shape.to_vec(), values).unwrap()
}

pub(super) fn ints(shape: &[u64], values: &[i64]) -> Tensor {
    Tensor::from_i64(shape.to_vec(), values).unwrap()
}

/// `from`, `from + 1`, … in a shape.
pub(super) fn range(shape: &[u64], from: u8) -> Tensor {
    let count: u64 = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|step| f32::from(from) + step as f32).collect();
    floats(shape, &values)
}
