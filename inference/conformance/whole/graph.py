"""ONNX graphs under construction, with random weights of a fixed seed."""

import zlib
from dataclasses import dataclass, field

import numpy
import onnx
from onnx import helper, numpy_helper

FLOAT, INT32, INT64 = (
    onnx.TensorProto.FLOAT, onnx.TensorProto.INT32, onnx.TensorProto.INT64)
OPSET = 17
LEARNING = "ai.onnx.ml"


@dataclass
class Whole:
    """A model with requests to it. The first request is the one that is timed."""

    model: onnx.ModelProto
    requests: list[dict[str, numpy.ndarray]]
    #: Whether its integers are made by quantising floats, so that a tie may be decided either way.
    is_quantised: bool = False
    #: Bound on what whole runs of a quantised model may differ by, in parts of the largest output: a
    #: tie that was decided otherwise moves all that follows.
    drift: float = field(default=0.0)


class Graph:
    """Nodes and weights; every method returns the name of what it adds."""

    def __init__(self, seed):
        self.random = numpy.random.default_rng(zlib.crc32(seed.encode()))
        self.nodes, self.weights = [], []

    def constant(self, values, dtype=numpy.int64):
        name = f"c{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(numpy.array(values, dtype), name))
        return name

    def float(self, values):
        return self.constant(values, numpy.float32)

    def weight(self, *shape, scale=0.3):
        return self.float(self.random.standard_normal(shape) * scale)

    def node(self, op, *inputs, outputs=None, **attributes):
        outputs = outputs or [f"v{len(self.nodes)}"]
        self.nodes.append(helper.make_node(op, inputs, outputs, name=f"{op}_{len(self.nodes)}", **attributes))
        return outputs[0]

    def linear(self, x, width_in, width_out, outputs=None):
        """x W + b; weights keep the variance of what goes through."""
        product = self.node("MatMul", x, self.weight(width_in, width_out, scale=width_in ** -0.5))
        return self.node("Add", product, self.weight(width_out, scale=0.1), outputs=outputs)

    def conv(self, x, channels_in, channels_out, kernel, stride=1, group=1, gain=2.0):
        """A convolution with the normalisation after it folded in, as exporters fold it (He et al. 2015)."""
        fan_in = channels_in // group * kernel * kernel
        weight = self.weight(channels_out, channels_in // group, kernel, kernel, scale=(gain / fan_in) ** 0.5)
        pads = [kernel // 2] * 4
        return self.node("Conv", x, weight, self.weight(channels_out, scale=0.1), kernel_shape=[kernel] * 2,
                         strides=[stride] * 2, pads=pads, group=group, dilations=[1, 1])

    def model(self, inputs, outputs, opset=OPSET, domains=()):
        ports = [[helper.make_tensor_value_info(*port) for port in ports] for ports in (inputs, outputs)]
        graph = helper.make_graph(self.nodes, "whole", *ports, self.weights)
        opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(*domain) for domain in domains)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        onnx.checker.check_model(model)
        return model


def named(seed):
    """Random numbers of a name."""
    return numpy.random.default_rng(zlib.crc32(f"{seed} requests".encode()))


def floats(random, *shape):
    return random.standard_normal(shape).astype(numpy.float32)
