"""Train a small network on real handwritten digits, on the backend of your choice, and paint what it learned.

    python docs/examples/train_digits.py --backend numpy
    python docs/examples/train_digits.py --backend jax --epochs 30 --out digits.png

Needs the extra `examples`: scikit-learn for the digits, matplotlib for the picture, tqdm for the progress.
Exits with 1 if fewer than 97 % of the digits that the network has never seen are read correctly.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # for matrices this small, more threads only get in the way

import numpy as np

import autodiff_api as ad
import autodiff_api.nn.functional as F

try:
    from digits_picture import Readings, paint
    from scipy import ndimage
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
    from tqdm import tqdm
except ImportError as missing:
    sys.exit(f'{missing}. This example needs an extra of the library: pip install -e ".[examples]"')

WANTED = 0.97
BATCH = 64
LEARNING_RATE = 3e-3


class Network(ad.nn.Module):
    """Read digits of 8x8 pixels: 64 numbers in, one score for each of the ten digits out."""

    def __init__(self) -> None:
        super().__init__()
        self.first = ad.nn.Linear(64, 256)
        self.second = ad.nn.Linear(256, 128)
        self.last = ad.nn.Linear(128, 10)

    def forward(self, pixels: ad.Tensor) -> ad.Tensor:
        hidden = F.relu(self.first(pixels))
        hidden = F.relu(self.second(hidden))
        return self.last(hidden)


@dataclass
class Digits:
    """The 1797 digits of scikit-learn, as NumPy arrays: images (n, 8, 8) between 0 and 1, labels (n,)."""

    train_images: np.ndarray
    test_images: np.ndarray
    train_labels: np.ndarray
    test_labels: np.ndarray

    @classmethod
    def load(cls, seed: int) -> Digits:
        digits = load_digits()
        split = train_test_split(
            digits.images.astype(np.float32) / 16,
            digits.target,
            test_size=360,
            stratify=digits.target,
            random_state=seed,
        )
        return cls(*split)


@dataclass
class History:
    """The loss of every step, and after every epoch the loss and the accuracy on the test digits."""

    step_loss: list[float] = field(default_factory=list)
    test_loss: list[float] = field(default_factory=list)
    test_accuracy: list[float] = field(default_factory=list)


def flat(images: np.ndarray) -> ad.Tensor:
    return ad.tensor(images.reshape(len(images), 64))


def nudged(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Move images by up to half a pixel, so that no two epochs show the network the same ones."""
    down, right = rng.uniform(-0.5, 0.5, size=2)
    return ndimage.shift(images, (0, down, right), order=1, mode="grid-constant")


def train(network: Network, digits: Digits, epochs: int, rng: np.random.Generator) -> History:
    history = History()
    optimizer = ad.optim.AdamW(network.parameters(), lr=LEARNING_RATE)
    progress = tqdm(range(epochs), desc="training", unit="epoch")
    for epoch in progress:
        for group in optimizer.param_groups:  # half a cosine: large steps first, tiny ones last
            group["lr"] = LEARNING_RATE * (1 + math.cos(math.pi * epoch / epochs)) / 2

        shuffled = rng.permutation(len(digits.train_images))
        for start in range(0, len(shuffled) - BATCH + 1, BATCH):
            batch = shuffled[start : start + BATCH]
            scores = network(flat(nudged(digits.train_images[batch], rng)))
            loss = F.cross_entropy(scores, ad.tensor(digits.train_labels[batch]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            history.step_loss.append(loss.item())

        with ad.no_grad():
            scores = network(flat(digits.test_images))
            history.test_loss.append(F.cross_entropy(scores, ad.tensor(digits.test_labels)).item())
        history.test_accuracy.append(float(np.mean(scores.numpy().argmax(axis=1) == digits.test_labels)))
        progress.set_postfix(loss=f"{history.test_loss[-1]:.3f}", accuracy=f"{history.test_accuracy[-1]:.1%}")
    return history


def read(network: Network, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the digit read in each image, and the gradient of its score with respect to the pixels."""
    pixels = flat(images).requires_grad_()
    best = network(pixels).max(axis=1)
    best.sum().backward()  # no image has a say in another's score: one backward pass serves them all
    with ad.no_grad():
        predicted = network(pixels).argmax(axis=1)
    return predicted.numpy(), pixels.grad.numpy().reshape(images.shape)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default=ad.default_backend(), help="numpy, jax ... (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=60, help="passes over the digits (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="fixes all that is drawn (default: %(default)s)")
    parser.add_argument("--out", metavar="FILE.png", help="the picture (default: beside this script)")
    options = parser.parse_args()
    if options.epochs < 1:
        parser.error("--epochs must be at least 1")
    options.out = options.out or os.path.relpath(Path(__file__).with_name(f"digits-{options.backend}.png"))
    return options


def run(options: argparse.Namespace) -> float:
    """Train, paint and report; return the accuracy on the test digits."""
    ad.manual_seed(options.seed)
    digits, network = Digits.load(options.seed), Network()
    start = time.perf_counter()
    history = train(network, digits, options.epochs, np.random.default_rng(options.seed))
    seconds = time.perf_counter() - start

    predicted, gradients = read(network, digits.test_images)
    accuracy = float(np.mean(predicted == digits.test_labels))
    percent = f"{100 * accuracy:.1f} %"
    readings = Readings(images=digits.test_images, labels=digits.test_labels, predicted=predicted, gradients=gradients)
    paint(
        options.out,
        f"{percent} of handwritten digits read correctly",
        f"A network of 64, 256, 128 and 10 units, trained on {len(digits.train_labels)} digits "
        f"for {options.epochs} epochs in {seconds:.1f} s on the {options.backend} backend",
        history.step_loss,
        history.test_loss,
        readings,
    )
    print(f"{percent} of {len(predicted)} test digits read correctly after {seconds:.1f} s of training")
    print(f"picture: {options.out}")
    return accuracy


def main() -> int:
    options = arguments()
    try:
        with ad.use_backend(options.backend):
            return 0 if run(options) >= WANTED else 1
    except ad.BackendError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
