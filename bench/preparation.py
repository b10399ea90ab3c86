"""Rows of the size of Alpaca's, made from a seed, and how fast they become proven token sequences.

    python -m bench.preparation --rows 200000
    python -m bench.preparation --rows 20000 --rows 2000000 --processes 2

Each measurement runs in a process of its own: reading, rendering, proving and storing the rows, then once more with
the result kept. Memory is the peak of the processes' resident memory. ``bench.sft`` gives the same rows to its peers.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson

SEED = 0
WORDS = 20_000
SYLLABLES = [c + v + e for c in "bcdfghklmnprstvw" for v in "aeiou" for e in ("", "n", "r", "s", "t", "l")]
ODD = ("naïve", "café", "Zürich", "“so”", "東京", "π≈3.14", "x²", "—")
"""Words of two to four bytes a character, in about one row in ten."""


def words(rng: np.random.Generator) -> list[str]:
    """A vocabulary of made-up words, the frequent ones short."""
    made: dict[str, None] = {}
    while len(made) < WORDS:
        size = 1 + min(3, int(rng.geometric(0.5 if len(made) > 500 else 0.9)) - 1 + (len(made) > 200))
        made["".join(SYLLABLES[i] for i in rng.integers(len(SYLLABLES), size=size))] = None
    return list(made)


def write_rows(path: Path, rows: int, *, seed: int = SEED) -> Path:
    """Write ``rows`` JSON lines with instruction, input (empty in three of five) and output, whose lengths are spread
    like Alpaca's: medians of 9, 12 and 40 words. Equal rows and seed give equal bytes."""
    rng = np.random.default_rng(seed)
    vocabulary = np.array(words(rng), object)
    share = np.cumsum(1 / (np.arange(WORDS) + 2.7))  # Zipf's law with Mandelbrot's shift, as in English
    path.parent.mkdir(parents=True, exist_ok=True)

    def texts(count: int, median: float, spread: float) -> list[str]:
        sizes = np.exp(rng.normal(np.log(median), spread, count)).round().clip(1, 400).astype(int)
        drawn = np.searchsorted(share, rng.random(int(sizes.sum())) * share[-1])
        return [_text(part, rng) for part in np.split(vocabulary[drawn], np.cumsum(sizes)[:-1])]

    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        for start in range(0, rows, 10_000):
            count = min(10_000, rows - start)
            given = rng.random(count) < 0.4
            columns = texts(count, 9, 0.35), texts(count, 12, 0.7), texts(count, 40, 0.8)
            for asks, extra, answer, has in zip(*columns, given, strict=True):
                row = {"instruction": asks, "input": extra if has else "", "output": answer}
                file.write(orjson.dumps(row) + b"\n")
    partial.replace(path)
    return path


def _text(drawn: np.ndarray, rng: np.random.Generator) -> str:  # type: ignore[type-arg]
    """Sentences of about a dozen words; some hold a number, a list or an odd character."""
    parts = drawn.tolist()
    if (dice := int(rng.integers(100))) < 10:
        parts[dice % len(parts)] = ODD[dice % len(ODD)] if dice < 4 else str(dice * 37)
    lines = [" ".join(parts[i : i + 12]).capitalize() for i in range(0, len(parts), 12)]
    return "\n- ".join(lines) if dice > 90 else ". ".join(lines) + "."
