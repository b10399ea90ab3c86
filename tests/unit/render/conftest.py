"""Tiny tokenizers and renderers for the tests of rendering."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from render_samples import KINDS, byte_level
from transformers import PreTrainedTokenizerFast

from precept.render import Renderer, RenderSettings


@pytest.fixture(scope="session")
def tokenizers() -> dict[str, PreTrainedTokenizerFast]:
    """One tokenizer of each kind."""
    return {name: make() for name, make in KINDS.items()}


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE with the special tokens of all the small templates."""
    return byte_level()


@pytest.fixture
def renderer(tokenizer: PreTrainedTokenizerFast) -> Callable[..., Renderer]:
    """``renderer(template, **settings)``: the template's text as the tokenizer's own, or a shipped one's name."""

    def make(template: str, *, max_length: int = 4096, **settings: Any) -> Renderer:
        if "{" in template:
            tokenizer.chat_template = template
        else:
            settings["chat_template"] = template
        return Renderer(
            tokenizer,
            RenderSettings(**settings),
            template_date=datetime.date(2026, 1, 2),
            max_length=max_length,
        )

    return make
