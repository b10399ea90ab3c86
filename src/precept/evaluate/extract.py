"""From a model's whole output to the answer that is scored: named rules that task files refer to."""

from __future__ import annotations

from collections.abc import Callable

ANSWER_PHRASE = "the answer is"


def whole(output: str) -> str:
    """The output as it is."""
    return output


def first_line(output: str) -> str:
    """The first line that is not blank, without outer blanks."""
    return output.strip().partition("\n")[0].rstrip()


def bbh_direct(output: str) -> str:
    """The text before the first line feed, stripped, without one final period: the rule behind the published
    answer-only accuracies of BIG-Bench Hard (2210.09261)."""
    return _without_period(output.partition("\n")[0])


def bbh_cot(output: str) -> str:
    """The text before the first blank line, then what follows its last "the answer is" (case-sensitive; all
    of it where the phrase is absent), stripped, without one final period: the rule behind the published
    chain-of-thought accuracies of BIG-Bench Hard (2210.09261)."""
    return _without_period(output.partition("\n\n")[0].rpartition(ANSWER_PHRASE)[2])


def last_answer(output: str) -> str:
    """The line after the last "the answer is" in any case; the first line where the phrase is absent."""
    start = output.lower().rfind(ANSWER_PHRASE)
    return first_line(output if start < 0 else output[start + len(ANSWER_PHRASE) :].lstrip(" \t\n:"))


def _without_period(text: str) -> str:
    return text.strip().removesuffix(".")


RULES: dict[str, Callable[[str], str]] = {
    "none": whole,
    "first_line": first_line,
    "bbh_direct": bbh_direct,
    "bbh_cot": bbh_cot,
    "last_answer": last_answer,
}
"""The extraction rules that a task can name."""
