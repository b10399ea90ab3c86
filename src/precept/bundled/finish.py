"""``python -m precept.bundled.finish --world DIR --run DIR --out DIR``: a pretrained run as the bundled model folder.

Weights and tokenizer are copied as they are; the curve is thinned; the card says what the model knows, measured here.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Template

from precept.bundled.cloze import cloze_accuracy
from precept.errors import InputError, PreceptError

FILES = ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
CURVE_EVERY = 50
SKILLS: Mapping[str, str | tuple[str, ...]] = {
    "facts about people": "person_",
    "facts about animals": "animal_",
    "facts about objects": "object_",
    "facts about towns": "town_",
    "facts about pets": "pet_",
    "one word of a list (first, second, third, last)": ("first_", "second_", "third_", "last_"),
    "a list in reverse order": "reverse_",
    "a list without its first or last word": "drop_",
    "counting a list": "count_",
    "the biggest or smallest number of a list": ("biggest", "smallest"),
    "the bigger or smaller of two numbers": ("bigger", "smaller"),
    "the one word of a group among four": "choose_",
    "a sentence said again": ("again",),
    "the first or last word of a sentence": "sentence_",
    "opposites": ("opposite",),
    "plurals and singulars": ("plural", "singular"),
    "past and present forms": ("past", "present"),
    "the group of a word": ("group",),
    "sums up to 20": ("plus",),
    "differences up to 20": ("minus",),
}
"""What the card lists -> how the names of its cloze skills begin."""


def finish(world: Path, run: Path, out: Path) -> None:
    """Write the bundled model folder. Raises InputError where the run is not completed."""
    if not (run / "COMPLETED").is_file():
        raise InputError(
            "the pretraining is not completed", code="run-not-completed", where=str(run), do="finish the run first"
        )
    out.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copyfile(run / name, out / name)
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    (out / "curve.jsonl").write_text("".join(json.dumps(point) + "\n" for point in _curve(records)), encoding="utf-8")
    manifest = json.loads((world / "manifest.json").read_text(encoding="utf-8"))
    corpus = {key: manifest[key] for key in ("seed", "documents", "corpus_hash")}
    (out / "corpus.json").write_text(json.dumps(corpus, indent=1) + "\n", encoding="utf-8")
    result = json.loads((run / "COMPLETED").read_text(encoding="utf-8"))
    machine = json.loads((run / "environment.json").read_text(encoding="utf-8"))
    accuracy = cloze_accuracy(str(out))
    (out / "cloze.json").write_text(json.dumps(accuracy, indent=1) + "\n", encoding="utf-8")
    (out / "README.md").write_text(_card(manifest, result, machine, _parameters(out), accuracy), encoding="utf-8")


def _curve(records: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Training loss as the mean of every fifty steps, and each evaluation loss."""
    losses: list[float] = []
    for record in records:
        if "loss" in record:
            losses.append(record["loss"])
            if len(losses) == CURVE_EVERY:
                yield {"step": record["step"], "loss": round(sum(losses) / CURVE_EVERY, 4)}
                losses = []
        elif "eval_loss" in record:
            yield {"step": record["step"], "eval_loss": round(record["eval_loss"], 4)}


def _parameters(folder: Path) -> int:
    from safetensors import safe_open

    with safe_open(folder / "model.safetensors", framework="numpy") as weights:
        shapes = [weights.get_slice(name).get_shape() for name in weights.keys()]  # noqa: SIM118 - no mapping
    total = 0
    for shape in shapes:
        size = 1
        for length in shape:
            size *= length
        total += size
    return total


def _card(
    manifest: Mapping[str, Any],
    result: Mapping[str, Any],
    machine: Mapping[str, Any],
    parameters: int,
    accuracy: Mapping[str, Mapping[str, float]],
) -> str:
    knows = []
    for told, names in SKILLS.items():
        own = [score for skill, score in accuracy.items() if skill.startswith(names)]
        count = sum(score["n"] for score in own)
        share = sum(score["value"] * score["n"] for score in own) / count
        knows.append((told, f"{100 * share:.0f}", count))
    values = {"manifest": manifest, "result": result, "machine": machine, "millions": parameters / 1e6, "knows": knows}
    template = Template(resources.files("precept.bundled").joinpath("card.md.jinja").read_text(encoding="utf-8"))
    card: str = template.render(values)
    return card


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m precept.bundled.finish", description=__doc__)
    parser.add_argument("--world", type=Path, required=True, help="folder that precept.bundled.make wrote")
    parser.add_argument("--run", type=Path, required=True, help="the pretraining step's folder")
    parser.add_argument("--out", type=Path, required=True, help="model folder to write")
    given = parser.parse_args(arguments)
    try:
        finish(given.world, given.run, given.out)
    except PreceptError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
