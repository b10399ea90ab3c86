"""One model as an evaluation asks it: through its chat template or in plain text, by sampling or by likelihood."""

from __future__ import annotations

import datetime
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from precept.decode import Sampling
from precept.evaluate import Choice, Chooser, Item, Task
from precept.evaluate.likelihood import Likelihood
from precept.evaluate.run import cut_at
from precept.models.folder import resolve_model
from precept.run.eval.answer import own_template
from precept.run.eval.likelihood import TextScorer
from precept.run.eval.plain import PlainText, plain_text
from precept.run.opened import OpenedModel, make_chooser, open_model
from precept.types import Generation, IntArray, Message

Progress = Callable[[int, int], None]
NO_TEMPLATE = "plain"
"""The shipped template that stands in where no conversation is rendered."""


@dataclass(frozen=True)
class AskedModel:
    """A model that answers items. ``has_template`` is False for a base model, which gets plain text."""

    model: OpenedModel
    has_template: bool

    def prompt_text(self, item: Item, task: Task, said: Sequence[Generation] = ()) -> str:
        """What the model reads after it has ``said`` answers to the item's first user turns."""
        if task.kind == "likelihood" and not item.options:
            return item.text
        messages, text = _asked(item, said, _turns(item, task))
        return self.model.renderer.prompt_text(messages, item.tools) if self._in_chat(task) else text

    def answer(
        self, items: Sequence[Item], task: Task, *, seed: int, progress: Progress | None
    ) -> list[list[Generation]]:
        """What is generated for each item, a text for each of its user turns."""
        turns = [_turns(item, task) for item in items]
        said: list[list[Generation]] = [[] for _ in items]
        for turn in range(max(turns)):
            asked = [place for place, count in enumerate(turns) if turn < count and not _refused(said[place])]
            prompts = [self._prompt(items[place], task, said[place], turns[place]) for place in asked]
            own = f"{seed} {items[0].task} {items[0].id} {turn}"  # no two blocks, and no two turns, draw alike
            found = self._generate(prompts, [items[place] for place in asked], task, progress, own)
            for place, generation in zip(asked, found, strict=True):
                said[place].append(replace(generation, text=cut_at(generation.text, task.stop)))
        return said

    def choose(self, items: Sequence[Item], task: Task) -> list[Choice]:
        """The likelihood of the options of each item."""
        return (self._chat_chooser if self._in_chat(task) else self._plain_chooser)(items)

    def measure(self, items: Sequence[Item], task: Task) -> list[Likelihood]:
        """The likelihood of texts, and of references as answers."""
        chooser = self._chat_chooser if self._in_chat(task) else self._plain_chooser
        return TextScorer(chooser, self._plain)(items)

    @cached_property
    def _chat_chooser(self) -> Chooser:
        return make_chooser(self.model)

    @cached_property
    def _plain_chooser(self) -> Chooser:
        return make_chooser(self.model, lambda item: [self._plain.encode_pair(item.text, end) for end in item.endings])

    @cached_property
    def _plain(self) -> PlainText:
        return plain_text(self.model)

    def _in_chat(self, task: Task) -> bool:
        return task.chat and self.has_template

    def _prompt(self, item: Item, task: Task, said: Sequence[Generation], turns: int) -> IntArray:
        messages, text = _asked(item, said, turns)
        return self.model.renderer.prompt_ids(messages, item.tools) if self._in_chat(task) else self._plain.encode(text)

    def _generate(
        self, prompts: Sequence[IntArray], items: Sequence[Item], task: Task, progress: Progress | None, seed: str
    ) -> list[Generation]:
        """Greedy answers, and samples where the task has a temperature for an item's category."""
        groups: dict[float, list[int]] = {}
        for place, item in enumerate(items):
            groups.setdefault(task.temperature_of(item.category), []).append(place)
        sampler: Any = self.model.sampler(stop_ids=self._stop_ids(task))
        found: dict[int, Generation] = {}
        for temperature, places in groups.items():
            own = [prompts[place] for place in places]
            if temperature > 0:
                sampling = Sampling(temperature=temperature, seed=zlib.crc32(f"{seed} {temperature}".encode()))
                sampled = sampler.sample(own, sampling, max_new_tokens=task.max_new_tokens, progress=progress)
                answers = [generations[0] for generations in sampled]
            else:
                answers = sampler.generate(own, max_new_tokens=task.max_new_tokens, progress=progress)
            found |= zip(places, answers, strict=True)
        return [found[place] for place in range(len(items))]

    def _stop_ids(self, task: Task) -> tuple[int, ...]:
        """The model's end tokens, and those that begin with a text at which the task cuts: nothing is lost."""
        if not task.stop:
            return self.model.stop_ids
        return tuple({*self.model.stop_ids, *(i for i, text in self._token_texts if text.startswith(tuple(task.stop)))})

    @cached_property
    def _token_texts(self) -> list[tuple[int, str]]:
        tokenizer = self.model.loaded.tokenizer
        ids = sorted(tokenizer.get_vocab().values())
        return list(zip(ids, tokenizer.batch_decode([[index] for index in ids]), strict=True))


def open_asked(
    name: str, *, chat_template: str | None, fallback_template: str | None = None, template_date: datetime.date
) -> AskedModel:
    """Load a model for evaluation. One without any chat template is asked in plain text."""
    known = chat_template is not None or fallback_template is not None
    has_template = known or own_template(resolve_model(name)) is not None
    model = open_model(
        name,
        chat_template=chat_template if has_template else NO_TEMPLATE,
        fallback_template=fallback_template,
        template_date=template_date,
    )
    return AskedModel(model, has_template)


def _turns(item: Item, task: Task) -> int:
    """How many answers an item gets: one to each user turn where they are for a judge."""
    return max(1, sum(message.role == "user" for message in item.messages)) if task.kind == "answers" else 1


def _asked(item: Item, said: Sequence[Generation], turns: int) -> tuple[tuple[Message, ...], str]:
    """The messages before the next answer, and the plain text of them."""
    if turns == 1:
        return item.messages, item.text
    messages = _dialogue(item.messages, said)
    return messages, "\n\n".join(message.content or "" for message in messages)


def _dialogue(messages: Sequence[Message], said: Sequence[Generation]) -> tuple[Message, ...]:
    """The messages up to the user turn that follows the answers so far, with these answers behind their turns."""
    turns: list[Message] = []
    answers = iter(said)
    for message in messages:
        turns.append(message)
        if message.role == "user":
            answer = next(answers, None)
            if answer is None:
                break
            turns.append(Message("assistant", answer.text))
    return tuple(turns)


def _refused(said: Sequence[Generation]) -> bool:
    return bool(said and said[-1].refused)
