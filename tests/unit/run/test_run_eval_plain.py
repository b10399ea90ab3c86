"""Prompts and what follows them as plain text: which tokens count."""

from __future__ import annotations

import pytest
from tests.tiny import tiny_tokenizer

from precept.evaluate import items_from_rows, load_task
from precept.evaluate.task import Task
from precept.render.tokens import TextEncoder
from precept.run.eval.plain import PlainText
from precept.types import Conversation, Message, Source


@pytest.fixture(scope="module")
def plain() -> PlainText:
    return PlainText(TextEncoder(tiny_tokenizer()))


@pytest.mark.parametrize(
    ("text", "ending", "counted"),
    [
        ("What is 3 + 4?\n\n", "seven", "seven"),  # the tokenizer joins the line feeds of the prompt alone, not here
        ("Answer:", " A", " A"),
        ("Answer: ", "A", " A"),  # blanks belong to the word that follows
        ("<|im_end|>\n\n", "é", "é"),
    ],
)
def test_what_follows_a_prompt_is_counted_without_the_line_feeds_before_it(
    plain: PlainText, text: str, ending: str, counted: str
) -> None:
    sequence = plain.encode_pair(text, ending)
    assert plain.encoder.decode_text(sequence.ids[sequence.weights > 0]) == counted
    assert plain.encoder.decode_text(sequence.ids) == text.rstrip(" ") + counted


@pytest.mark.parametrize(
    ("answer", "text", "endings"),
    [
        (None, "Sky?\n\n", ("red", "blue")),
        ("\n{answer}", "Q: Sky?\nA:\n", ("red", "blue")),
        ("\nIt is {answer}", "Q: Sky?\nA:\nIt is", (" red", " blue")),
        (" {answer}", "Q: Sky?\nA:", (" red", " blue")),
    ],
)
def test_what_stands_before_every_option_is_part_of_the_prompt(answer: str | None, text: str, endings: tuple) -> None:
    keys = {} if answer is None else {"layout": {"question": "Q: {question}\nA:", "answer": answer}}
    row = Conversation((Message("user", "Sky?"),), Source("f", 1, "0"), references=("blue",), options=("red", "blue"))
    (item,) = items_from_rows([row], _choice(keys))
    assert (item.text, item.endings) == (text, endings)


def _choice(keys: dict) -> Task:
    from dataclasses import replace

    from precept.evaluate.few_shot import Layout

    stock = load_task("choice")
    return replace(stock, layout=Layout(**keys["layout"])) if keys else stock
