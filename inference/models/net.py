"""A small feed-forward network in numpy: enough to train the demonstration models.

Tensors are float32; images are NCHW at the layer boundaries, as in ONNX, so that trained
weights are exported as they are. Training a few thousand weights takes minutes on one core,
which is cheaper than asking every reader for a deep learning framework.
"""

import os

# One thread adds sums in one order, which makes two runs on one machine give equal weights.
# Read by OpenBLAS when numpy loads, hence before the import.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Mode = Literal["softmax", "sigmoid"]


class Layer(Protocol):
    """One differentiable step. `backward` belongs to the latest `forward`."""

    def forward(self, x: Array) -> Array: ...

    def backward(self, gradient: Array) -> Array: ...


@dataclass
class Weights:
    """A trained tensor with its gradient and the two moments that Adam keeps."""

    value: Array
    gradient: Array = field(init=False)
    mean: Array = field(init=False)
    variance: Array = field(init=False)

    def __post_init__(self) -> None:
        self.gradient = np.zeros_like(self.value)
        self.mean = np.zeros_like(self.value)
        self.variance = np.zeros_like(self.value)


def he_normal(rng: np.random.Generator, shape: tuple[int, ...], fan_in: int) -> Weights:
    """Initial weights that keep the variance of activations through Relu (He et al. 2015, eq. 10)."""
    scale = np.sqrt(2.0 / fan_in)
    return Weights((rng.standard_normal(shape) * scale).astype(np.float32))


class Conv3x3:
    """3x3 convolution, stride 1, one pixel of zero padding; the weight is OIHW."""

    def __init__(self, rng: np.random.Generator, channels_in: int, channels_out: int) -> None:
        self.weight = he_normal(rng, (channels_out, channels_in, 3, 3), channels_in * 9)
        self.bias = Weights(np.zeros(channels_out, np.float32))

    def forward(self, x: Array) -> Array:
        n, c, h, w = x.shape
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
        self.columns = windows.transpose(0, 2, 3, 1, 4, 5).reshape(n * h * w, c * 9)
        self.shape = x.shape
        flat = self.columns @ self.weight.value.reshape(-1, c * 9).T + self.bias.value
        return flat.reshape(n, h, w, -1).transpose(0, 3, 1, 2)

    def backward(self, gradient: Array) -> Array:
        n, c, h, w = self.shape
        flat = gradient.transpose(0, 2, 3, 1).reshape(n * h * w, -1)
        self.weight.gradient = (flat.T @ self.columns).reshape(self.weight.value.shape)
        self.bias.gradient = flat.sum(axis=0)
        windows = (flat @ self.weight.value.reshape(-1, c * 9)).reshape(n, h, w, c, 3, 3)
        padded = np.zeros((n, h + 2, w + 2, c), np.float32)
        for row in range(3):
            for column in range(3):
                padded[:, row : row + h, column : column + w] += windows[..., row, column]
        return padded[:, 1:-1, 1:-1].transpose(0, 3, 1, 2)


class MaxPool2x2:
    """Maximum over disjoint 2x2 windows; height and width must be even."""

    def forward(self, x: Array) -> Array:
        n, c, h, w = x.shape
        tiles = x.reshape(n, c, h // 2, 2, w // 2, 2).transpose(0, 1, 2, 4, 3, 5)
        self.tiles_shape = tiles.shape
        flat = tiles.reshape(n, c, h // 2, w // 2, 4)
        self.winner = flat.argmax(axis=-1)[..., None]
        return np.take_along_axis(flat, self.winner, axis=-1)[..., 0]

    def backward(self, gradient: Array) -> Array:
        n, c, h, w, _, _ = self.tiles_shape
        flat = np.zeros((n, c, h, w, 4), np.float32)
        np.put_along_axis(flat, self.winner, gradient[..., None], axis=-1)
        tiles = flat.reshape(self.tiles_shape).transpose(0, 1, 2, 4, 3, 5)
        return tiles.reshape(n, c, h * 2, w * 2)


class Relu:
    """max(x, 0)."""

    def forward(self, x: Array) -> Array:
        self.positive = x > 0
        return np.where(self.positive, x, np.float32(0))

    def backward(self, gradient: Array) -> Array:
        return np.where(self.positive, gradient, np.float32(0))


class Flatten:
    """All axes but the first become one, in row-major order."""

    def forward(self, x: Array) -> Array:
        self.shape = x.shape
        return x.reshape(len(x), -1)

    def backward(self, gradient: Array) -> Array:
        return gradient.reshape(self.shape)


class Dense:
    """x W^T + b; the weight is [out, in], as ONNX Gemm with transB = 1 takes it."""

    def __init__(self, rng: np.random.Generator, width_in: int, width_out: int) -> None:
        self.weight = he_normal(rng, (width_out, width_in), width_in)
        self.bias = Weights(np.zeros(width_out, np.float32))

    def forward(self, x: Array) -> Array:
        self.input = x
        return x @ self.weight.value.T + self.bias.value

    def backward(self, gradient: Array) -> Array:
        self.weight.gradient = gradient.T @ self.input
        self.bias.gradient = gradient.sum(axis=0)
        return gradient @ self.weight.value


class Standardise:
    """(x - mean) / deviation with the training data's figures, kept inside the model.

    A caller then sends raw units and cannot normalise with figures of its own.
    """

    def __init__(self, sample: Array) -> None:
        self.mean = sample.mean(axis=0, dtype=np.float64).astype(np.float32)
        self.deviation = sample.std(axis=0, dtype=np.float64).astype(np.float32)

    def forward(self, x: Array) -> Array:
        return (x - self.mean) / self.deviation

    def backward(self, gradient: Array) -> Array:
        return gradient / self.deviation


@dataclass
class Network:
    """Layers in order, and how the last one's output becomes probabilities."""

    layers: list[Layer]
    mode: Mode

    def logits(self, x: Array) -> Array:
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def predict(self, x: Array, batch: int = 512) -> Array:
        parts = [self.logits(x[i : i + batch]) for i in range(0, len(x), batch)]
        return probabilities(np.concatenate(parts), self.mode)

    def weights(self) -> Iterator[Weights]:
        for layer in self.layers:
            if isinstance(layer, Conv3x3 | Dense):
                yield layer.weight
                yield layer.bias


@dataclass(frozen=True)
class Schedule:
    """Adam's settings. The rate falls to zero along half a cosine, with no warm-up."""

    epochs: int
    batch: int
    rate: float
    decay: float = 1e-4


def fit(network: Network, x: Array, target: Array, schedule: Schedule, rng: np.random.Generator) -> None:
    """Minimises cross-entropy with AdamW (Loshchilov and Hutter 2019, algorithm 2).

    `target` has the shape of the output: one-hot rows for softmax, 0 or 1 for sigmoid.
    """
    steps = schedule.epochs * (len(x) // schedule.batch)
    step = 0
    for epoch in range(schedule.epochs):
        order = rng.permutation(len(x))
        loss = 0.0
        for start in range(0, len(x) - schedule.batch + 1, schedule.batch):
            rows = order[start : start + schedule.batch]
            output = probabilities(network.logits(x[rows]), network.mode)
            loss += cross_entropy(output, target[rows], network.mode) * len(rows)
            # For softmax and for sigmoid alike, cross-entropy's gradient at the logits is p - t.
            gradient = (output - target[rows]) / np.float32(len(rows))
            for layer in reversed(network.layers):
                gradient = layer.backward(gradient)
            step += 1
            adam(network, schedule, step, steps)
        print(f"epoch {epoch + 1:2} of {schedule.epochs}: loss {loss / len(x):.4f}", flush=True)


def adam(network: Network, schedule: Schedule, step: int, steps: int) -> None:
    """One update of every weight; `step` counts from 1."""
    rate = schedule.rate * 0.5 * (1.0 + np.cos(np.pi * step / steps))
    for weights in network.weights():
        weights.mean += np.float32(0.1) * (weights.gradient - weights.mean)
        weights.variance += np.float32(0.001) * (weights.gradient**2 - weights.variance)
        mean = weights.mean / (1.0 - 0.9**step)
        deviation = np.sqrt(weights.variance / (1.0 - 0.999**step))
        change = mean / (deviation + 1e-8) + schedule.decay * weights.value
        weights.value -= (rate * change).astype(np.float32)


def probabilities(logits: Array, mode: Mode) -> Array:
    if mode == "sigmoid":
        return (1.0 / (1.0 + np.exp(-logits.astype(np.float64)))).astype(np.float32)
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def cross_entropy(output: Array, target: Array, mode: Mode) -> float:
    """Mean over rows; the output is kept off 0 so that one sure mistake stays finite."""
    likely = np.log(np.maximum(output, 1e-12))
    total = (target * likely).sum()
    if mode == "sigmoid":
        total += ((1.0 - target) * np.log(np.maximum(1.0 - output, 1e-12))).sum()
    return float(-total / len(output))
