"""LSTM and GRU in double precision, as their definitions say: onnx's evaluator knows neither lengths nor two directions."""

import numpy


def logistic(x):
    return 1 / (1 + numpy.exp(-x))


def lstm(attributes, x, weight, recurrence, bias, lengths=None):
    """Gates in the order input, output, forget, cell."""
    hidden = attributes["hidden_size"]

    def step(at, rows, h, c):
        gates = rows @ weight[at].T + h @ recurrence[at].T + bias[at].reshape(2, -1).sum(axis=0)
        i, o, f, g = (gates[:, part * hidden:(part + 1) * hidden] for part in range(4))
        c = logistic(f) * c + logistic(i) * numpy.tanh(g)
        return logistic(o) * numpy.tanh(c), c

    return over(attributes, x, lengths, weight.shape[0], 2, step)


def gru(attributes, x, weight, recurrence, bias, lengths=None):
    """Gates in the order update, reset, hidden."""
    hidden, is_linear_first = attributes["hidden_size"], attributes.get("linear_before_reset", 0)

    def step(at, rows, h):
        given, kept = bias[at].reshape(2, -1)
        inputs = rows @ weight[at].T + given

        def states(value, part):
            part = slice(part * hidden, (part + 1) * hidden)
            return value @ recurrence[at][part].T + kept[part]

        z, r, g = (inputs[:, part * hidden:(part + 1) * hidden] for part in range(3))
        z, r = logistic(z + states(h, 0)), logistic(r + states(h, 1))
        g = numpy.tanh(g + (r * states(h, 2) if is_linear_first else states(r * h, 2)))
        return ((1 - z) * g + z * h,)

    return over(attributes, x, lengths, weight.shape[0], 1, step)


def over(attributes, x, lengths, directions, states, step):
    """Every step of every direction; beyond a sequence's length its state stays and its output is zero."""
    steps, batch, _ = x.shape
    lengths = numpy.full(batch, steps) if lengths is None else lengths
    y, last = numpy.zeros((steps, directions, batch, attributes["hidden_size"])), []
    for at in range(directions):
        is_reversed = at == 1 or attributes.get("direction", b"forward") == b"reverse"
        state = [numpy.zeros((batch, attributes["hidden_size"])) for _ in range(states)]
        for number in range(steps):
            # Backwards each sequence begins at its own end.
            places = numpy.where(number < lengths, lengths - 1 - number if is_reversed else number, 0)
            is_within = (number < lengths)[:, None]
            made = step(at, x[places, numpy.arange(batch)], *state)
            state = [numpy.where(is_within, new, old) for new, old in zip(made, state)]
            rows = numpy.flatnonzero(is_within)
            y[places[rows], at, rows] = state[0][rows]
        last.append(state)
    return [y, *(numpy.stack(parts) for parts in zip(*last))]
