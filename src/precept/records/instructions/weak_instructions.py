"""Instructions that say less or say it wrong: definitions that name the output space alone, and delusive examples.

Kung & Peng 2023 (2305.11383) train on them to see what instruction tuning learns beside the form of an answer.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from precept.records.readers.tk_instruct import TaskText

MOST_LABELS = 10
"""A task with at most so many different answers is a choice between them."""


def output_space(answers: Sequence[str]) -> str:
    """What a task's answers look like, and nothing of what it asks: its labels, else the kind of text.

    The paper writes these definitions by hand, from labels for classification and from the kind of text for
    generation; here they follow from the answers, so that every task has one.
    """
    different = list(dict.fromkeys(answer.strip() for answer in answers))
    if len(different) <= MOST_LABELS:
        return f"The output is one of: {', '.join(sorted(different))}."
    if all(answer.isdecimal() for answer in different):
        return "The output is a number."
    if all(len(answer.split()) == 1 for answer in different):
        return "The output is a word."
    if all(", " in answer for answer in different):
        return "The output is a list."
    return "The output is a text."


def with_delusive_examples(text: TaskText, answers: Sequence[str], rng: random.Random) -> tuple[TaskText, int]:
    """The task with another answer of its own, drawn from ``answers``, below each positive example; and how many
    examples keep theirs since there is no other."""
    kept = 0
    examples = []
    for example in text.positives:
        others = sorted({answer for answer in answers if answer.strip() != example.output.strip()})
        kept += not others
        # the explanation would give the right one away
        examples.append(replace(example, output=rng.choice(others), explanation=None) if others else example)
    return replace(text, positives=tuple(examples)), kept
