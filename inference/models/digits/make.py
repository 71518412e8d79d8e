"""Makes the `digits` model: a small CNN that reads digits drawn with fonts.

    python make.py [--out DIR]

Writes model.onnx, heldout.json and heldout/LABEL-NN.png, and prints how well the model reads
digits of font families that it never saw.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import net  # Loaded before numpy, whose thread count it fixes.
import numpy as np
from export import Signature, check_agreement, run_model, write_heldout, write_model
from PIL import Image

from fonts import HELDOUT_PACKAGES, SIDE, TRAINING_PACKAGES, distort, glyphs

TRAINING_SEED, HELDOUT_SEED, WEIGHT_SEED = 1, 2, 3
TRAINING_IMAGES, HELDOUT_IMAGES = 60_000, 10_000
RECORDED_IMAGES, FILES_PER_DIGIT = 64, 2
SIGNATURE = Signature(
    model="digits",
    source="image",
    source_shape=[1, SIDE, SIDE],
    result="probabilities",
    result_shape=[10],
    about="One digit, white on black, pixels from 0 to 1; the probabilities of 0 to 9.",
)
SCHEDULE = net.Schedule(epochs=8, batch=128, rate=2e-3)


@dataclass(frozen=True)
class Images:
    """Pixels in 0..=255 [n, 28, 28], with the digit and the font package of each image."""

    pixels: np.ndarray
    labels: np.ndarray
    packages: np.ndarray

    def inputs(self) -> net.Array:
        """Pixels as the model takes them: [n, 1, 28, 28] in 0..=1."""
        return self.pixels[:, None].astype(np.float32) / np.float32(255)


def draw_images(packages: list[str], count: int, seed: int) -> Images:
    """Each image takes a package, then one of its glyphs, then a distortion, all at random."""
    rng = np.random.default_rng(seed)
    groups = glyphs(packages)
    pixels = np.empty((count, SIDE, SIDE), np.uint8)
    chosen = []
    for index in range(count):
        group = groups[rng.integers(len(groups))]
        glyph = group[rng.integers(len(group))]
        pixels[index] = distort(glyph, rng)
        chosen.append(glyph)
    return Images(pixels, np.array([g.label for g in chosen]), np.array([g.package for g in chosen]))


def train(images: Images) -> net.Network:
    rng = np.random.default_rng(WEIGHT_SEED)
    layers: list[net.Layer] = [
        net.Conv3x3(rng, 1, 8),
        net.Relu(),
        net.MaxPool2x2(),
        net.Conv3x3(rng, 8, 16),
        net.Relu(),
        net.MaxPool2x2(),
        net.Flatten(),
        net.Dense(rng, 16 * (SIDE // 4) ** 2, 64),
        net.Relu(),
        net.Dense(rng, 64, 10),
    ]
    network = net.Network(layers, "softmax")
    net.fit(network, images.inputs(), np.eye(10, dtype=np.float32)[images.labels], SCHEDULE, rng)
    return network


def report(output: net.Array, images: Images) -> None:
    right = output.argmax(axis=1) == images.labels
    print(f"accuracy on {len(right)} images of fonts never seen: {right.mean():.4f}")
    for package in HELDOUT_PACKAGES:
        mine = images.packages == package
        print(f"  {package:26} {right[mine].mean():.4f} of {mine.sum()}")
    print("  by digit " + " ".join(f"{d}: {right[images.labels == d].mean():.3f}" for d in range(10)))


def write_files(folder: Path, images: Images) -> None:
    """The first images of each digit, right or wrong, as 8-bit grayscale files."""
    folder.mkdir(exist_ok=True)
    for digit in range(10):
        for number, place in enumerate(np.flatnonzero(images.labels == digit)[:FILES_PER_DIGIT]):
            Image.fromarray(images.pixels[place]).save(folder / f"{digit}-{number:02}.png", optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train, check and write the digits model.")
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write to (default: this one)")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)

    network = train(draw_images(TRAINING_PACKAGES, TRAINING_IMAGES, TRAINING_SEED))
    write_model(out / "model.onnx", network, SIGNATURE)

    heldout = draw_images(HELDOUT_PACKAGES, HELDOUT_IMAGES, HELDOUT_SEED)
    rows = heldout.inputs()
    output = run_model(out / "model.onnx", SIGNATURE, rows)
    check_agreement(network.predict(rows), output)
    report(output, heldout)

    # The images are in random order, so the first ones are a fair sample; none is picked.
    first = slice(0, RECORDED_IMAGES)
    write_heldout(out / "heldout.json", SIGNATURE, rows[first], output[first], heldout.labels[first])
    write_files(out / "heldout", heldout)


if __name__ == "__main__":
    main()
