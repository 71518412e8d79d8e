"""The node cases of the ONNX backend test suite as files, and what onnxruntime makes of them.

    suite.py write DIR         one folder per case: model.onnx, case.json, data.bin
    suite.py onnxruntime DIR   DIR/onnxruntime.json: the names of the cases that onnxruntime passes

The cases come out of the onnx package itself (`onnx.backend.test.case.node`), with inputs and
expected outputs. Tensors are stored raw, little-endian, in the order of case.json. What has no
place in a raw tensor (strings, sequences, optionals) keeps its type name, so that the runner can
tell that it was never asked to run such a case.
"""

import json
import pathlib
import sys

import numpy
import onnx
from onnx.backend.test.case.node import collect_testcases

STORED = {
    onnx.TensorProto.FLOAT: "FP32", onnx.TensorProto.UINT8: "UINT8", onnx.TensorProto.INT8: "INT8",
    onnx.TensorProto.UINT16: "UINT16", onnx.TensorProto.INT16: "INT16", onnx.TensorProto.INT32: "INT32",
    onnx.TensorProto.INT64: "INT64", onnx.TensorProto.BOOL: "BOOL", onnx.TensorProto.FLOAT16: "FP16",
    onnx.TensorProto.DOUBLE: "FP64", onnx.TensorProto.UINT32: "UINT32", onnx.TensorProto.UINT64: "UINT64",
    onnx.TensorProto.BFLOAT16: "BF16",
    onnx.TensorProto.FLOAT8E4M3FN: "FP8E4M3FN", onnx.TensorProto.FLOAT8E4M3FNUZ: "FP8E4M3FNUZ",
    onnx.TensorProto.FLOAT8E5M2: "FP8E5M2", onnx.TensorProto.FLOAT8E5M2FNUZ: "FP8E5M2FNUZ",
    onnx.TensorProto.FLOAT8E8M0: "FP8E8M0", onnx.TensorProto.FLOAT4E2M1: "FP4E2M1",
    onnx.TensorProto.UINT4: "UINT4", onnx.TensorProto.INT4: "INT4",
    onnx.TensorProto.UINT2: "UINT2", onnx.TensorProto.INT2: "INT2",
}
# Bits of elements that share a byte, the first in its lowest bits.
PACKED = {"FP4E2M1": 4, "UINT4": 4, "INT4": 4, "UINT2": 2, "INT2": 2}
CONTROL = {"If", "Loop", "Scan"}
TRAINING = {"Adagrad", "Adam", "Momentum", "Gradient"}
LOSSES = {"NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"}
CORE = {onnx.TensorProto.FLOAT, onnx.TensorProto.INT64, onnx.TensorProto.INT32, onnx.TensorProto.BOOL,
        onnx.TensorProto.INT8, onnx.TensorProto.UINT8}
WORDS = {onnx.TensorProto.INT16, onnx.TensorProto.UINT16, onnx.TensorProto.UINT32, onnx.TensorProto.UINT64}


def graph_nodes(graph):
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for body in [attribute.g, *attribute.graphs]:
                yield from graph_nodes(body)


def element_types(graph):
    """Element types of the ports, and what else than tensors they are."""
    types, kinds = set(), set()
    for port in [*graph.input, *graph.output]:
        kind = port.type.WhichOneof("value")
        kinds.add(kind)
        if kind == "tensor_type":
            types.add(port.type.tensor_type.elem_type)
    return types, kinds


def case_class(model, about):
    types, kinds = element_types(model.graph)
    if about in TRAINING or any(node.domain == "ai.onnx.preview.training" for node in model.graph.node):
        return "training"
    if about in LOSSES:
        return "losses"
    if any(node.domain == "ai.onnx.ml" for node in model.graph.node):
        return "ml"
    if kinds - {"tensor_type"}:
        return "sequence/optional"
    if onnx.TensorProto.STRING in types:
        return "string"
    if any(node.op_type in CONTROL for node in model.graph.node) and about in CONTROL:
        return "control flow"
    if types - CORE - WORDS - {onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE}:
        return "bf16/fp8/int4"
    if onnx.TensorProto.FLOAT16 in types:
        return "f16"
    if onnx.TensorProto.DOUBLE in types:
        return "f64"
    return "i16/u16/u32/u64" if types & WORDS else "core"


def operators(cases):
    """The operator of each case; an expanded case belongs to the one that it expands."""
    names = {}
    for case in cases:
        about = {node.op_type for node in case.model.graph.node} - {"Constant"}
        if len(case.model.graph.node) == 1:
            names[case.name] = case.model.graph.node[0].op_type
        elif len(about) == 1:
            names[case.name] = about.pop()
    for case in cases:
        plain = case.name.split("_expanded")[0]
        if case.name not in names:
            names[case.name] = names.get(plain, case.model.graph.node[-1].op_type)
        elif "_expanded" in case.name and plain in names:
            names[case.name] = names[plain]
    return names


def packed(value, bits):
    """Elements in the lowest bits of one byte each, put side by side."""
    value = value.reshape(-1) & ((1 << bits) - 1)
    value = numpy.pad(value, (0, -len(value) % (8 // bits))).reshape(-1, 8 // bits)
    return numpy.bitwise_or.reduce(value << numpy.arange(0, 8, bits, dtype=numpy.uint8), axis=1).astype(numpy.uint8)


def stored(value, info, data):
    """Appends a tensor to `data` and says what it is; anything else is only named."""
    kind = info.type.WhichOneof("value")
    if kind != "tensor_type":
        return {"name": info.name, "dtype": kind, "shape": [], "start": 0, "bytes": 0}
    code = info.type.tensor_type.elem_type
    dtype = STORED.get(code, onnx.TensorProto.DataType.Name(code))
    start = len(data)
    if dtype in STORED.values():
        value = onnx.numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else numpy.asarray(value)
        # Some cases hold their numbers in another type than their port declares.
        value = value.astype(onnx.helper.tensor_dtype_to_np_dtype(code))
        shape, value = list(value.shape), numpy.ascontiguousarray(value)
        raw = packed(value.view(numpy.uint8), PACKED[dtype]).tobytes() if dtype in PACKED else value.tobytes()
    else:
        shape, raw = [], b""
    data += raw
    return {"name": info.name, "dtype": dtype, "shape": shape, "start": start, "bytes": len(raw)}


def write(folder):
    cases = collect_testcases(None)
    names = operators(cases)
    for case in cases:
        here = folder / "cases" / case.name
        here.mkdir(parents=True, exist_ok=True)
        (here / "model.onnx").write_bytes(case.model.SerializeToString())
        data, sets = bytearray(), []
        for inputs, outputs in case.data_sets:
            graph = case.model.graph
            sets.append({
                "inputs": [stored(*pair, data) for pair in zip(inputs, graph.input) if pair[1].name],
                "outputs": [stored(*pair, data) for pair in zip(outputs, graph.output)],
            })
        about = names[case.name]
        (here / "data.bin").write_bytes(data)
        (here / "case.json").write_text(json.dumps({
            "operator": about, "class": case_class(case.model, about),
            "rtol": case.rtol, "atol": case.atol, "sets": sets,
        }))
    print(f"{len(cases)} cases of onnx {onnx.__version__}")


def passes(case):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(
            case.model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        for inputs, expected in case.data_sets:
            given = {port.name: value for port, value in zip(session.get_inputs(), inputs)}
            for value, wanted in zip(session.run(None, given), expected):
                if isinstance(wanted, (list, type(None), onnx.TensorProto)):
                    return False
                value, wanted = numpy.asarray(value), numpy.asarray(wanted)
                if value.dtype != wanted.dtype or value.shape != wanted.shape:
                    return False
                if wanted.dtype == object:
                    if (value != wanted).any():
                        return False
                else:
                    numpy.testing.assert_allclose(value, wanted, rtol=case.rtol, atol=case.atol)
        return True
    except Exception:  # whatever it refuses or gets wrong, it does not pass
        return False


def compare(folder):
    import onnxruntime
    names = sorted(case.name for case in collect_testcases(None) if passes(case))
    result = {"version": onnxruntime.__version__, "passed": names}
    (folder / "onnxruntime.json").write_text(json.dumps(result, indent=0))
    print(f"onnxruntime {onnxruntime.__version__} passes {len(names)}")


if __name__ == "__main__":
    command, target = sys.argv[1], pathlib.Path(sys.argv[2])
    {"write": write, "onnxruntime": compare}[command](target)
