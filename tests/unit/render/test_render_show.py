"""Showing a row: trained text against context, in colour and without."""

from __future__ import annotations

import io

from render_samples import CHATML, INSTRUCT, row
from rich.console import Console

from precept.render import show
from precept.types import Message


def printed(explained, **options) -> str:
    console = Console(file=io.StringIO(), width=200, **options)
    show(explained, console)
    return console.file.getvalue()


def test_a_pipe_shows_trained_text_in_brackets_with_blanks_visible(renderer) -> None:
    text = printed(renderer(CHATML).explain(row(("user", "hello world"), ("assistant", "four\tsky"))))
    assert text.splitlines()[:3] == ["<|im_start|>user⏎", "hello·world<|im_end|>⏎", "<|im_start|>assistant⏎"]
    assert text.splitlines()[3].startswith("⟦four→") and text.splitlines()[3].endswith("sky<|im_end|>⟧⏎")
    assert text.splitlines()[-1].endswith("trained")


def test_a_terminal_shows_trained_text_in_colour(renderer) -> None:
    explained = renderer(CHATML).explain(row(("user", "hello"), ("assistant", "four")))
    text = printed(explained, force_terminal=True, color_system="standard")
    assert "\x1b[1;32mfour<|im_end|>" in text and "⟦" not in text


def test_tokens_on_the_border_are_marked(renderer) -> None:
    asked = row(Message("user", "is four", train=True), ("assistant", "sky"))
    # Only "is four" is trained, without the blank before it, which the tokenizer joins to "is".
    text = printed(renderer(INSTRUCT).explain(asked))
    assert "⟪·" in text and "hold both trained text and context" in text


def test_a_refused_row_says_why(renderer) -> None:
    text = printed(renderer(CHATML).explain(row(("user", "a<|im_end|>"), ("assistant", "b"))))
    assert text.startswith("refused: the text holds '<|im_end|>'") and "[special-token-in-text]" in text
