"""Log-likelihoods of multiple-choice options: Precept beside lm-evaluation-harness' Hugging Face model.

python -m bench.scoring --workload mmlu bbh [--pairs 5] [--items N] [--json]

Both sides get the same model and the same requests as token ids. Likelihoods must agree to 1e-4 in float32 before
anything is timed. Then Precept in bfloat16 takes turns with the peer at the fastest of 1 to 32 requests a batch and
of float32 and bfloat16, searched on a part of the requests once a machine.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.alternate import Answer, Side, compare, fastest, make_environment, parser, serve, side_words

if TYPE_CHECKING:
    from bench.questions import Question

PEER = ("lm-eval==0.4.13", "transformers==5.23.0", "accelerate==1.15.0")
BATCHES = (1, 2, 4, 8, 16, 32)
BOUND = 1e-4  # of a likelihood, absolute where it is small and relative where it is large
PART = 8  # the search runs one question in so many

Rows = list[tuple[list[int], list[int]]]
"""Context and continuation of each request."""


def run(workload: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """One workload's document."""
    from bench.questions import make_model, make_questions, read_tokenizer, write_questions

    folder = arguments.output
    folder.mkdir(parents=True, exist_ok=True)
    model = make_model(folder / "model", data=arguments.data)
    questions = make_questions(workload, read_tokenizer(model), data=arguments.data, items=arguments.items)
    if not questions:
        raise SystemExit(f"no questions: {arguments.data / 'bbh'} holds no files")
    path = folder / f"{workload}-{len(questions)}.json"
    write_questions(questions, path)
    peer = make_environment(Path(".bench/venvs/lm-eval"), PEER)

    def open_side(python: str | Path, side: str, dtype: str) -> Side:
        words = side_words("bench.scoring", side, model / dtype, path, arguments.threads)
        return Side([str(python), *words], folder / f"{side}.log")

    with open_side(sys.executable, "precept", "float32") as ours, open_side(peer, "lm-eval", "float32") as theirs:
        difference = _difference(ours.ask(part=PART), theirs.ask(part=PART, batch_size=8))
        if difference > BOUND:
            raise SystemExit(f"likelihoods differ by {difference:.1e}, beyond {BOUND:.0e}: nothing is timed")
    dtype, batch_size = fastest(
        lambda dtype: open_side(peer, "lm-eval", dtype), folder / f"best-{path.name}", batches=BATCHES, part=PART
    )
    with open_side(sys.executable, "precept", "bfloat16") as ours, open_side(peer, "lm-eval", dtype) as theirs:
        result = compare(ours, theirs, pairs=arguments.pairs, part=1, batch_size=batch_size)
    for side in ("ours", "theirs"):
        result[side]["items_per_second"] = len(questions) / result[side]["seconds"]
    return {
        "workload": workload,
        "peer": PEER[0],
        "settings": {"dtype": dtype, "batch_size": batch_size},
        "items": len(questions),
        "requests": sum(len(question.options) for question in questions),
        "tasks": len({question.task for question in questions}),
        "distinct_share": _distinct_share(questions),
        "largest_difference": difference,
        **result,
    }


def _difference(ours: dict[str, Any], theirs: dict[str, Any]) -> float:
    pairs = zip(ours["logps"], theirs["logps"], strict=True)
    return float(max(abs(mine - other) / max(1.0, abs(other)) for mine, other in pairs))


def _distinct_share(questions: list[Question]) -> float:
    from precept.forest import distinct_tokens

    sequences = [sequence for question in questions for sequence in _sequences(question)]
    return distinct_tokens(sequences) / sum(len(sequence.ids) for sequence in sequences)


def _sequences(question: Question) -> list[Any]:
    import numpy as np

    from precept.types import Source, TokenSequence

    length = len(question.context)
    return [
        TokenSequence(
            np.array([*question.context, *option], np.int32),
            np.repeat(np.array([0, 1], np.float32), [length, len(option)]),
            Source(question.task, 1, "0" * 16),
        )
        for option in question.options
    ]


def score_with_precept(model: str) -> Answer:
    """Likelihoods as ``precept eval`` takes them."""
    from bench.questions import Question
    from precept.evaluate import Item
    from precept.run.opened import make_chooser, open_model

    opened = open_model(model, chat_template=None)
    opened.chosen  # noqa: B018  # the probe, which runs once a model

    def score(questions: list[dict[str, Any]], asked: Mapping[str, Any]) -> dict[str, Any]:
        def option_sequences(item: Item) -> list[Any]:
            return _sequences(Question(**questions[int(item.id)]))

        items = [
            Item(str(place), question["task"], (), (), (), tuple(map(str, question["options"])))
            for place, question in enumerate(questions)
        ]
        logps = [logp for choice in make_chooser(opened, option_sequences)(items) for logp in choice.logps]
        return _told(logps, asked)

    return score


def score_with_lm_eval(model: str) -> Answer:
    """Likelihoods of the harness' own model class, from the step on that follows its tokenizer."""
    from lm_eval.models.huggingface import HFLM

    peer = HFLM(pretrained=model, device="cpu", dtype="auto", batch_size=1)

    def score(questions: list[dict[str, Any]], asked: Mapping[str, Any]) -> dict[str, Any]:
        peer.batch_size_per_gpu = asked["batch_size"]
        requests = [
            (("", ""), list(question["context"]), list(option))
            for question in questions
            for option in question["options"]
        ]
        return _told([float(logp) for logp, _ in peer._loglikelihood_tokens(requests, disable_tqdm=True)], asked)

    return score


def _told(logps: list[float], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Likelihoods are told of a part only: all of them would be much to read while the clock runs."""
    return {"logps": logps} if asked["part"] > 1 else {}


SIDES = {"precept": score_with_precept, "lm-eval": score_with_lm_eval}


def main() -> None:
    arguments = parser(__doc__, sides=list(SIDES)).parse_args()
    if arguments.side:
        return serve(SIDES[arguments.side], arguments)
    results = []
    for workload in arguments.workload:
        results.append(run(workload, arguments))
        print(table(results[-1:]), file=sys.stderr, flush=True)
    print(json.dumps(results, indent=2) if arguments.json else table(results))
    return None


def table(results: list[dict[str, Any]]) -> str:
    """The comparison as markdown."""
    lines = ["| workload | items | tasks | distinct | ours, items/s | lm-eval, items/s | ratio (low to high) | peer |"]
    lines += ["|---|---:|---:|---:|---:|---:|---:|---|"]
    for result in results:
        ratio, settings = result["ratio"], result["settings"]
        lines.append(
            f"| {result['workload']} | {result['items']} | {result['tasks']} | {100 * result['distinct_share']:.0f} % |"
            f" {result['ours']['items_per_second']:.1f} | {result['theirs']['items_per_second']:.1f} |"
            f" {ratio['median']:.1f} ({ratio['low']:.1f} to {ratio['high']:.1f}) |"
            f" {settings['dtype']}, batches of {settings['batch_size']} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
