"""A model folder opened for use: weights, tokenizer, template and end tokens, as evaluation and chat need them."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from precept.decode import PaddedSampler, SharedPrefixSampler, goes_on_in_parts
from precept.decode.inference import named_start
from precept.errors import InputError, ProofError
from precept.evaluate import Chooser, Item
from precept.forest import build_forest, cut
from precept.models.folder import check_model_folder, resolve_model
from precept.models.load import LoadedModel, load_model
from precept.models.masks import attention_masks
from precept.models.policy import transformers_model
from precept.models.probe import Chosen, choose_policy
from precept.models.settings import ModelSettings
from precept.ports import Sampler
from precept.render import Renderer, RenderSettings, read_template
from precept.run.console import say
from precept.run.template_date import stored_template_date
from precept.types import Conversation, Message, Source, TokenSequence

FOREST_TOKENS = 4096


@dataclass(frozen=True)
class OpenedModel:
    """A model ready to answer. ``stop_ids`` are the end tokens that training exported, or the tokenizer's own."""

    name: str
    loaded: LoadedModel
    renderer: Renderer
    stop_ids: tuple[int, ...]

    @cached_property
    def chosen(self) -> Chosen:
        """The policy that is exact on this model. Raises ProofError where none is."""
        return choose_policy(self.loaded.model, build=build_forest, compute_dtype=self.loaded.compute_dtype)

    def sampler(self, *, stop_ids: Sequence[int] | None = None) -> Sampler:
        """Generation with this model's context, and its end tokens unless others are given.

        Common prefixes of prompts are computed once where that is exact.
        """
        loaded = self.loaded
        make = self._make_shared_sampler() if self._shares_prefixes else partial(PaddedSampler, loaded.model)
        return make(
            loaded.tokenizer,
            stop_ids=self.stop_ids if stop_ids is None else stop_ids,
            max_context=loaded.max_positions,
            compute_dtype=loaded.compute_dtype,
        )

    def _make_shared_sampler(self) -> Callable[..., Sampler]:
        own = transformers_model(self.loaded.model)
        return partial(
            SharedPrefixSampler,
            own,
            cut=partial(cut, max_tokens=FOREST_TOKENS),
            build_forest=build_forest,
            attention_mask=partial(attention_masks, config=own.config, device=own.device, dtype=own.dtype),
        )

    @cached_property
    def _shares_prefixes(self) -> bool:
        if not goes_on_in_parts(transformers_model(self.loaded.model)):
            return False
        try:
            return self.chosen.share and not self.chosen.length_switches
        except ProofError:  # generation needs no policy
            return False


def open_model(
    name: str,
    *,
    chat_template: str | None,
    fallback_template: str | None = None,
    template_date: datetime.date | None = None,
) -> OpenedModel:
    """Load a folder for use. ``fallback_template`` serves a base model that has none of its own; ``template_date`` is
    by default that of the run that made the folder, else today.

    Raises InputError for a folder that does not load, and when no template is known.
    """
    folder = resolve_model(name)
    check_model_folder(folder)
    loaded = load_model(folder, ModelSettings(), train=False)
    for notice in loaded.notices:
        say(notice)
    if chat_template is not None:
        loaded.tokenizer.chat_template = read_template(chat_template)
    elif not loaded.tokenizer.chat_template and fallback_template is not None:
        loaded.tokenizer.chat_template = fallback_template
    renderer = Renderer(
        loaded.tokenizer,
        RenderSettings(chat_template=chat_template),
        template_date=template_date or stored_template_date(folder) or datetime.date.today(),
        max_length=loaded.max_positions or 2**31,
        encoder_decoder=loaded.is_encoder_decoder,
        decoder_start_id=start_of(loaded),
    )
    return OpenedModel(name, loaded, renderer, _stop_ids(loaded, renderer))


def start_of(loaded: LoadedModel) -> int | None:
    """The token that the decoder of an encoder-decoder model starts from, as ``decode.inference.named_start`` says."""
    return named_start(loaded.model.config.to_dict(), loaded.model.generation_config.to_dict())


def _stop_ids(loaded: LoadedModel, renderer: Renderer) -> tuple[int, ...]:
    """End tokens of the generation config, the tokenizer's EOS, and the template's own terminators."""
    named = loaded.model.generation_config.eos_token_id
    ids = set(named if isinstance(named, list) else [named]) | {loaded.tokenizer.eos_token_id}
    probe = (Message("user", "question"), Message("assistant", "answer"))
    terminators = renderer.render([Conversation(probe, Source("probe", 1, "0" * 16))]).stop_ids
    return tuple(sorted({int(i) for i in ids if i is not None} | set(terminators)))


def make_chooser(
    model: OpenedModel, option_sequences: Callable[[Item], Sequence[TokenSequence]] | None = None
) -> Chooser:
    """Likelihood of options through the policy that is exact on this model, with shared prefixes computed once.

    ``option_sequences`` by default render each option as the assistant's answer.
    """
    chosen = model.chosen
    return Chooser(
        chosen.policy,
        build_forest=partial(build_forest, share=chosen.share),
        cut=partial(cut, max_tokens=FOREST_TOKENS, share=chosen.share, switches=chosen.length_switches),
        option_sequences=option_sequences or _rendered_options(model),
        max_context=model.loaded.max_positions,
    )


def _rendered_options(model: OpenedModel) -> Callable[[Item], Sequence[TokenSequence]]:
    settings = model.renderer.settings.model_copy(update={"train_on": "last", "turns": "whole"})
    renderer = Renderer(
        model.loaded.tokenizer,
        settings.model_copy(update={"chat_template": None}),
        template_date=model.renderer.template_date,
        max_length=2**31,
        encoder_decoder=model.loaded.is_encoder_decoder,
        decoder_start_id=start_of(model.loaded),
    )

    added = model.loaded.tokenizer.added_tokens_decoder
    ends = {*model.stop_ids, *(index for index, token in added.items() if token.special)}

    def option_sequences(item: Item) -> list[TokenSequence]:
        source = Source(item.task, 1, "0" * 16, id=item.id)
        answers = [Conversation((*item.messages, Message("assistant", o)), source, item.tools) for o in item.options]
        rendered = renderer.render(answers)
        if rendered.refusals:
            raise InputError(
                "an option cannot be rendered",
                code="option-refused",
                found=rendered.refusals[0].reason,
                do="change the option or the template",
            )
        return [_without_terminator(sequence, ends) for sequence in rendered.sequences]

    return option_sequences


def _without_terminator(sequence: TokenSequence, ends: Set[int]) -> TokenSequence:
    """The likelihood of an option is that of its own text, not of what ends it: an encoder-decoder model's target
    has the template's terminator and then EOS."""
    trained = np.flatnonzero(sequence.weights)
    weights = sequence.weights.copy()
    while len(trained) > 1 and int(sequence.ids[trained[-1]]) in ends:
        weights[trained[-1]] = 0.0
        trained = trained[:-1]
    return replace(sequence, weights=weights)
