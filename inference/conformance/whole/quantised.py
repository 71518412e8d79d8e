"""Eight-bit models, quantised by onnxruntime's own tools from those of the other files."""

import pathlib
import tempfile

import onnx

from .exact import Exact
from .graph import FLOAT, Graph, Whole, floats, named

#: Least distance from a tie, in steps, of what no rounding of floats may decide. A value of 255 steps has an error of
#: some 1e-5 of one.
CLEAR = 1e-3


def quantised_dynamic(plain, drift):
    """Weights of the products in eight bits; what they are multiplied with is quantised request by request."""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    with tempfile.TemporaryDirectory() as folder:
        source, target = (pathlib.Path(folder) / name for name in ("plain.onnx", "quantised.onnx"))
        onnx.save(plain.model, source)
        quantize_dynamic(source, target, per_channel=True, weight_type=QuantType.QInt8,
                         op_types_to_quantize=["MatMul"])
        return Whole(onnx.load(target), plain.requests, is_quantised=True, drift=drift)


def quantised_static(plain, drift):
    """Everything in eight bits, with scales that the model's own requests gave."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Requests(CalibrationDataReader):
        def __init__(self):
            self.rest = iter(plain.requests)

        def get_next(self):
            return next(self.rest, None)

    with tempfile.TemporaryDirectory() as folder:
        source, target = (pathlib.Path(folder) / name for name in ("plain.onnx", "quantised.onnx"))
        onnx.save(plain.model, source)
        quantize_static(source, target, Requests(), quant_format=QuantFormat.QDQ, per_channel=True,
                        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
        return Whole(onnx.load(target), plain.requests, is_quantised=True, drift=drift)


def product(name):
    """One product in eight bits, with a dynamic scale."""
    g = Graph(name)
    g.linear("x", 24, 16, outputs=["y"])
    model = g.model([("x", FLOAT, ["rows", 24])], [("y", FLOAT, ["rows", 16])])
    random = named(name)
    plain = Whole(model, [{"x": floats(random, 3, 24)}])
    return clear(quantised_dynamic(plain, drift=0), lambda: {"x": floats(random, 3, 24)})


def window(name):
    """One convolution in eight bits, with a scale for each channel of its weight."""
    g = Graph(name)
    x = g.node("Relu", g.conv("x", 3, 4, 3, stride=2))
    g.node("Identity", x, outputs=["y"])
    model = g.model([("x", FLOAT, ["batch", 3, 7, 7])], [("y", FLOAT, ["batch", 4, 4, 4])])
    random = named(name)
    plain = Whole(model, [{"x": floats(random, 2, 3, 7, 7)}])
    return clear(quantised_static(plain, drift=0), lambda: {"x": floats(random, 2, 3, 7, 7)})


def clear(whole, draw):
    """The model with three requests in which nothing is near a tie."""
    exact, requests = Exact(whole.model), []
    while len(requests) < 3:
        request = draw()
        if exact.run(request)[1].nearest >= CLEAR:
            requests.append(request)
    return Whole(whole.model, requests)
