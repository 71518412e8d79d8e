"""A model evaluated in double precision: onnx's reference evaluator, with products and windows of our own
where the evaluator takes minutes, and with eight-bit operators that it has in single precision only.

What a quantised model decides by rounding can be given: each decision is judged against the exact
value that was rounded, and what follows is computed from the decision as it was taken.
"""

import copy
from dataclasses import dataclass, field

import numpy
import onnx
from numpy.lib.stride_tricks import sliding_window_view
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from .cells import gru, lstm

#: Largest error of a value, in parts of the largest of its tensor: so near a tie either step is right.
BOUND = 1e-4
#: Multiplications up to which a convolution of ours is compared with the evaluator's.
COMPARED_MAX = 100_000
FLOAT, DOUBLE = onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE


@dataclass
class Decisions:
    """What was rounded to integers, and how."""

    #: Elements: all, and those that fell to the other side of a tie.
    elements: int = 0
    flips: int = 0
    #: What is wrong whichever way a tie falls.
    wrong: list[str] = field(default_factory=list)
    #: Least distance to a tie, in steps.
    nearest: float = 0.5


def in_double(model):
    """The same model with every float a double."""
    model = copy.deepcopy(model)
    for index, tensor in enumerate(model.graph.initializer):
        if tensor.data_type == FLOAT:
            wide = numpy_helper.from_array(numpy_helper.to_array(tensor).astype(numpy.float64), tensor.name)
            model.graph.initializer[index].CopyFrom(wide)
    for port in [*model.graph.input, *model.graph.output]:
        if port.type.tensor_type.elem_type == FLOAT:
            port.type.tensor_type.elem_type = DOUBLE
    del model.graph.value_info[:]
    for node in model.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == FLOAT:
                attribute.i = DOUBLE
            if node.op_type in ("Constant", "ConstantOfShape") and attribute.t.data_type == FLOAT:
                wide = numpy_helper.to_array(attribute.t).astype(numpy.float64)
                attribute.t.CopyFrom(numpy_helper.from_array(wide))
    return model


class Exact:
    """An evaluator for one model; building it costs more than most runs."""

    def __init__(self, model):
        self.outputs = [port.name for port in model.graph.output]
        self.evaluator = ReferenceEvaluator(in_double(model), new_ops=[*UNKNOWN])

    def run(self, request, given=None):
        """All outputs by name, and how integers were decided: as `given` says where it names them."""
        given, decisions = given or {}, Decisions()
        values = {"": None, **self.evaluator.rt_inits_}
        for name, value in request.items():
            values[name] = value.astype(numpy.float64) if value.dtype == numpy.float32 else value
        for node in self.evaluator.rt_nodes_:
            inputs = [values[name] for name in node.input]
            attributes = {one.name: helper.get_attribute_value(one) for one in node.onnx_node.attribute}
            if node.op_type in ROUNDING:
                made = ROUNDING[node.op_type](attributes, node.output, inputs, given, decisions)
            elif node.op_type in OWN:
                made = OWN[node.op_type](attributes, *inputs)
                if node.op_type == "Conv" and made[0].size * inputs[1][0].size <= COMPARED_MAX:
                    numpy.testing.assert_allclose(made[0], node.run(*inputs)[0], 1e-9, 1e-9)
            else:
                made = node.run(*inputs)
            values.update(zip(node.output, made))
        return {name: values[name] for name in self.outputs}, decisions


def quantize(attributes, outputs, inputs, given, decisions):
    x, scale, zero = inputs
    scale, zero = (along(value, x, attributes.get("axis", 1)) for value in (scale, zero))
    return [decided(outputs[0], x / scale, zero, given, decisions)]


def quantize_dynamic(_attributes, names, inputs, given, decisions):
    """The quantisation of DynamicQuantizeLinear, whose scale and zero point follow from the tensor."""
    low, high = min(0.0, inputs[0].min()), max(0.0, inputs[0].max())
    scale = (high - low) / 255
    taken = float(given.get(names[1], scale))
    if abs(taken - scale) > BOUND * scale:
        decisions.wrong.append(f"{names[1]} is {taken} and not {scale}")
    zero = decided(names[2], numpy.float64(-low / taken), numpy.uint8(0), given, decisions)
    return [decided(names[0], inputs[0] / taken, zero, given, decisions), numpy.float64(taken), zero]


def decided(name, steps, zero, given, decisions):
    """Rounds half to even (the operator's definition), or judges how it was rounded."""
    bounds = numpy.iinfo(zero.dtype)

    def shifted(rounded):
        return numpy.clip(rounded + zero.astype(numpy.float64), bounds.min, bounds.max).astype(zero.dtype)

    best, low, high = (shifted(rounded(steps)) for rounded in (numpy.rint, numpy.floor, numpy.ceil))
    distance = numpy.abs(steps - numpy.floor(steps) - 0.5)
    decisions.elements += best.size
    # Where both sides of the tie are clipped to the same there is nothing to decide.
    decisions.nearest = min(decisions.nearest, distance[low != high].min(initial=0.5) if best.ndim else 0.5)
    if name not in given:
        return best
    taken = given[name]
    if taken.dtype != best.dtype or taken.shape != best.shape:
        decisions.wrong.append(f"{name} is {taken.dtype} {taken.shape} and not {best.dtype} {best.shape}")
        return best
    is_free = (distance <= BOUND * numpy.abs(steps).max(initial=0)) & ((taken == low) | (taken == high))
    is_other = taken != best
    decisions.flips += int((is_other & is_free).sum())
    wrong = numpy.argwhere(is_other & ~is_free)
    if len(wrong):
        at = tuple(int(place) for place in wrong[0])
        exact = (steps + zero.astype(numpy.float64))[at]
        decisions.wrong.append(
            f"{len(wrong)} elements of {name} are wrong: {list(at)} is {taken[at]} for {exact:.6f} before rounding")
    return taken


def dequantize(attributes, x, scale, zero=None):
    axis = attributes.get("axis", 1)
    shift = 0 if zero is None else along(zero, x, axis).astype(numpy.float64)
    return [(x.astype(numpy.float64) - shift) * along(scale, x, axis)]


def along(value, x, axis):
    """One value, or one for each place on an axis."""
    if value.ndim == 0 or value.size == 1:
        return value.reshape(())
    shape = [1] * x.ndim
    shape[axis] = -1
    return value.reshape(shape)


def multiply_integers(_attributes, a, b, a_zero=None, b_zero=None):
    wide = [value.astype(numpy.int64) for value in (a, b)]
    if a_zero is not None:
        wide[0] = wide[0] - a_zero.astype(numpy.int64)
    if b_zero is not None:
        wide[1] = wide[1] - b_zero.astype(numpy.int64)
    # Doubles hold these sums exactly, and their product is a fast one.
    return [numpy.matmul(*(value.astype(numpy.float64) for value in wide)).astype(numpy.int32)]


def convolve(attributes, x, weight, bias=None):
    """Windows times weights; images in [batch, channels, rows, columns] without dilation."""
    assert set(attributes.get("dilations", [1])) == {1} and x.ndim == 4
    top, left, bottom, right = attributes.get("pads", [0] * 4)
    padded = numpy.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    row, column = attributes.get("strides", [1, 1])
    windows = sliding_window_view(padded, weight.shape[2:], axis=(2, 3))[:, :, ::row, ::column]
    batch, channels, rows, columns = windows.shape[:4]
    group = attributes.get("group", 1)
    windows = windows.reshape(batch, group, channels // group, rows, columns, -1)
    weights = weight.reshape(group, weight.shape[0] // group, channels // group, -1)
    made = numpy.einsum("bgcrsk,gock->bgors", windows, weights, optimize=True).reshape(batch, -1, rows, columns)
    return [made if bias is None else made + bias[:, None, None]]


def unknown(name):
    """The evaluator refuses versions of operators that it does not know before it is asked to run one."""
    return type(name, (OpRun,), {"op_domain": "", "_run": None, "__doc__": f"{name} is computed here."})


ROUNDING = {"QuantizeLinear": quantize, "DynamicQuantizeLinear": quantize_dynamic}
OWN = {"DequantizeLinear": dequantize, "MatMulInteger": multiply_integers, "Conv": convolve,
       "LSTM": lstm, "GRU": gru}
UNKNOWN = [unknown(name) for name in [*ROUNDING, "DequantizeLinear", "LSTM", "GRU"]]
