"""Writes a trained network as ONNX, and held-out inputs with the outputs expected of them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from net import Array, Conv3x3, Dense, Flatten, MaxPool2x2, Network, Relu, Standardise

OPSET = 17
IR_VERSION = 8  # The version that belongs to opset 17; older runtimes refuse later ones.


@dataclass(frozen=True)
class Signature:
    """What callers of a model rely on; shapes leave out the batch axis, which comes first."""

    model: str
    source: str
    source_shape: list[int]
    result: str
    result_shape: list[int]
    about: str


class Graph:
    """An ONNX graph under construction: a chain, where each node reads the one before."""

    def __init__(self, tail: str) -> None:
        self.tail = tail
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def push(self, operator: str, constants: dict[str, Array] | None = None, **attributes: Any) -> None:
        """Appends a node named after its operator and place, with its constant inputs."""
        name = f"{operator.lower()}_{len(self.nodes)}"
        inputs = [self.tail]
        for role, value in (constants or {}).items():
            inputs.append(f"{name}.{role}")
            self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), inputs[-1]))
        self.nodes.append(helper.make_node(operator, inputs, [name], name, **attributes))
        self.tail = name

    def finish(self, output: str) -> None:
        """Gives the last node's result the name of the graph's output."""
        self.nodes[-1].output[0] = output
        self.tail = output


def lower(graph: Graph, network: Network) -> None:
    for layer in network.layers:
        match layer:
            case Conv3x3():
                tensors = {"weight": layer.weight.value, "bias": layer.bias.value}
                graph.push("Conv", tensors, kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1])
            case Dense():
                tensors = {"weight": layer.weight.value, "bias": layer.bias.value}
                graph.push("Gemm", tensors, transB=1)
            case MaxPool2x2():
                graph.push("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
            case Relu():
                graph.push("Relu")
            case Flatten():
                graph.push("Flatten", axis=1)
            case Standardise():
                graph.push("Sub", {"mean": layer.mean})
                graph.push("Div", {"deviation": layer.deviation})
            case _:
                raise TypeError(f"no ONNX operator is known for {type(layer).__name__}")
    if network.mode == "softmax":
        graph.push("Softmax", axis=1)
    else:
        graph.push("Sigmoid")


def write_model(path: Path, network: Network, signature: Signature) -> None:
    graph = Graph(signature.source)
    lower(graph, network)
    graph.finish(signature.result)
    proto = helper.make_graph(
        graph.nodes,
        signature.model,
        [value_info(signature.source, signature.source_shape)],
        [value_info(signature.result, signature.result_shape)],
        graph.initializers,
        doc_string=signature.about,
    )
    model = helper.make_model(
        proto,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="hedgerow",
    )
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))


def value_info(name: str, shape: list[int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])


def run_model(path: Path, signature: Signature, rows: Array) -> Array:
    """The outputs of a file as onnxruntime computes them, on one thread and without fusing."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(None, {signature.source: rows})[0]


def check_agreement(expected: Array, actual: Array, tolerance: float = 1e-5) -> None:
    """The exported file must compute what was trained, or the export is wrong."""
    worst = float(np.abs(expected - actual).max())
    print(f"onnxruntime and the trained network differ by at most {worst:.1e} on {len(actual)} rows")
    if worst > tolerance:
        raise SystemExit(f"export is wrong: outputs differ by {worst}, allowed are {tolerance}")


def write_heldout(path: Path, signature: Signature, rows: Array, outputs: Array, labels: Array) -> None:
    """Inputs, onnxruntime's outputs and labels, as tensors of the Open Inference Protocol."""
    document = {
        "inputs": {signature.source: tensor(rows)},
        "outputs": {signature.result: tensor(outputs)},
        "labels": [int(label) for label in labels],
    }
    path.write_text(json.dumps(document, separators=(",", ":")) + "\n")


def tensor(values: Array) -> dict[str, object]:
    return {"dtype": "FP32", "shape": list(values.shape), "data": shortest(values)}


def shortest(values: Array) -> list[float]:
    """The shortest decimals that read back as the same 32-bit floats."""
    return [float(str(value)) for value in values.ravel()]
