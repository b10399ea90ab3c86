"""From rows and settings to what a training step consumes: rows rendered, the model loaded, a policy chosen."""

from __future__ import annotations

import datetime
import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from precept.decode.inference import named_start
from precept.forest import build_forest, cut, distinct_tokens
from precept.models.folder import ModelFolder, check_max_length, context_length
from precept.models.load import LoadedModel, load_model, load_tokenizer
from precept.models.probe import Chosen, choose_policy
from precept.prove.proof import Proof
from precept.render import Rendered, Renderer, needed_tokens
from precept.render.store import sequence_lengths
from precept.run.console import say
from precept.run.data.rows import RawData, settle_refusals
from precept.run.settings import RunSettings
from precept.run.tuning.prepared import prepare_rows
from precept.run.tuning.row_order import spread
from precept.types import Conversation, Forest, Row, TokenSequence

LONGEST_DEFAULT = 4096


@dataclass(frozen=True)
class RenderedData:
    """Token sequences of both parts, the renderer that made them, and the template to save (None: there is none).

    ``proofs`` are those of the rows, but for the one that compares them with rows to evaluate on.
    """

    renderer: Renderer
    chat_template: str | None
    tokenizer: Any
    new_tokens: tuple[str, ...]
    train: Rendered
    held_out: Rendered | None
    max_length: int
    proofs: list[Proof]


def longest_allowed(folder: ModelFolder, settings: RunSettings) -> int:
    """``max_length``: what was set, else the model's limit, at most 4096. InputError for one beyond the limit."""
    wanted = settings.render.max_length
    if wanted is not None:
        check_max_length(folder, wanted)
        return wanted
    limit = context_length(folder.config)
    chosen = min(limit or LONGEST_DEFAULT, LONGEST_DEFAULT)
    say(f"max_length {chosen} (the model's own limit: {limit or 'none named'})")
    return chosen


def render_data(raw: RawData, folder: ModelFolder, settings: RunSettings, *, date: datetime.date) -> RenderedData:
    """Render all rows with the template in force; stops at rows that cannot be expressed, as ``bad_rows`` says."""
    max_length = longest_allowed(folder, settings)
    tokenizer = load_tokenizer(folder.path, trust_remote_code=settings.model.trust_remote_code)
    new_tokens = needed_tokens(tokenizer, settings.render) if settings.render.add_tokens else ()
    if new_tokens:
        say(f"added tokens: {', '.join(new_tokens)}")
        tokenizer.add_tokens(list(new_tokens), special_tokens=True)
    given = settings
    settings = settings_for_texts(settings, tokenizer, itertools.chain(raw.train, raw.held_out))
    renderer = make_renderer(tokenizer, folder, settings, date=date, max_length=max_length)
    prepared = prepare_rows(raw, folder, settings, renderer, tokenizer, new_tokens)
    train, held_out = prepared.parts[0], prepared.parts[1] if raw.held_out else None
    for notice in train.notices:
        say(notice)
    refusals = [*train.refusals, *(held_out.refusals if held_out else [])]
    kept = len(raw.train) + len(raw.held_out) - len(refusals)
    settle_refusals(refusals, kept=kept, bad_rows=settings.data.bad_rows)
    if not train.sequences:
        settle_refusals([*train.refusals, *train.dropped], kept=0, bad_rows="error")
    template = renderer.chat_template if settings is given else None
    return RenderedData(renderer, template, tokenizer, tuple(new_tokens), train, held_out, max_length, prepared.proofs)


def settings_for_texts(settings: RunSettings, tokenizer: Any, rows: Iterable[Row]) -> RunSettings:
    """The same settings; or, where there is no template and no row is a conversation, with one that nothing passes.

    Plain text and token ids need no chat template: any one serves, and none is saved.
    """
    if tokenizer.chat_template or settings.render.chat_template or any(isinstance(row, Conversation) for row in rows):
        return settings
    return replace(settings, render=settings.render.model_copy(update={"chat_template": "plain"}))


def make_renderer(
    tokenizer: Any, folder: ModelFolder, settings: RunSettings, *, date: datetime.date, max_length: int
) -> Renderer:
    """The one renderer of a run: training, evaluation and sample answers use the same text and tokens."""
    return Renderer(
        tokenizer,
        settings.render,
        template_date=date,
        max_length=max_length,
        encoder_decoder=bool(folder.config.get("is_encoder_decoder")),
        decoder_start_id=decoder_start(folder),
    )


def load_for_training(folder: ModelFolder, data: RenderedData, settings: RunSettings) -> tuple[LoadedModel, Chosen]:
    """The model with its adapter, and the policy that was proven exact on it."""
    import torch

    torch.manual_seed(settings.loop.seed)
    loaded = load_model(folder.path, settings.model, train=True, new_tokens=data.new_tokens)
    some = spread(data.train.sequences)
    parts = [part.sequences for part in (data.train, data.held_out) if part is not None and len(part.sequences)]
    chosen = choose_policy(
        loaded.model,
        sharing=settings.model.sharing,
        build=build_forest,
        compute_dtype=loaded.compute_dtype,
        longest=max(int(sequence_lengths(sequences).max()) for sequences in parts),
        tokens=(int(sequence_lengths(some).sum()), distinct_tokens(some)),
    )
    for notice in [*loaded.notices, *chosen.notices]:
        say(notice)
    return loaded, chosen


def decoder_start(folder: ModelFolder) -> int | None:
    """``decode.inference.named_start`` of a folder's files: what the model will generate from once it is loaded."""
    files = (path / "generation_config.json" for path in (folder.path, folder.base))
    try:
        generation: dict[str, Any] = next((json.loads(file.read_bytes()) for file in files if file.is_file()), {})
    except ValueError:  # transformers has its own say on loading
        generation = {}
    return named_start(folder.config, generation)


class ForestMaker:
    """Cuts chosen sequences into forests of at most ``max_tokens`` distinct tokens, in the way the policy needs."""

    def __init__(self, sequences: Sequence[TokenSequence], chosen: Chosen, *, max_tokens: int) -> None:
        self._sequences = sequences
        self._share = chosen.share
        self._switches = chosen.length_switches
        self.max_tokens = max_tokens

    def __call__(self, indices: Sequence[int] | np.ndarray[Any, Any]) -> list[Forest]:
        sequences = [self._sequences[i] for i in indices]
        groups = cut(sequences, max_tokens=self.max_tokens, share=self._share, switches=self._switches)
        return [build_forest([sequences[i] for i in group], share=self._share) for group in groups]


def sample_prompts(rows: Sequence[Row], *, count: int) -> list[Conversation]:
    """The first held-out conversations that end in an answer, to answer while training."""
    endings = (row for row in rows if isinstance(row, Conversation) and row.messages[-1].role == "assistant")
    return [row for row, _ in zip(endings, range(count), strict=False)]
