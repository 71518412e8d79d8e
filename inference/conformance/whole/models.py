"""Every model by its name: small ones that are checked with each change, full ones that are timed."""

import json
import pathlib

import numpy
import onnx

from .graph import FLOAT, Graph, Whole
from .language import decoder, encoder
from .quantised import product, quantised_dynamic, quantised_static, window
from .recurrent import recurrent
from .tables import boosted, fragile
from .vision import MOBILE_SMALL, detector, mobilenet, resnet

ROOT = pathlib.Path(__file__).resolve().parents[2]
TINY = {"width": 24, "heads": 3, "layers": 2, "words": 50, "longest": 16}


def trained(name):
    """A model of this repository with its held-out inputs."""
    folder = ROOT / "models" / name
    given = json.loads((folder / "heldout.json").read_text())["inputs"]
    inputs = {port: numpy.array(value["data"], numpy.float32).reshape(value["shape"]) for port, value in given.items()}
    requests = [{port: value[:rows] for port, value in inputs.items()} for rows in (1, 32)]
    return Whole(onnx.load(folder / "model.onnx"), requests)


def empty(name):
    """What a call costs that computes nothing."""
    g = Graph(name)
    g.node("Identity", "x", outputs=["y"])
    return Whole(g.model([("x", FLOAT, ["n"])], [("y", FLOAT, ["n"])]), [{"x": numpy.ones(1, numpy.float32)}])


def small_mobilenet(name):
    return mobilenet(name, 32, MOBILE_SMALL, stem=8, head=32, classes=10, batches=(1, 2))


SMALL = {
    "mobilenet": small_mobilenet,
    "mobilenet-int8": lambda name: quantised_static(small_mobilenet(name), drift=0.05),
    "product-int8": product,
    "window-int8": window,
    "resnet": lambda name: resnet(name, 32, widths=(8, 16, 24, 32), classes=10, batches=(1, 2)),
    "encoder": lambda name: encoder(name, [(2, 5), (1, 9), (3, 1)], **TINY),
    "encoder-int8": lambda name: quantised_dynamic(encoder(name, [(2, 5), (1, 9)], **TINY), drift=0.05),
    "decoder": lambda name: decoder(name, [(1, 0, 6), (2, 5, 1), (1, 3, 4)], **TINY),
    "lstm": lambda name: recurrent(name, "LSTM", [(5, 2), (1, 1), (9, 3)], hidden=8, features=4),
    "gru": lambda name: recurrent(name, "GRU", [(5, 2), (1, 1), (9, 3)], hidden=8, features=4, linear_before_reset=1),
    "detector": lambda name: detector(name, [(1, 32, 32), (2, 64, 48)], width=4, classes=3, found=5),
    "boosted": lambda name: boosted(name, [1, 7], trees=8, depth=4, rows=500),
    "fragile": fragile,
    "digits": trained,
    "fraud": trained,
}

#: Several requests where one has few elements: the largest error of few is a matter of luck.
FULL = {
    "empty": empty,
    "fraud": trained,
    "digits": trained,
    "boosted-b1": lambda name: boosted("boosted", [1], trees=200, depth=6),
    "boosted-b256": lambda name: boosted("boosted", [256], trees=200, depth=6),
    "mobilenet-224": lambda name: mobilenet("mobilenet", 224),
    "mobilenet-224-int8": lambda name: quantised_static(mobilenet("mobilenet", 224), drift=0.1),
    "resnet18-96": lambda name: resnet("resnet18", 96),
    "resnet18-224": lambda name: resnet("resnet18", 224),
    "encoder-s16": lambda name: encoder("encoder", [(1, 16)] * 4),
    "encoder-s64": lambda name: encoder("encoder", [(1, 64)] * 2),
    "encoder-b8-s64": lambda name: encoder("encoder", [(8, 64)]),
    "encoder-s64-int8": lambda name: quantised_dynamic(encoder("encoder", [(1, 64)]), drift=0.1),
    "decoder-prefill-128": lambda name: decoder("decoder", [(1, 0, 128)]),
    "decoder-step": lambda name: decoder("decoder", [(1, 128, 1)] * 6),
    "lstm-h256-t64": lambda name: recurrent("lstm", "LSTM", [(64, 1)], layers=1, directions=1),
    "gru-h256-t64": lambda name: recurrent("gru", "GRU", [(64, 1)], layers=1, directions=1, linear_before_reset=1),
    "detector-320": lambda name: detector("detector", [(1, 320, 320)] * 3),
}
