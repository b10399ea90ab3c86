"""What a base model knows of the world: texts cut before a word, and whether the model goes on with it.

``python -m precept.bundled.cloze --model DIR`` prints the share of right answers by skill. Skills are named like the
training tasks that need them. The questions are sentences of the pretraining text's forms, about lists that are drawn
anew; facts stand in the pretraining text.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from precept.bundled.instances import CHOSEN_GROUPS
from precept.bundled.listing import OPERATIONS, draw_list, write_list
from precept.bundled.world import World, build_world, capitalise, read_words
from precept.errors import InputError, PreceptError

QUESTIONS = 60
"""Of each skill at most."""
BATCH = 64

Cloze = tuple[str, str]
"""A text to go on from, and what comes next, behind a blank."""


def cloze_questions(world: World, *, seed: int = 1) -> dict[str, list[Cloze]]:
    """Skill -> its questions, the same for the same world and seed."""
    forms = read_words("sentences")
    found: dict[str, list[Cloze]] = {}
    for skill, question in (*_facts(world), *_words(world, forms), *_lists(world, forms, seed)):
        found.setdefault(skill, []).append(question)
    rng = random.Random(f"cloze {seed}")
    return {skill: rng.sample(own, min(QUESTIONS, len(own))) for skill, own in found.items()}


def ask(model: Any, tokenizer: Any, questions: Sequence[Cloze]) -> list[bool]:
    """Whether greedy continuation gives the whole answer; in one pass, since a wrong token cannot be made good."""
    import torch

    def encode(text: str) -> list[int]:
        """With a blank in front, as inside a text: at its very start a name is other tokens."""
        ids: list[int] = tokenizer(f" {text}", add_special_tokens=False).input_ids
        return ids

    right: list[bool] = []
    for start in range(0, len(questions), BATCH):
        pairs = [[encode(text), encode(answer)] for text, answer in questions[start : start + BATCH]]
        width = max(len(text) + len(answer) for text, answer in pairs)
        ids = torch.zeros((len(pairs), width), dtype=torch.long)  # padding stands behind, where nothing looks at it
        for row, (text, answer) in enumerate(pairs):
            ids[row, : len(text) + len(answer)] = torch.tensor(text + answer)
        with torch.no_grad():
            best = model(input_ids=ids.to(model.device)).logits.argmax(-1).tolist()
        right += [
            best[row][len(text) - 1 : len(text) + len(answer) - 1] == answer for row, (text, answer) in enumerate(pairs)
        ]
    return right


def cloze_accuracy(folder: str, *, seed: int = 1) -> dict[str, dict[str, float]]:
    """Skill -> ``{value, n}`` of a model folder. Raises InputError for a folder without a tokenizer or a model."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForCausalLM.from_pretrained(folder).float().eval()
    except (OSError, ValueError) as error:
        raise InputError(
            "the model does not load", code="model-unreadable", where=folder, found=str(error), do="name a model folder"
        ) from None
    accuracy = {}
    for skill, questions in cloze_questions(build_world(0), seed=seed).items():
        right = ask(model, tokenizer, questions)
        accuracy[skill] = {"value": sum(right) / len(right), "n": len(right)}
    return accuracy


def _cut(sentence: str, answer: object) -> Cloze:
    """A sentence without its end; raises ValueError where it does not end in the answer."""
    body = sentence.rstrip(".")
    if not body.endswith(f" {str(answer).rstrip('.')}"):
        raise ValueError(f"{sentence!r} does not end in {answer!r}")
    return body[: -len(str(answer).rstrip(".")) - 1], str(answer)


def _facts(world: World) -> Iterator[tuple[str, Cloze]]:
    for fact in world.facts:
        # "The whale" could go on with anything
        told = [text for text in fact.sentences if text.count(" ") > 2 or fact.relation != "sound"]
        ending = next((text for text in told if text.endswith(f" {fact.value}.")), None)
        if ending is not None:
            yield f"{fact.thing.kind}_{fact.relation}", _cut(ending, fact.value)
            if ending == fact.sentences[0] and fact.thing.kind != "pet" and fact.relation != "sound":
                yield f"complete_{fact.thing.kind}", _cut(ending, fact.value)


def _words(world: World, forms: Mapping[str, Any]) -> Iterator[tuple[str, Cloze]]:
    words = forms["words"]
    for a, b in world.opposites:
        for x, y in ((a, b), (b, a)):
            yield "opposite", _cut(words["opposites"][0].format(x=x, y=y), y)
    for one, many in world.plurals:
        yield "plural", _cut(words["plurals"][1].format(x=one, y=many), many)
        yield "singular", _cut(words["plurals"][4].format(x=one, y=many), one)
    for now, then in world.past:
        yield "past", _cut(words["past"][1].format(x=now, y=then), then)
        yield "present", _cut(words["past"][4].format(x=now, y=then), now)
    for name, members in world.groups.items():
        for word in members:
            yield "group", _cut(forms["groups"]["member"][1].format(x=word, y=name), name)
    for left in range(1, 20):
        for right in range(1, 21 - left):
            both = left + right
            yield "plus", _cut(forms["sums"]["plus"][2].format(a=left, b=right, c=both), both)
            yield "minus", _cut(forms["sums"]["minus"][2].format(a=both, b=right, c=left), left)


def _lists(world: World, forms: Mapping[str, Any], seed: int) -> Iterator[tuple[str, Cloze]]:
    rng = random.Random(f"cloze lists {seed}")
    said = forms["say"]["list"][0]
    for _ in range(QUESTIONS):
        for kind, items in world.lists.items():
            for operation, apply in OPERATIONS.items():
                words = draw_list(items, rng)
                end = _cut(forms["outcome"][operation][0].format(r=apply(words), k=kind), apply(words))
                yield f"{operation}_{kind}", (f"{said.format(l=write_list(words), k=kind)} {end[0]}", end[1])
        numbers = draw_list(world.lists["number"], rng)
        for name, answer in (("biggest", max(numbers, key=int)), ("smallest", min(numbers, key=int))):
            end = _cut(forms["outcome"][name][0].format(r=answer), answer)
            yield name, (f"{said.format(l=write_list(numbers), k='number')} {end[0]}", end[1])
        small, big = sorted(rng.sample(range(1, 51), 2))
        yield "bigger", _cut(forms["compare"]["numbers"][0].format(a=small, b=big), big)
        yield "smaller", _cut(forms["compare"]["numbers"][2].format(a=small, b=big), small)
        for group in CHOSEN_GROUPS:
            word = rng.choice(world.groups[group])
            others = rng.sample([name for name in world.groups if name != group], 3)
            row = rng.sample([word, *(rng.choice(world.groups[other]) for other in others)], 4)
            sentence = forms["groups"]["among"][0].format(l=write_list(row), x=word, y=group)
            yield f"choose_{group}", _cut(capitalise(sentence), word)
        text = rng.choice(rng.choice(world.facts).sentences)
        words = text.rstrip(".").split()
        yield "again", (f"{text} {forms['echo']['again'][3].format(s='').rstrip()}", text)
        for name, key, answer in (("sentence_end", "ends", words[-1]), ("sentence_start", "begins", words[0])):
            end = _cut(forms["echo"][key][0].format(first=answer, last=answer), answer)
            yield name, (f"{text} {end[0]}", end[1])


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m precept.bundled.cloze", description=__doc__)
    parser.add_argument("--model", required=True, help="model folder")
    given = parser.parse_args(arguments)
    try:
        accuracy = cloze_accuracy(given.model)
    except PreceptError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(json.dumps(accuracy, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
