"""Single operators of the domain ai.onnx.ml on random inputs, and what onnxruntime makes of them.

    learning.py DIR      one folder per case below DIR/cases, as suite.py writes them

The node suite has eight cases of this domain. These are some hundreds, from a fixed seed. Left out is where onnxruntime
and the specification part, or where it leaves an answer to chance: transforms of a single score, a softmax over nothing
but zeros, probits of what is no probability, keys that are listed twice, text. Its probit is an approximation of three
digits.
"""

import json
import pathlib
import sys

import numpy
import onnxruntime
from onnx import helper, numpy_helper

NAMES = {"float32": "FP32", "float64": "FP64", "int16": "INT16", "int32": "INT32", "int64": "INT64"}
CODES = {"float32": 1, "float64": 11, "int16": 5, "int32": 6, "int64": 7}
TRANSFORMS = ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"]
EACH = 60
RANDOM = numpy.random.default_rng(3)


def pick(*values):
    return values[RANDOM.integers(len(values))]


def numbers(dtype, *shape):
    if numpy.dtype(dtype).kind == "f":
        return (RANDOM.standard_normal(shape) * 3).astype(dtype)
    return RANDOM.integers(-5, 6, shape).astype(dtype)


def floats(count):
    return [float(value) for value in numbers("float32", count)]


def label_encoder():
    opset = pick(2, 4)
    kinds = pick(("int64", "int64"), ("int64", "float32"), ("float32", "int64"), ("float32", "float32"),
                 *([("float64", "float64"), ("int32", "int64"), ("int16", "int64")] if opset == 4 else []))
    count = RANDOM.integers(1, 9)
    keys = RANDOM.permutation(numpy.arange(-4, 6))[:count].astype(kinds[0])
    values = numbers(kinds[1], count)
    in_tensors = opset == 4 and (kinds[0] not in ("int64", "float32") or pick(True, False))
    x = numbers(kinds[0], *pick((3,), (2, 3), (2, 1, 4)))
    x.flat[0] = keys[0]
    if kinds[0].startswith("float"):
        x = numpy.round(x) + 0  # before opset 4 a negative zero is another key, save to onnxruntime
        if opset == 4 and pick(True, False):
            keys[0], x.flat[0] = numpy.nan, numpy.nan
    attributes = {"domain": "ai.onnx.ml"}
    for name, own, kind in (("keys", keys, kinds[0]), ("values", values, kinds[1])):
        if in_tensors:
            attributes[f"{name}_tensor"] = numpy_helper.from_array(own, name)
        else:
            attributes[f"{name}_{'int64s' if kind == 'int64' else 'floats'}"] = own.tolist()
    if in_tensors and pick(True, False):
        attributes["default_tensor"] = numpy_helper.from_array(numbers(kinds[1], 1), "default")
    elif not in_tensors and pick(True, False):
        name, value = ("default_int64", 77) if kinds[1] == "int64" else ("default_float", 7.5)
        attributes[name] = value
    return opset, "LabelEncoder", [x], [kinds[1]], attributes


def one_hot():
    x = numbers(pick("int64", "float32", "float64", "int32"), *pick((4,), (2, 3)))
    count = RANDOM.integers(1, 9)
    categories = RANDOM.permutation(numpy.arange(-6, 7))[:count].tolist()
    return 1, "OneHotEncoder", [x], ["float32"], {"cats_int64s": categories}


def imputer():
    x = numbers(pick("float32", "int64"), *pick((4, 3), (1, 3), (2, 1)))
    count = pick(1, x.shape[1])
    if x.dtype == numpy.float32:
        missing = pick(float("nan"), -1.0, 0.0)
        x[RANDOM.random(x.shape) < 0.4] = missing
        attributes = {"imputed_value_floats": floats(count), "replaced_value_float": missing}
    else:
        attributes = {"imputed_value_int64s": numbers("int64", count).tolist(), "replaced_value_int64": int(pick(0, 2))}
    return 1, "Imputer", [x], [x.dtype.name], attributes


def normalizer():
    x = numbers(pick("float32", "float64", "int32", "int64"), *pick((3, 4), (4,), (1, 1)))
    if x.ndim == 2 and pick(True, False):
        x[0] = 0
    return 1, "Normalizer", [x], ["float32"], {"norm": pick("MAX", "L1", "L2")}


def scaler():
    x = numbers(pick("float32", "float64", "int32", "int64"), *pick((3, 4), (1, 2)))
    count = pick(1, x.shape[1])
    return 1, "Scaler", [x], ["float32"], {"offset": floats(count), "scale": floats(count)}


def binarizer():
    return 1, "Binarizer", [numbers("float32", 3, 4)], ["float32"], {"threshold": floats(1)[0]}


def extractor():
    x = numbers(pick("float32", "float64", "int32", "int64"), *pick((3, 4), (2, 2, 5)))
    places = RANDOM.integers(0, x.shape[-1], RANDOM.integers(1, 5))
    return 1, "ArrayFeatureExtractor", [x, places], [x.dtype.name], {}


def vectorizer():
    dtype, rows = pick("float32", "float64", "int32", "int64"), RANDOM.integers(1, 4)
    inputs = [numbers(dtype, rows, RANDOM.integers(1, 4)) for _ in range(RANDOM.integers(1, 4))]
    widths = [x.shape[1] for x in inputs]
    return 1, "FeatureVectorizer", inputs, ["float32"], {"inputdimensions": widths}


def linear(rows, features, scores, transform):
    """Rows and coefficients; for a probit all scores are probabilities."""
    if transform == "PROBIT":
        x = RANDOM.random((rows, features)).astype("float32")
        coefficients = RANDOM.random(scores * features) * 0.8 / features
        return x, {"coefficients": coefficients.tolist(), "intercepts": [0.1] * scores}
    return numbers("float32", rows, features), {"coefficients": floats(scores * features), "intercepts": floats(scores)}


def regressor():
    transform = pick(*TRANSFORMS)
    targets = pick(2, 3) if transform != "NONE" else pick(1, 2)
    x, attributes = linear(RANDOM.integers(1, 5), RANDOM.integers(1, 5), targets, transform)
    if transform == "NONE" and pick(True, False):
        del attributes["intercepts"]
    return 1, "LinearRegressor", [x], ["float32"], {**attributes, "targets": targets, "post_transform": transform}


def classifier():
    transform = pick(*TRANSFORMS)
    scores = pick(1, 2, 3, 4) if transform in ("NONE", "LOGISTIC") else pick(2, 3, 4)
    x, attributes = linear(RANDOM.integers(1, 5), RANDOM.integers(1, 5), scores, transform)
    if transform != "PROBIT":
        x = x.astype(pick("float32", "float64", "int32", "int64"))
    labels = RANDOM.permutation(numpy.arange(20))[:max(scores, 2)].tolist()
    attributes = {**attributes, "classlabels_ints": labels, "post_transform": transform, "multi_class": pick(0, 1)}
    return 1, "LinearClassifier", [x], ["int64", "float32"], attributes


OPERATORS = [label_encoder, one_hot, imputer, normalizer, scaler, binarizer, extractor, vectorizer, regressor, classifier]


def port(name, array):
    return helper.make_tensor_value_info(name, CODES[array.dtype.name], array.shape)


def stored(name, array, data):
    start, raw = len(data), numpy.ascontiguousarray(array).tobytes()
    data += raw
    return {"name": name, "dtype": NAMES[array.dtype.name], "shape": list(array.shape), "start": start, "bytes": len(raw)}


def write(folder, opset, operator, inputs, outputs, attributes):
    """Whether onnxruntime has an answer to write down."""
    given = {f"x{at}": x for at, x in enumerate(inputs)}
    names = [f"y{at}" for at in range(len(outputs))]
    attributes = {"domain": "ai.onnx.ml", **attributes}
    node = helper.make_node(operator, list(given), names, **attributes)
    made = [helper.make_tensor_value_info(name, CODES[dtype], None) for name, dtype in zip(names, outputs)]

    def model(ports):
        graph = helper.make_graph([node], "case", [port(*pair) for pair in given.items()], ports)
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", max(opset, 1))]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(model(made), options, providers=["CPUExecutionProvider"])
    except Exception:  # a combination of types that it has no kernel for
        return False
    answers = dict(zip(names, session.run(None, given)))
    data = bytearray()
    sets = [{
        "inputs": [stored(name, x, data) for name, x in given.items()],
        "outputs": [stored(name, y, data) for name, y in answers.items()],
    }]
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(model([port(*pair) for pair in answers.items()]))
    (folder / "data.bin").write_bytes(data)
    is_rough = attributes.get("post_transform") == "PROBIT"
    (folder / "case.json").write_text(json.dumps({
        "operator": operator, "class": "learning", "sets": sets,
        "rtol": 1e-2 if is_rough else 1e-5, "atol": 5e-3 if is_rough else 1e-6,
    }))
    return True


if __name__ == "__main__":
    target = pathlib.Path(sys.argv[1])
    written = sum(
        write(target / "cases" / f"{make.__name__}-{at:03}", *make()) for make in OPERATORS for at in range(EACH))
    print(f"{written} cases of ai.onnx.ml by onnxruntime {onnxruntime.__version__}")
