"""Tabular pipelines: a scaler, categories and gradient-boosted trees that were trained on made-up data."""

import numpy
from onnx import helper, numpy_helper

from .graph import FLOAT, INT64, LEARNING, Graph, Whole, named

#: Numbers of values of the two categories.
CATEGORIES = (5, 12)
NUMBERS = 10
BINS = 32
#: Least sum of second derivatives in a leaf, and its penalty (Chen and Guestrin 2016, eq. 6).
LEAST_IN_LEAF, PENALTY = 2.0, 1.0


def boosted(name, rows_of_requests, trees, depth, rows=2000):
    """scaled numbers and one-hot categories -> trees -> probability"""
    g = Graph(name)
    numbers, categories, label = payments(g.random, rows)
    mean, deviation = numbers.mean(axis=0), numbers.std(axis=0)
    hot = [numpy.eye(count, dtype=numpy.float32)[categories[:, at]] for at, count in enumerate(CATEGORIES)]
    features = numpy.concatenate([((numbers - mean) / deviation).astype(numpy.float32), *hot], axis=1)
    forest = fit(features, label, trees, depth)
    g.node("Scaler", "numbers", outputs=["scaled"], domain=LEARNING, offset=[float(value) for value in mean],
           scale=[float(value) for value in 1 / deviation])
    columns = ["scaled"]
    for at, count in enumerate(CATEGORIES):
        column = g.node("Gather", "categories", g.constant(at), axis=1)
        columns.append(g.node("OneHot", column, g.constant(count), g.float([0, 1]), axis=-1))
    joined = g.node("Concat", *columns, axis=1)
    g.node("TreeEnsemble", joined, outputs=["margin"], domain=LEARNING, **ensemble(forest))
    g.node("Sigmoid", "margin", outputs=["probability"])
    model = g.model(
        [("numbers", FLOAT, ["rows", NUMBERS]), ("categories", INT64, ["rows", len(CATEGORIES)])],
        [("margin", FLOAT, ["rows", 1]), ("probability", FLOAT, ["rows", 1])], domains=[(LEARNING, 5)])
    random = named(name)
    requests = []
    for count in rows_of_requests:
        numbers, categories, _ = payments(random, count)
        requests.append({"numbers": numbers, "categories": categories})
    return Whole(model, requests)


def payments(random, rows):
    """Numbers of very different scales, categories, and a label that depends on both."""
    numbers = (random.standard_normal((rows, NUMBERS)) * 10.0 ** numpy.arange(-2, NUMBERS - 2)).astype(numpy.float32)
    categories = numpy.stack([random.integers(0, count, rows) for count in CATEGORIES], axis=1)
    plain = numbers / 10.0 ** numpy.arange(-2, NUMBERS - 2)
    logit = plain[:, 0] * plain[:, 1] + numpy.sin(2 * plain[:, 2]) - (categories[:, 0] == 2) + 0.3 * categories[:, 1] - 2
    return numbers, categories, (random.random(rows) < 1 / (1 + numpy.exp(-logit))).astype(numpy.float64)


def fit(features, label, trees, depth, rate=0.1):
    """Trees on the derivatives of the logistic loss, each split among `BINS` quantiles."""
    thresholds = [numpy.unique(numpy.quantile(column, numpy.linspace(0, 1, BINS + 1)[1:-1])) for column in features.T]
    # Between two values, so that rounding on the way to a comparison does not decide it.
    thresholds = [halfway(numpy.unique(column), cuts) for column, cuts in zip(features.T, thresholds)]
    margin, forest = numpy.zeros(len(label)), []
    for _ in range(trees):
        likely = 1 / (1 + numpy.exp(-margin))
        first, second = likely - label, likely * (1 - likely)
        tree = grow(features, thresholds, first, second, numpy.arange(len(label)), depth)
        scale_leaves(tree, rate)
        margin += numpy.array(evaluate(tree, features))
        forest.append(tree)
    return forest


def halfway(values, cuts):
    at = numpy.clip(numpy.searchsorted(values, cuts, side="right"), 1, len(values) - 1)
    return numpy.unique(((values[at - 1] + values[at]) / 2).astype(numpy.float32))


def grow(features, thresholds, first, second, rows, depth):
    """(feature, threshold, tree of what is at most that, tree of the rest), or the value of a leaf"""
    total = first[rows].sum(), second[rows].sum()
    leaf = -total[0] / (total[1] + PENALTY)
    if depth == 0 or len(rows) < 2:
        return leaf
    best, choice = 1e-6, None
    for feature, cuts in enumerate(thresholds):
        if len(cuts) == 0:
            continue
        bins = numpy.searchsorted(cuts, features[rows, feature], side="left")
        left = [numpy.bincount(bins, part[rows], len(cuts) + 1).cumsum()[:-1] for part in (first, second)]
        right = [whole - part for whole, part in zip(total, left)]
        gain = sum(one ** 2 / (two + PENALTY) for one, two in (left, right)) - total[0] ** 2 / (total[1] + PENALTY)
        gain[(left[1] < LEAST_IN_LEAF) | (right[1] < LEAST_IN_LEAF)] = 0
        at = gain.argmax()
        if gain[at] > best:
            best, choice = gain[at], (feature, cuts[at])
    if choice is None:
        return leaf
    feature, cut = choice
    is_left = features[rows, feature] <= cut
    return [feature, cut, *(grow(features, thresholds, first, second, rows[side], depth - 1)
                            for side in (is_left, ~is_left))]


def scale_leaves(tree, rate):
    for at in (2, 3):
        if isinstance(tree[at], list):
            scale_leaves(tree[at], rate)
        else:
            tree[at] *= rate


def evaluate(tree, features):
    if not isinstance(tree, list):
        return numpy.full(len(features), tree)
    feature, cut, below, above = tree
    return numpy.where(features[:, feature] <= cut, evaluate(below, features), evaluate(above, features))


def ensemble(forest):
    """Attributes of TreeEnsemble 5: interior nodes and leaves are numbered apart."""
    nodes, leaves, roots = [], [], []

    def place(tree):
        """Whether it is a leaf, and its number."""
        if not isinstance(tree, list):
            leaves.append(tree)
            return 1, len(leaves) - 1
        number = len(nodes)
        nodes.append(None)
        nodes[number] = (tree[0], tree[1], place(tree[2]), place(tree[3]))
        return 0, number

    for tree in forest:
        roots.append(place(tree)[1])

    def floats(name, values):
        return numpy_helper.from_array(numpy.array(values, numpy.float32), name)

    below, above = ([node[at] for node in nodes] for at in (2, 3))
    return {
        "n_targets": 1, "aggregate_function": 1, "post_transform": 0, "tree_roots": roots,
        "nodes_featureids": [node[0] for node in nodes], "nodes_splits": floats("splits", [node[1] for node in nodes]),
        "nodes_modes": helper.make_tensor("modes", 2, [len(nodes)], [0] * len(nodes)),
        "nodes_trueleafs": [leaf for leaf, _ in below], "nodes_truenodeids": [number for _, number in below],
        "nodes_falseleafs": [leaf for leaf, _ in above], "nodes_falsenodeids": [number for _, number in above],
        "leaf_targetids": [0] * len(leaves), "leaf_weights": floats("weights", leaves),
    }


def fragile(name):
    """A graph whose names differ only in case, and whose names are words of the formats around it."""
    g = Graph(name)
    g.node("Sub", "a", "A", outputs=["B"])
    g.node("Mul", "B", "a", outputs=["b"])
    g.node("Add", "b", "A", outputs=["node"])
    g.node("Relu", "node", outputs=["Node"])
    g.node("Sub", "Node", "b", outputs=["NODE"])
    ports = [[(port, FLOAT, ["n", 3]) for port in names] for names in (("a", "A"), ("B", "b", "NODE"))]
    random = named(name)
    return Whole(g.model(*ports), [
        {port: random.standard_normal((rows, 3)).astype(numpy.float32) for port in ("a", "A")} for rows in (1, 4)])
