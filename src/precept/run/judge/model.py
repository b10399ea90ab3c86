"""The judge itself: a server, or a model folder that is opened when the first question is asked."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from precept.decode.remote import RemoteChat, RemoteSettings
from precept.errors import InputError, WorkError
from precept.evaluate.items import Item
from precept.models.folder import check_model_folder, resolve_model
from precept.ports import Chat
from precept.run.fingerprint import fingerprint
from precept.types import Message

if TYPE_CHECKING:
    from precept.run.opened import OpenedModel

ENV_NAME = re.compile(r"[A-Z_][A-Z0-9_]{0,60}")
"""What may be shown: anything else that was given as the name of a variable may be the key itself."""


@dataclass
class LocalJudge:
    """A model folder as a ``ports.Chat`` that also tells how likely a letter is as its answer."""

    name: str
    chat_template: str | None

    def reply(
        self,
        conversations: Sequence[Sequence[Message]],
        *,
        max_new_tokens: int,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> list[str]:
        """See ``ports.Chat``."""
        return self._chat.reply(conversations, max_new_tokens=max_new_tokens, temperature=temperature, seed=seed)

    def letter_logps(
        self, conversations: Sequence[Sequence[Message]], letters: Sequence[str]
    ) -> list[tuple[float | None, ...]]:
        """Log-probability of each letter as the answer, without what ends it."""
        from precept.run.opened import make_chooser

        items = [
            Item(str(place), "judge", tuple(conversation), (), options=tuple(letters))
            for place, conversation in enumerate(conversations)
        ]
        choices = make_chooser(self._opened)(items)
        if refused := next((choice.refused for choice in choices if choice.refused), None):
            raise WorkError(
                "the judge cannot read a question",
                code="judge-context",
                where=self.name,
                found=refused,
                do="use a judge with a longer context, or leave long answers out",
            )
        return [choice.logps for choice in choices]

    @cached_property
    def _opened(self) -> OpenedModel:
        from precept.render import Renderer
        from precept.run.opened import open_model, start_of

        opened = open_model(self.name, chat_template=self.chat_template)
        # Answers under judgment may spell special tokens; to the judge they are text.
        settings = opened.renderer.settings.model_copy(
            update={"special_tokens_in_text": "as_text", "chat_template": None}
        )
        renderer = Renderer(
            opened.loaded.tokenizer,
            settings,
            template_date=opened.renderer.template_date,
            max_length=opened.renderer.max_length,
            encoder_decoder=opened.loaded.is_encoder_decoder,
            decoder_start_id=start_of(opened.loaded),
        )
        return replace(opened, renderer=renderer)

    @cached_property
    def _chat(self) -> Chat:
        from precept.decode.local_chat import LocalChat

        opened = self._opened
        sampler: Any = opened.sampler()  # a BatchSampler, whatever the model
        return LocalChat(self.name, sampler=sampler, prompt_ids=opened.renderer.prompt_ids)


def make_judge(
    name: str, *, url: str | None, chat_template: str | None, remote: RemoteSettings
) -> tuple[RemoteChat | LocalJudge, dict[str, Any]]:
    """The judge and what identifies it. Raises InputError for a folder or address that is none."""
    if url is not None:
        if chat_template is not None:
            raise InputError(
                "a server writes its own prompts: the chat template is that of a model in a folder",
                code="judge-option",
                found=chat_template,
                do="leave the template out",
            )
        chat = make_remote(name, url, remote)
        return chat, {"judge": name, "judge_url": chat.base_url}
    if set_here := sorted(remote.model_fields_set):
        raise InputError(
            f"{', '.join(set_here)}: only a judge behind an address has this",
            code="judge-option",
            do="name its address with --judge-url, or leave it out",
        )
    folder = resolve_model(name)
    check_model_folder(folder)
    identity = {"judge": name, "judge_hash": fingerprint(folder), "chat_template": chat_template}
    return LocalJudge(name, chat_template), identity


def make_remote(name: str, url: str, remote: RemoteSettings) -> RemoteChat:
    """A server's model, with the key from the environment variable that the settings name."""
    key = os.environ.get(remote.api_key_env)
    if key is None and "api_key_env" in remote.model_fields_set:
        raise InputError(
            "the environment variable of the API key is not set",
            code="no-api-key",
            where="api_key_env",
            found=remote.api_key_env if ENV_NAME.fullmatch(remote.api_key_env) else "no name of a variable",
            do="give the name of a variable, not the key, and set it; leave it out for a server that wants no key",
        )
    return RemoteChat(
        url,
        name,
        api_key=key or None,
        timeout=remote.timeout,
        retries=remote.retries,
        parallel=remote.parallel,
    )
