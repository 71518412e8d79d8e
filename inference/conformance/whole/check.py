"""Whether our answers are right.

Of every output, with m the largest of onnxruntime's elements:
- integers are onnxruntime's;
- no float differs from onnxruntime's by more than 1e-4 m;
- the largest error against the exact answer (exact.py) is at most twice onnxruntime's, or half a unit in
  the last place of the largest element where onnxruntime happens to be nearer: no single rounding gives less.

A quantised model rounds inside, and one element beside a tie that falls to the other side moves all that
follows. So its quantised tensors are outputs of a second model, NAME-taps, and each of their elements is
judged by itself, against the exact value that it was rounded from, computed from the integers that our side
had decided before it: it must be the exact value's own step, or, where that lies within 1e-4 of the
tensor's largest of a tie, the other step beside the tie. Such flips are counted and told. All floats that
follow from the decisions are judged as above, but against the exact answer instead of onnxruntime's.
The model without taps, in which more may be fused, may differ by its drift; models of one product
or convolution, with requests that are nowhere near a tie, have no drift and are judged as those that
are not quantised.
"""

import json

import numpy

from . import cases
from .exact import BOUND, Exact

TIMES = 2.0
HALF_UNIT = 2.0 ** -24


def verdicts(folder, tell):
    """Each model in order: why it was refused, if it was, and what is wrong; a line for each output goes to `tell`."""
    models = {}
    for case in sorted((folder / "cases").iterdir()):
        about = cases.read(case)
        verdict = models.setdefault((about["place"], about["name"]), {"name": about["name"], "refused": None, "wrong": []})
        refused, ours = cases.answers(case)
        if refused:
            verdict["refused"] = refused
        else:
            verdict["wrong"].extend(judge(case, about, ours, tell))
    return [models[key] for key in sorted(models)]


def check_all(folder):
    tell(["MODEL", "OUTPUT", "DIFFERENCE", "ERROR", "ONNXRUNTIME'S", "TIES OF ELEMENTS"])
    found = verdicts(folder, tell)
    wrong = [f"{model['name']}: {text}" for model in found for text in model["wrong"]]
    wrong += [f"{model['name']} is refused: {model['refused']}" for model in found if model["refused"]]
    print("\n".join(wrong) or f"{len(found)} models are right")
    return 1 if wrong or not found else 0


def tell(row):
    print("{:22} {:22} {:>12} {:>12} {:>14}  {}".format(*row), flush=True)


def judge(case, about, ours, tell):
    from .engine import session_of
    session = session_of(case / "model.onnx", 1)
    ports = [port.name for port in session.get_outputs()]
    theirs = [dict(zip(ports, session.run(None, request))) for request in about["requests"]]
    exact = Exact(cases.model(case))
    # What is tapped is judged as it is decided.
    judged = {port: Judged() for port in about["outputs"]}
    wrong, ties, elements = [], [0, 0], 0
    for request, mine, other in zip(about["requests"], ours, theirs, strict=True):
        wrong.extend(unlike(mine, other))
        if wrong:
            return wrong
        given = [side if about["taps"] else {} for side in (mine, other)]
        (to_mine, decisions), (to_other, others) = (exact.run(request, side) for side in given)
        wrong.extend(decisions.wrong)
        ties, elements = [ties[0] + decisions.flips, ties[1] + others.flips], elements + decisions.elements
        for port in judged:
            if other[port].dtype.kind == "f":
                judged[port].add(mine[port], other[port], to_mine[port], to_other[port])
            elif not about["is_quantised"] and (mine[port] != other[port]).any():
                wrong.append(f"{port} has other integers than onnxruntime's")
    for port, found in judged.items():
        wrong.extend(f"{port}: {text}" for text in found.wrong(about))
        if found.size:
            tied = f"{ties[0]} (onnxruntime {ties[1]}) of {elements}" if about["taps"] else ""
            tell([case.name, port, *(f"{value:.2e}" for value in (found.difference, *found.errors)), tied])
    return wrong


def unlike(mine, other):
    def text(value):
        return f"{value.dtype} {list(value.shape)}"

    return [f"{port} is {text(mine[port]) if port in mine else 'not made'} and not {text(value)}"
            for port, value in other.items()
            if port not in mine or mine[port].dtype != value.dtype or mine[port].shape != value.shape]


class Judged:
    """Largest differences of one output over all requests, in parts of the largest element."""

    def __init__(self):
        self.size, self.difference, self.errors = 0, 0.0, [0.0, 0.0]

    def add(self, mine, other, to_mine, to_other):
        if not mine.size:
            return
        self.size += mine.size
        largest = float(numpy.abs(to_other).max()) or 1.0
        self.difference = max(self.difference, distance(mine, other) / largest)
        for at, (value, to) in enumerate([(mine, to_mine), (other, to_other)]):
            self.errors[at] = max(self.errors[at], distance(value, to) / largest)

    def wrong(self, about):
        most = about["drift"] if about["is_quantised"] and not about["taps"] else BOUND
        against = self.errors[0] if about["taps"] else self.difference
        if against > most:
            yield f"differs by {against:.2e} of the largest element, at most {most} is right"
        # Without taps a flip is an error of both sides, and says nothing of either.
        if about["taps"] or not about["is_quantised"]:
            bound = max(TIMES * self.errors[1], HALF_UNIT)
            if self.errors[0] > bound:
                yield f"is {self.errors[0]:.2e} from the exact answer, at most {bound:.2e} is right"


def distance(one, other):
    """Infinite where one has a number and the other has none."""
    one, other = one.astype(numpy.float64), numpy.asarray(other, numpy.float64)
    is_same = numpy.isnan(one) & numpy.isnan(other) | (one == other)
    apart = numpy.where(is_same, 0, numpy.abs(one - other))
    return float(numpy.nan_to_num(apart, nan=numpy.inf, posinf=numpy.inf).max(initial=0))


def print_verdicts(folder):
    print(json.dumps(verdicts(folder, lambda row: None)))
