"""Whole models with random weights from a fixed seed, and what onnxruntime makes of them.

    whole.py DIR      one folder per model below DIR/cases, as suite.py writes them

Every dimension that a caller may choose is a name, and shapes are computed inside the models as
exporters compute them, so that what is known at load and what only at a run both have their part.
An element may differ by 1e-4 of the largest of its model's outputs.
"""

import json
import pathlib
import sys

import numpy
import onnxruntime
from onnx import helper, numpy_helper

FLOAT, INT64 = 1, 7
NAMES = {numpy.dtype("float32"): "FP32", numpy.dtype("int64"): "INT64"}
RANDOM = numpy.random.default_rng(1)


class Graph:
    """Nodes and weights under construction; every method returns the name of what it adds."""

    def __init__(self):
        self.nodes, self.weights = [], []

    def constant(self, values, dtype=numpy.int64):
        name = f"c{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(numpy.array(values, dtype), name))
        return name

    def weight(self, *shape, scale=0.3):
        return self.constant(RANDOM.standard_normal(shape) * scale, numpy.float32)

    def node(self, op, *inputs, outputs=None, **attributes):
        outputs = outputs or [f"v{len(self.nodes)}"]
        self.nodes.append(helper.make_node(op, inputs, outputs, name=f"{op}_{len(self.nodes)}", **attributes))
        return outputs[0]

    def model(self, inputs, outputs):
        ports = [[helper.make_tensor_value_info(*port) for port in ports] for ports in (inputs, outputs)]
        graph = helper.make_graph(self.nodes, "whole", *ports, self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def decoder(width=16, heads=2, layers=2, words=50):
    """Causal transformer over token numbers, with shapes that follow from those of the input."""
    g = Graph()
    x = g.node("Gather", g.weight(words, width), "ids")
    shape = g.node("Shape", "ids")
    batch, steps = (g.node("Unsqueeze", g.node("Gather", shape, g.constant(at)), g.constant([0])) for at in (0, 1))
    split = g.node("Concat", batch, steps, g.constant([heads]), g.constant([width // heads]), axis=0)
    merge = g.node("Concat", batch, steps, g.constant([width]), axis=0)
    count = g.node("Squeeze", steps, g.constant([0]))
    places = g.node("Range", g.constant(0), count, g.constant(1))
    seen = g.node("LessOrEqual", places, g.node("Unsqueeze", places, g.constant([-1])))
    mask = g.node("Where", seen, g.constant(0, numpy.float32), g.constant(-1e9, numpy.float32))
    for _ in range(layers):
        normal = g.node("LayerNormalization", x, g.weight(width, scale=1), g.weight(width), axis=-1)
        q, k, v = (
            g.node("Transpose", g.node("Reshape", g.node("Add", g.node("MatMul", normal, g.weight(width, width)),
                                                         g.weight(width)), split), perm=order)
            for order in ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]))
        scores = g.node("Div", g.node("MatMul", q, k), g.constant((width // heads) ** 0.5, numpy.float32))
        heads_out = g.node("MatMul", g.node("Softmax", g.node("Add", scores, mask), axis=-1), v)
        joined = g.node("Reshape", g.node("Transpose", heads_out, perm=[0, 2, 1, 3]), merge)
        x = g.node("Add", x, g.node("MatMul", joined, g.weight(width, width)))
        inner = g.node("MatMul", x, g.weight(width, 2 * width))
        erf = g.node("Erf", g.node("Div", inner, g.constant(2 ** 0.5, numpy.float32)))
        gelu = g.node("Mul", g.node("Mul", inner, g.node("Add", erf, g.constant(1, numpy.float32))),
                      g.constant(0.5, numpy.float32))
        x = g.node("Add", x, g.node("MatMul", gelu, g.weight(2 * width, width)))
    g.node("MatMul", x, g.weight(width, words), outputs=["logits"])
    g.node("ArgMax", "logits", outputs=["best"], axis=-1, keepdims=0)
    g.node("TopK", "logits", g.constant([3]), outputs=["values", "likely"], axis=-1)
    model = g.model([("ids", INT64, ["batch", "steps"])],
                    [("logits", FLOAT, ["batch", "steps", words]), ("best", INT64, ["batch", "steps"]),
                     ("likely", INT64, ["batch", "steps", 3])])
    return model, [{"ids": RANDOM.integers(0, words, shape)} for shape in ((2, 5), (1, 9), (3, 1))]


def recurrent(hidden=8, features=4):
    """LSTM in both directions with a head on every step."""
    g = Graph()
    g.node("LSTM", "x", g.weight(2, 4 * hidden, features), g.weight(2, 4 * hidden, hidden), g.weight(2, 8 * hidden),
           outputs=["y", "", "state"], hidden_size=hidden, direction="bidirectional")
    rows = g.node("Reshape", g.node("Transpose", "y", perm=[0, 2, 1, 3]), g.constant([0, 0, -1]))
    g.node("MatMul", rows, g.weight(2 * hidden, 3), outputs=["scores"])
    model = g.model([("x", FLOAT, ["steps", "batch", features])],
                    [("scores", FLOAT, ["steps", "batch", 3]), ("state", FLOAT, [2, "batch", hidden])])
    return model, [{"x": RANDOM.random(shape, dtype=numpy.float32)} for shape in ((5, 2, features), (1, 1, features))]


def detector():
    """Convolution, upsampling and a head that keeps the boxes that do not overlap."""
    g = Graph()
    down = g.node("Conv", "image", g.weight(8, 3, 3, 3, scale=1), pads=[1, 1, 1, 1], strides=[2, 2])
    active = g.node("Mul", down, g.node("Sigmoid", down))
    up = g.node("Resize", active, "", g.constant([1, 1, 2, 2], numpy.float32), mode="nearest", nearest_mode="floor",
                coordinate_transformation_mode="asymmetric", outputs=["up"])
    joined = g.node("Concat", up, "image", axis=1)
    corners = g.node("Slice", joined, g.constant([0]), g.constant([4]), g.constant([1]))
    boxes = g.node("Transpose", g.node("Reshape", corners, g.constant([0, 4, -1])), perm=[0, 2, 1])
    scores = g.node("Reshape", g.node("ReduceMax", joined, axes=[1], keepdims=1), g.constant([0, 1, -1]))
    g.node("NonMaxSuppression", boxes, scores, g.constant([5]), g.constant([0.4], numpy.float32), outputs=["kept"])
    model = g.model([("image", FLOAT, ["batch", 3, "rows", "columns"])],
                    [("kept", INT64, ["found", 3]), ("up", FLOAT, ["batch", 8, "tall", "wide"])])
    return model, [{"image": RANDOM.random(shape, dtype=numpy.float32)} for shape in ((1, 3, 8, 8), (2, 3, 16, 12))]


def write(folder, name, model, requests):
    """A case as suite.py writes them, with onnxruntime's outputs as what is expected."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    data, sets, largest = bytearray(), [], 0.0

    def stored(port, value):
        value = numpy.ascontiguousarray(value)
        start = len(data)
        data.extend(value.tobytes())
        return {"name": port, "dtype": NAMES[value.dtype], "shape": list(value.shape), "start": start,
                "bytes": value.nbytes}

    for request in requests:
        outputs = session.run(None, request)
        largest = max([largest, *(numpy.abs(value).max(initial=0) for value in outputs if value.dtype == numpy.float32)])
        sets.append({
            "inputs": [stored(*pair) for pair in request.items()],
            "outputs": [stored(port.name, value) for port, value in zip(session.get_outputs(), outputs)],
        })
    here = folder / "cases" / name
    here.mkdir(parents=True, exist_ok=True)
    (here / "model.onnx").write_bytes(model.SerializeToString())
    (here / "data.bin").write_bytes(data)
    (here / "case.json").write_text(json.dumps({
        "operator": name, "class": "whole", "rtol": 0, "atol": 1e-4 * float(largest), "sets": sets,
    }))


if __name__ == "__main__":
    for build in (decoder, recurrent, detector):
        write(pathlib.Path(sys.argv[1]), build.__name__, *build())
