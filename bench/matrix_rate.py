"""How many floating-point operations a second this machine's matrix products reach.

python -m bench.matrix_rate --model .bench/sft/models/20m [--device cuda]

At 1,024 x 1,024 x 1,024, and at the shapes of a model: 2,048 tokens through each matrix of a layer, forward and the two
products of the backward pass, weighted as they occur.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.flops import LlamaShape

TOKENS = 2048
CUBE = 1024
SECONDS = 0.4
"""How long each shape is repeated at least, after one untimed product."""
ROUNDS = 5


def rate(shapes: list[tuple[int, int, int, int]], *, dtype: str, device: str) -> float:
    """Operations a second over products [m, k] x [k, n], each so many times; the median of a few rounds."""
    import torch

    kind, place = getattr(torch, dtype), torch.device(device)
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    pairs = [
        (torch.randn(m, k, dtype=kind, device=place), torch.randn(k, n, dtype=kind, device=place), count)
        for m, k, n, count in shapes
    ]

    def once() -> None:
        for left, right, count in pairs:
            for _ in range(count):
                left @ right

    work = sum(2 * m * k * n * count for m, k, n, count in shapes)
    once()
    return statistics.median(work / _seconds(once, wait) for _ in range(ROUNDS))


def _seconds(once: Callable[[], None], wait: Callable[[], None]) -> float:
    """Seconds of one call, over as many as fill the time."""
    wait()
    began, calls = time.perf_counter(), 0
    while time.perf_counter() - began < SECONDS / ROUNDS or not calls:
        once()
        wait()
        calls += 1
    return (time.perf_counter() - began) / calls


def model_shapes(shape: LlamaShape) -> list[tuple[int, int, int, int]]:
    """Products of one layer: forward, and the gradients of its input and of its weight."""
    products = []
    for inputs, outputs, count in shape.matrices():
        products += [
            (TOKENS, inputs, outputs, count),
            (TOKENS, outputs, inputs, count),
            (inputs, TOKENS, outputs, count),
        ]
    return products


def measure(model: Path, *, device: str) -> dict[str, Any]:
    """Rates in operations a second by precision, at the cube and at the model's own shapes."""
    shapes = {"cube": [(CUBE, CUBE, CUBE, 1)], "model": model_shapes(LlamaShape.read(model))}
    return {
        dtype: {name: rate(shape, dtype=dtype, device=device) for name, shape in shapes.items()}
        for dtype in ("bfloat16", "float32")
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    given = parser.parse_args()
    print(json.dumps(measure(given.model, device=given.device)))


if __name__ == "__main__":
    main()
