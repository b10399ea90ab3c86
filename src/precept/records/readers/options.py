"""The choices that a question lists under ``Options:``, as BBH and the FLAN files write them."""

from __future__ import annotations

import re

LETTERED = re.compile(r"\([A-Z]\)")


def parse_options(question: str) -> tuple[str, ...]:
    """``(A) text`` and ``- (A) text`` give '(A)', the way their answers are written; ``- Yes`` gives 'Yes'.

    Empty where the question lists none.
    """
    _, found, listed = question.rpartition("Options:\n")
    options = []
    for line in listed.split("\n") if found else ():
        label = LETTERED.match(line.removeprefix("- "))
        if label:
            options.append(label.group())
        elif line.startswith("- "):
            options.append(line[2:].strip())
    return tuple(options)
