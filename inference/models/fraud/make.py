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
from export import check_agreement, run_model, shortest, write_heldout, write_model
from payments import FEATURES, generate

TRAINING_SEED, HELDOUT_SEED, WEIGHT_SEED = 1, 2, 3
TRAINING_ROWS, HELDOUT_ROWS = 100_000, 50_000
RECORDED_ROWS, EXAMPLES_PER_LABEL = 64, 4
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


def write_examples(folder: Path, rows: net.Array, labels: net.Array) -> None:
    """The first payments of each label as files of their own: honest ones, then fraud."""
    folder.mkdir(exist_ok=True)
    honest = np.flatnonzero(labels == 0)[:EXAMPLES_PER_LABEL]
    fraud = np.flatnonzero(labels == 1)[:EXAMPLES_PER_LABEL]
    for index, place in enumerate([*honest, *fraud]):
        (folder / f"row-{index:02}.json").write_text(json.dumps(shortest(rows[place])) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description="Train, check and write the fraud model.")
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write to (default: this one)")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)

    network = train()
    about = "Inputs in order: " + ", ".join(FEATURES)
    write_model(out / "model.onnx", "fraud", network, ("features", [len(FEATURES)]), ("score", [1]), about)

    rows, labels = generate(np.random.default_rng(HELDOUT_SEED), HELDOUT_ROWS)
    scores = run_model(out / "model.onnx", "features", rows)
    check_agreement(network.predict(rows), scores)
    report(scores.ravel(), labels.ravel())

    recorded = slice(0, RECORDED_ROWS)
    write_heldout(
        out / "heldout.json", "features", rows[recorded], "score", scores[recorded], labels[recorded].ravel()
    )
    write_examples(out / "heldout", rows, labels.ravel())


if __name__ == "__main__":
    main()
