"""Recurrent networks."""

import numpy

from .graph import FLOAT, INT32, Graph, Whole, floats, named

#: Gates of a cell.
GATES = {"LSTM": 4, "GRU": 3}


def recurrent(name, op, shapes, hidden=256, features=64, layers=2, directions=2, **attributes):
    """Cells in layers over sequences of several lengths, with a head on every step.

    A shape is (steps, batch); of a batch of several each sequence is one step shorter than the one
    before it.
    """
    g = Graph(name)
    x, width = "x", features
    direction = {1: "forward", 2: "bidirectional"}[directions]
    rows = GATES[op] * hidden
    for layer in range(layers):
        state = f"state_{layer}"
        g.node(op, x, g.weight(directions, rows, width, scale=width ** -0.5),
               g.weight(directions, rows, hidden, scale=hidden ** -0.5), g.weight(directions, 2 * rows, scale=0.1),
               "lengths", outputs=[f"y_{layer}", state], hidden_size=hidden, direction=direction, **attributes)
        x = g.node("Reshape", g.node("Transpose", f"y_{layer}", perm=[0, 2, 1, 3]), g.constant([0, 0, -1]))
        width = directions * hidden
    g.linear(x, width, 3, outputs=["scores"])
    model = g.model(
        [("x", FLOAT, ["steps", "batch", features]), ("lengths", INT32, ["batch"])],
        [("scores", FLOAT, ["steps", "batch", 3]), ("state_0", FLOAT, [directions, "batch", hidden]),
         (f"state_{layers - 1}", FLOAT, [directions, "batch", hidden])][: 2 + (layers > 1)])
    random = named(name)

    def request(steps, batch):
        lengths = numpy.maximum(1, steps - numpy.arange(batch)).astype(numpy.int32)
        return {"x": floats(random, steps, batch, features), "lengths": lengths}

    return Whole(model, [request(*shape) for shape in shapes])
