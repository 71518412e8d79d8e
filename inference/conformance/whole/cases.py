"""Cases on disk: a model with its requests, and raw tensors in files of several."""

import copy
import json
from dataclasses import replace

import numpy
import onnx

NAMES = {
    "float16": "FP16", "float32": "FP32", "float64": "FP64", "bool": "BOOL",
    **{f"{sign}int{bits}": f"{sign.upper()}INT{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}}
TYPES = {name: numpy.dtype(dtype) for dtype, name in NAMES.items()}


def append(name, value, data):
    """Adds a tensor to `data` and says where it is."""
    value = numpy.ascontiguousarray(value)
    start = len(data)
    data.extend(value.tobytes())
    return {"name": name, "dtype": NAMES[str(value.dtype)], "shape": list(value.shape), "start": start,
            "bytes": value.nbytes}


def tensor(stored, data):
    raw = data[stored["start"]:stored["start"] + stored["bytes"]]
    return numpy.frombuffer(raw, TYPES[stored["dtype"]]).reshape(stored["shape"])


def write(folder, place, name, whole):
    """Writes a model below the folder; a quantised one also as NAME-taps, with its integers as outputs."""
    put(folder / name, place, name, whole, whole.model)
    if whole.is_quantised:
        put(folder / f"{name}-taps", place, name, replace(whole, model=tapped(whole.model)), whole.model)


def put(folder, place, name, whole, original):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(whole.model.SerializeToString())
    data = bytearray()
    requests = [[append(*pair, data) for pair in request.items()] for request in whole.requests]
    (folder / "data.bin").write_bytes(data)
    (folder / "case.json").write_text(json.dumps({
        "name": name, "place": place, "is_quantised": whole.is_quantised, "taps": whole.model is not original, "drift": whole.drift,
        "outputs": [port.name for port in original.graph.output], "requests": requests}))


def tapped(model):
    """The model whose outputs are also what its quantising nodes make."""
    model = copy.deepcopy(model)
    zeros = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear":
            made = [(node.output[0], zeros[node.input[2]])]
        elif node.op_type == "DynamicQuantizeLinear":
            made = zip(node.output, [onnx.TensorProto.UINT8, onnx.TensorProto.FLOAT, onnx.TensorProto.UINT8])
        else:
            continue
        model.graph.output.extend(onnx.helper.make_tensor_value_info(port, dtype, None) for port, dtype in made)
    return onnx.shape_inference.infer_shapes(model)


def model(folder):
    return onnx.load(folder / "model.onnx")


def read(folder):
    """What was written, but for the model."""
    case, data = json.loads((folder / "case.json").read_text()), (folder / "data.bin").read_bytes()
    case["requests"] = [{stored["name"]: tensor(stored, data) for stored in request} for request in case["requests"]]
    return case


def answers(folder):
    """Why our side refused, and its answers to each request."""
    answer, data = json.loads((folder / "answer.json").read_text()), (folder / "answer.bin").read_bytes()
    return answer["refused"], [
        {stored["name"]: tensor(stored, data) for stored in outputs} for outputs in answer["answers"]]
