"""Transformers: an encoder with a mask, and a decoder that keeps keys and values."""

import numpy

from .graph import FLOAT, INT64, Graph, Whole, floats, named


def gelu(g, x):
    """The exact form, as exporters spell it (Hendrycks and Gimpel 2016)."""
    erf = g.node("Erf", g.node("Div", x, g.float(2 ** 0.5)))
    return g.node("Mul", g.node("Mul", x, g.node("Add", erf, g.float(1))), g.float(0.5))


def normal(g, x, width):
    scale = g.float(1 + 0.1 * g.random.standard_normal(width))
    return g.node("LayerNormalization", x, scale, g.weight(width, scale=0.1), axis=-1, epsilon=1e-5)


class Attention:
    """Splitting into heads and merging them, with extents that follow from those of the input."""

    def __init__(self, g, shape, width, heads):
        self.g, self.width, self.heads = g, width, heads
        self.batch, self.steps = (
            g.node("Unsqueeze", g.node("Gather", shape, g.constant(at)), g.constant([0])) for at in (0, 1))
        self.split = g.node("Concat", self.batch, self.steps, g.constant([heads]), g.constant([width // heads]), axis=0)
        self.merge = g.node("Concat", self.batch, self.steps, g.constant([width]), axis=0)

    def project(self, x):
        """[batch, heads, steps, width of a head]"""
        x = self.g.node("Reshape", self.g.linear(x, self.width, self.width), self.split)
        return self.g.node("Transpose", x, perm=[0, 2, 1, 3])

    def attend(self, query, key, value, mask):
        g = self.g
        turned = g.node("Transpose", key, perm=[0, 1, 3, 2])
        scores = g.node("Div", g.node("MatMul", query, turned), g.float((self.width // self.heads) ** 0.5))
        weights = g.node("Softmax", g.node("Add", scores, mask), axis=-1)
        joined = g.node("Transpose", g.node("MatMul", weights, value), perm=[0, 2, 1, 3])
        return g.linear(g.node("Reshape", joined, self.merge), self.width, self.width)


def encoder(name, shapes, width=384, heads=6, layers=6, words=1000, longest=128):
    """Words with their places, normalisation after each half of a layer, and a class from the first step."""
    g = Graph(name)
    shape = g.node("Shape", "ids")
    steps = g.node("Gather", shape, g.constant(1))
    places = g.node("Gather", g.weight(longest, width, scale=1), g.node("Range", g.constant(0), steps, g.constant(1)))
    x = normal(g, g.node("Add", g.node("Gather", g.weight(words, width, scale=1), "ids"), places), width)
    seen = g.node("Cast", g.node("Unsqueeze", "mask", g.constant([1, 2])), to=FLOAT)
    mask = g.node("Mul", g.node("Sub", g.float(1), seen), g.float(-1e4))
    attention = Attention(g, shape, width, heads)
    for _ in range(layers):
        query, key, value = (attention.project(x) for _ in range(3))
        x = normal(g, g.node("Add", x, attention.attend(query, key, value, mask)), width)
        inner = gelu(g, g.linear(x, width, 4 * width))
        x = normal(g, g.node("Add", x, g.linear(inner, 4 * width, width)), width)
    g.node("Identity", x, outputs=["hidden"])
    first = g.node("Gather", x, g.constant(0), axis=1)
    g.linear(g.node("Tanh", g.linear(first, width, width)), width, 2, outputs=["logits"])
    model = g.model([("ids", INT64, ["batch", "steps"]), ("mask", INT64, ["batch", "steps"])],
                    [("hidden", FLOAT, ["batch", "steps", width]), ("logits", FLOAT, ["batch", 2])])
    random = named(name)

    def request(batch, steps):
        mask = numpy.ones((batch, steps), numpy.int64)
        mask[-1, max(1, steps * 3 // 4):] = 0
        return {"ids": random.integers(0, words, (batch, steps)), "mask": mask}

    return Whole(model, [request(*shape) for shape in shapes])


def decoder(name, calls, width=384, heads=6, layers=6, words=1000, longest=256):
    """Causal transformer with normalisation before each half of a layer; keys and values of earlier steps
    come in and go out. A call is (batch, steps before, steps)."""
    g = Graph(name)
    head = width // heads
    shape = g.node("Shape", "ids")
    attention = Attention(g, shape, width, heads)
    count = g.node("Squeeze", attention.steps, g.constant([0]))
    before = g.node("Gather", g.node("Shape", "key_0"), g.constant(2))
    total = g.node("Add", before, count)
    own = g.node("Range", before, total, g.constant(1))
    x = g.node("Add", g.node("Gather", g.weight(words, width, scale=1), "ids"),
               g.node("Gather", g.weight(longest, width, scale=1), own))
    every = g.node("Range", g.constant(0), total, g.constant(1))
    seen = g.node("LessOrEqual", every, g.node("Unsqueeze", own, g.constant([-1])))
    mask = g.node("Where", seen, g.float(0), g.float(-1e9))
    inputs, outputs = [("ids", INT64, ["batch", "steps"])], [("logits", FLOAT, ["batch", "steps", words])]
    for layer in range(layers):
        x_normal = normal(g, x, width)
        query, key, value = (attention.project(x_normal) for _ in range(3))
        for part, made in (("key", key), ("value", value)):
            inputs.append((f"{part}_{layer}", FLOAT, ["batch", heads, "before", head]))
            outputs.append((f"{part}_{layer}_out", FLOAT, ["batch", heads, "total", head]))
            g.node("Concat", f"{part}_{layer}", made, outputs=[f"{part}_{layer}_out"], axis=2)
        x = g.node("Add", x, attention.attend(query, f"key_{layer}_out", f"value_{layer}_out", mask))
        inner = gelu(g, g.linear(normal(g, x, width), width, 4 * width))
        x = g.node("Add", x, g.linear(inner, 4 * width, width))
    g.node("MatMul", normal(g, x, width), g.weight(width, words, scale=width ** -0.5), outputs=["logits"])
    outputs.append(("next", INT64, ["batch", "steps"]))
    g.node("ArgMax", "logits", outputs=["next"], axis=-1, keepdims=0)
    random = named(name)

    def request(batch, steps_before, steps):
        past = {port: floats(random, batch, heads, steps_before, head) for port, _, _ in inputs[1:]}
        return {"ids": random.integers(0, words, (batch, steps)), **past}

    return Whole(g.model(inputs, outputs), [request(*call) for call in calls])
