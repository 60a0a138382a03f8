"""Trains the digit classifier and writes `digits.mlpackage` and `digits_test.npz`.

    python examples/train_digits.py [folder]

The folder is where the two are written, by default the folder of this script.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from digits_network import CONST_SUFFIX, accuracy
from digits_package import build_model, save_package
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

SEED = 0
TEST_IMAGES = 500
EPOCHS = 60
BATCH_SIZE = 64
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 1e-2
DROPOUT = 0.5


def split_digits() -> list[np.ndarray]:
    """Train images, test images (float32 [n, 1, 8, 8]), train labels, test labels (uint8)."""
    digits = load_digits()
    images = (digits.images / 16).astype(np.float32)[:, np.newaxis]
    labels = digits.target.astype(np.uint8)
    parts: list[np.ndarray] = train_test_split(
        images, labels, test_size=TEST_IMAGES, random_state=SEED, stratify=labels
    )
    return parts


def build_network() -> nn.Sequential:
    """The untrained network; its layer names become the prefixes of the const names."""
    network = nn.Sequential()
    network.add_module("conv1", nn.Conv2d(1, 32, 3, padding=1))
    network.add_module("relu1", nn.ReLU())
    network.add_module("conv2", nn.Conv2d(32, 64, 3, stride=2, padding=1))
    network.add_module("relu2", nn.ReLU())
    network.add_module("flatten", nn.Flatten())
    network.add_module("dropout", nn.Dropout(DROPOUT))
    network.add_module("hidden", nn.Linear(1024, 64))
    network.add_module("relu3", nn.ReLU())
    network.add_module("output", nn.Linear(64, 10))
    return network


def train(network: nn.Sequential, images: torch.Tensor, labels: torch.Tensor) -> None:
    """Trains in place; the learning rate falls to zero along a cosine."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    loss_function = nn.CrossEntropyLoss()
    for _ in range(EPOCHS):
        for batch in torch.split(torch.randperm(len(images)), BATCH_SIZE):
            optimizer.zero_grad()
            loss_function(network(images[batch]), labels[batch]).backward()
            optimizer.step()
        schedule.step()
    network.eval()


def torch_accuracy(network: nn.Sequential, images: np.ndarray, labels: np.ndarray) -> float:
    """Share of the test images the float32 network gets right."""
    with torch.no_grad():
        predicted = network(torch.from_numpy(images)).argmax(dim=1).numpy()
    return float(np.mean(predicted == labels))


def trained_arrays(network: nn.Sequential) -> dict[str, np.ndarray]:
    """The parameters as float32 arrays, named such as `conv1_weight`."""
    parameters = network.named_parameters()
    return {name.replace(".", "_"): value.detach().numpy() for name, value in parameters}


def main() -> None:
    """Trains, writes both files and prints the accuracies."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    # One thread keeps the order of the additions, and so every bit of the weights, fixed.
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(SEED)

    train_images, test_images, train_labels, test_labels = split_digits()
    network = build_network()
    train(network, torch.from_numpy(train_images), torch.from_numpy(train_labels).long())
    arrays = trained_arrays(network)
    save_package(build_model(arrays), folder / "digits.mlpackage")
    np.savez_compressed(folder / "digits_test.npz", images=test_images, labels=test_labels)

    half = {name + CONST_SUFFIX: value.astype(np.float16) for name, value in arrays.items()}
    print(f"torch, float32: {torch_accuracy(network, test_images, test_labels):.4f}")
    print(f"numpy, float16 weights: {accuracy(half, test_images, test_labels):.4f}")


if __name__ == "__main__":
    main()
