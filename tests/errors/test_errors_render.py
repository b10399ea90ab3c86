"""Each reason for which rendering refuses a row, a template or a tokenizer, by its smallest case."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.tiny import BOS, CHATML, EOS, IM_END, PAD, tiny_tokenizer

from precept.errors import InputError
from precept.render import Renderer, RenderSettings, parse_plain
from precept.types import Conversation, Message, Row, Source, Text, TokenSequence

SOURCE = Source("rows.jsonl", 1, "0" * 16)
MEASURES = CHATML.replace("message['content'] +", "message['content'] + (message['content'] | length | string) +")
RAISES = "{{ raise_exception('no') if messages[0].content == 'b' }}" + CHATML


def asked(content: str, answer: str = "yes", **fields: Any) -> Conversation:
    """A question and the answer to it; ``fields`` are the answer's."""
    return Conversation((Message("user", content), Message("assistant", answer, **fields)), SOURCE)


def ids(count: int, *, weights: int) -> TokenSequence:
    return TokenSequence(np.full(count, 7, np.int32), np.ones(weights, np.float32), SOURCE)


def renderer(template: str | None, *, tokenizer: Any = None, max_length: int = 200, **given: Any) -> Renderer:
    """``given`` are settings, and what is known of an encoder-decoder model."""
    if tokenizer is None:
        tokenizer = tiny_tokenizer(chat_template=template)
    model = {key: given.pop(key) for key in ("encoder_decoder", "decoder_start_id") if key in given}
    day = datetime.date(2026, 1, 2)
    return Renderer(tokenizer, RenderSettings(**given), template_date=day, max_length=max_length, **model)


# code: the template, what else the renderer is given, and the row
REFUSED: dict[str, tuple[str, dict[str, Any], Row]] = {
    "field-dropped": (CHATML, {}, asked("a", reasoning_content="well")),
    "id-outside-vocabulary": (
        CHATML,
        {},
        TokenSequence(np.array([1, 10**6], np.int32), np.ones(2, np.float32), SOURCE),
    ),
    "images-not-supported": (CHATML, {}, asked("a", images=("a.png",))),
    "lengths-differ": (CHATML, {}, ids(3, weights=2)),
    "marks-change-text": (MEASURES, {}, asked("a")),
    "marks-in-text": (CHATML, {}, asked(" \U000f0000\U00100000")),
    "nothing-trained": (CHATML, {}, asked("a", train=False)),
    "over-length": (CHATML, {"max_length": 3}, asked("a")),
    "row-too-complex": (CHATML, {}, asked("<think>a" * 2**15)),  # each "a" has a place of its own
    "special-token-in-text": (CHATML, {}, asked(IM_END)),
    "template-raises": (RAISES, {}, asked("b")),
    "text-needs-decoder": (CHATML, {"encoder_decoder": True, "decoder_start_id": 0}, Text("a", SOURCE)),
    "turn-not-found": ("{% for m in messages %}{{ m.content }}{% endfor %}", {}, asked("a", "")),
}


def unreadable_template(tmp_path: Path) -> Renderer:
    (tmp_path / "a.jinja").write_bytes(b"\xff")
    return renderer(None, chat_template=str(tmp_path / "a.jinja"))


def slow_tokenizer(tmp_path: Path) -> Renderer:
    from transformers import ByT5Tokenizer

    return renderer(CHATML, tokenizer=ByT5Tokenizer())


# code: what raises it
RAISED: dict[str, Callable[[Path], object]] = {
    "missing-special-tokens": lambda tmp_path: renderer(
        None, tokenizer=tiny_tokenizer(special_tokens=(PAD, BOS, EOS)), chat_template="chatml"
    ),
    "no-chat-template": lambda tmp_path: renderer(None),
    "no-decoder-start": lambda tmp_path: renderer(CHATML, encoder_decoder=True),
    "not-plain": lambda tmp_path: parse_plain("\n\nCalls: []"),
    "slow-tokenizer": slow_tokenizer,
    "template-not-found": lambda tmp_path: renderer(None, chat_template="chatlm"),
    "template-not-readable": unreadable_template,
    "template-syntax": lambda tmp_path: renderer("{% if %}"),
}


@pytest.mark.parametrize("code", REFUSED)
def test_the_row_is_refused_by_its_code(code: str) -> None:
    template, given, row = REFUSED[code]
    assert [refusal.code for refusal in renderer(template, **given).render([row]).refusals] == [code]


@pytest.mark.parametrize("code", RAISED)
def test_what_cannot_render_ends_in_its_code(tmp_path: Path, code: str) -> None:
    with pytest.raises(InputError) as ended:
        RAISED[code](tmp_path)
    assert ended.value.code == code and ended.value.do
