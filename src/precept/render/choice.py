"""Which chat template is in force, and which of its special tokens the tokenizer lacks."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any, NamedTuple

from precept.errors import InputError
from precept.render.chat_template import ChatTemplate
from precept.render.conversation import ConversationRenderer
from precept.render.settings import RenderSettings
from precept.render.shipped import declared_tokens, read_template, shipped_names
from precept.render.tokens import TextEncoder


class TemplateChoice(NamedTuple):
    """A template's text, the name that errors give it, whether it came with the tokenizer, and what to tell of it."""

    text: str
    name: str
    is_the_tokenizers: bool
    notices: tuple[str, ...] = ()


def chosen_template(tokenizer: Any, settings: RenderSettings) -> TemplateChoice:
    """The template that the settings name, else the tokenizer's. Raises InputError when there is neither."""
    if settings.chat_template is not None:
        return TemplateChoice(read_template(settings.chat_template), settings.chat_template, False)
    own = tokenizer.chat_template
    if isinstance(own, dict):
        # Old tokenizers keep several; one text must serve every row and be saved with the model.
        name = "default" if "default" in own else next(iter(own), "")
        if name:
            told = f"the tokenizer holds the templates {', '.join(sorted(own))}: '{name}' is used for all rows"
            return TemplateChoice(own[name], f"the tokenizer's '{name}' template", True, (told,))
    if not own:
        raise InputError(
            "the tokenizer has no chat template",
            where="chat_template",
            do=f"choose a .jinja file or one of: {', '.join(shipped_names())}",
            code="no-chat-template",
        )
    return TemplateChoice(own, "the tokenizer's chat template", True)


def missing_tokens(choice: TemplateChoice, conversations: ConversationRenderer, encoder: TextEncoder) -> list[str]:
    """Special tokens that the template writes and the vocabulary lacks, in order of appearance.

    Those that a shipped template declares, else texts such as <|im_start|> among what the template writes by itself.
    """
    declared = declared_tokens(choice.text)
    written = declared or [
        token for tools in (False, True) for token in conversations.habits(tools=tools).tokens_like()
    ]
    return [token for token in dict.fromkeys(written) if not encoder.knows(token)]


def refuse_missing(choice: TemplateChoice, conversations: ConversationRenderer, missing: Sequence[str]) -> None:
    """Raise InputError where training without the missing tokens would be wrong.

    A template that came with its tokenizer may write role names such as <|user|> as plain text on purpose: then only a
    missing token after the answer counts, where no other ends the turn.
    """
    habits = conversations.habits(tools=False)
    ends_turns = habits.terminator is None and any(token in missing for token in habits.tail_tokens_like())
    if missing and (ends_turns or not choice.is_the_tokenizers):
        raise InputError(
            "the chat template needs special tokens that the tokenizer lacks",
            where=choice.name,
            found=", ".join(missing),
            do="add_tokens=true adds them to the tokenizer and trains their embeddings",
            code="missing-special-tokens",
        )


class Prepared(NamedTuple):
    """What a tokenizer and settings give before any row is seen."""

    choice: TemplateChoice
    encoder: TextEncoder
    conversations: ConversationRenderer
    missing: tuple[str, ...]


def prepare(tokenizer: Any, settings: RenderSettings, *, template_date: datetime.date) -> Prepared:
    """Choose and compile the template, copy the tokenizer, and find the tokens that it lacks."""
    encoder = TextEncoder(tokenizer)
    choice = chosen_template(tokenizer, settings)
    template = ChatTemplate(
        choice.text, name=choice.name, variables=tokenizer.special_tokens_map, template_date=template_date
    )
    conversations = ConversationRenderer(
        template, special_tokens=encoder.special_tokens, added_tokens=encoder.added_tokens
    )
    return Prepared(choice, encoder, conversations, tuple(missing_tokens(choice, conversations, encoder)))


def needed_tokens(tokenizer: Any, settings: RenderSettings) -> tuple[str, ...]:
    """The special tokens to add to the tokenizer, and to the model, before a ``Renderer`` is made.

    Empty unless ``add_tokens`` is set and the template needs tokens that the vocabulary lacks.
    """
    if not settings.add_tokens:
        return ()
    return prepare(tokenizer, settings, template_date=datetime.date(2000, 1, 1)).missing
