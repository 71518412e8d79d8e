"""Makes the `fraud` model: a small MLP that scores generated payments.

    python make.py [--out DIR]

Writes model.onnx, heldout.json and heldout/row-NN.json, and prints how well the model does on
payments that were generated from another seed and never trained on.
"""

import argparse
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import net  # Loaded before numpy, whose thread count it fixes.
import numpy as np
from export import Signature, check_agreement, run_model, shortest, write_heldout, write_model
from payments import FEATURES, generate

TRAINING_SEED, HELDOUT_SEED, WEIGHT_SEED = 1, 2, 3
TRAINING_ROWS, HELDOUT_ROWS = 100_000, 50_000
RECORDED_PER_LABEL, EXAMPLES_PER_LABEL = 32, 4
SIGNATURE = Signature(
    model="fraud",
    source="features",
    source_shape=[len(FEATURES)],
    result="score",
    result_shape=[1],
    about="Inputs in order: " + ", ".join(FEATURES),
)
SCHEDULE = net.Schedule(epochs=12, batch=256, rate=3e-3)


def train() -> net.Network:
    rows, labels = generate(np.random.default_rng(TRAINING_SEED), TRAINING_ROWS)
    rng = np.random.default_rng(WEIGHT_SEED)
    layers: list[net.Layer] = [
        net.Standardise(rows),
        net.Dense(rng, len(FEATURES), 32),
        net.Relu(),
        net.Dense(rng, 32, 16),
        net.Relu(),
        net.Dense(rng, 16, 1),
    ]
    network = net.Network(layers, "sigmoid")
    net.fit(network, rows, labels, SCHEDULE, rng)
    return network


def area_under_curve(scores: net.Array, labels: net.Array) -> float:
    """The chance that a fraud outscores an honest payment, ties counting half (Mann-Whitney U)."""
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[place]
    fraud = labels == 1
    above = rank[fraud].sum() - fraud.sum() * (fraud.sum() + 1) / 2
    return float(above / (fraud.sum() * (~fraud).sum()))


def report(scores: net.Array, labels: net.Array) -> None:
    flagged, fraud = scores >= 0.5, labels == 1
    caught = (flagged & fraud).sum()
    print(f"held-out payments     {len(labels)}, of them {fraud.mean():.2%} labelled as fraud")
    print(f"area under the curve  {area_under_curve(scores, labels):.4f}")
    print(f"accuracy at 0.5       {(flagged == fraud).mean():.4f} ({1 - fraud.mean():.4f} without any model)")
    print(f"precision, recall     {caught / flagged.sum():.4f}, {caught / fraud.sum():.4f}")


def first_of_each(labels: net.Array, count: int) -> np.ndarray:
    """Places of the first `count` honest payments and, after them, of the first frauds.

    A plain sample of 64 would hold about six frauds, too few to show anything.
    """
    return np.concatenate([np.flatnonzero(labels == label)[:count] for label in (0, 1)])


def write_examples(folder: Path, rows: net.Array) -> None:
    folder.mkdir(exist_ok=True)
    for index, row in enumerate(rows):
        (folder / f"row-{index:02}.json").write_text(json.dumps(shortest(row)) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description="Train, check and write the fraud model.")
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write to (default: this one)")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)

    network = train()
    write_model(out / "model.onnx", network, SIGNATURE)

    rows, labels = generate(np.random.default_rng(HELDOUT_SEED), HELDOUT_ROWS)
    scores = run_model(out / "model.onnx", SIGNATURE, rows)
    check_agreement(network.predict(rows), scores)
    report(scores.ravel(), labels.ravel())

    recorded = first_of_each(labels.ravel(), RECORDED_PER_LABEL)
    write_heldout(out / "heldout.json", SIGNATURE, rows[recorded], scores[recorded], labels[recorded].ravel())
    write_examples(out / "heldout", rows[first_of_each(labels.ravel(), EXAMPLES_PER_LABEL)])


if __name__ == "__main__":
    main()
