"""A model folder opened for use: weights, tokenizer, template and end tokens, as evaluation and chat need them."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

from precept.decode import GreedySampler
from precept.models.folder import check_model_folder, resolve_model
from precept.models.load import LoadedModel, load_model
from precept.models.settings import ModelSettings
from precept.render import Renderer, RenderSettings
from precept.run.console import say
from precept.run.output import read_manifest
from precept.run.prepare import decoder_start


@dataclass(frozen=True)
class OpenedModel:
    """A model ready to answer. ``stop_ids`` are the end tokens that training exported, or the tokenizer's own."""

    name: str
    loaded: LoadedModel
    renderer: Renderer
    stop_ids: tuple[int, ...]

    def sampler(self) -> GreedySampler:
        """Greedy generation with this model's end tokens and context."""
        return GreedySampler(
            self.loaded.model,
            self.loaded.tokenizer,
            stop_ids=self.stop_ids,
            max_context=self.loaded.max_positions,
            compute_dtype=self.loaded.compute_dtype,
        )


def open_model(name: str, *, chat_template: str | None, fallback_template: str | None = None) -> OpenedModel:
    """Load a folder for use. ``fallback_template`` serves a base model that has none of its own.

    Raises InputError for a folder that does not load, and when no template is known.
    """
    folder = resolve_model(name)
    checked = check_model_folder(folder)
    loaded = load_model(folder, ModelSettings(), train=False)
    for notice in loaded.notices:
        say(notice)
    if chat_template is None and not loaded.tokenizer.chat_template and fallback_template is not None:
        say(f"{name} has no chat template: it is asked with the one of the model it is compared with")
        loaded.tokenizer.chat_template = fallback_template
    renderer = Renderer(
        loaded.tokenizer,
        RenderSettings(chat_template=chat_template),
        template_date=stored_template_date(folder) or datetime.date.today(),
        max_length=loaded.max_positions or 2**31,
        encoder_decoder=loaded.is_encoder_decoder,
        decoder_start_id=decoder_start(checked.config),
    )
    return OpenedModel(name, loaded, renderer, _stop_ids(loaded, renderer))


def stored_template_date(folder: Path) -> datetime.date | None:
    """The template date of the run that made a folder: its templates print the same day ever after."""
    stored = (read_manifest(folder) or {}).get("template_date")
    return datetime.date.fromisoformat(str(stored)) if stored else None


def _stop_ids(loaded: LoadedModel, renderer: Renderer) -> tuple[int, ...]:
    """End tokens of the generation config, the tokenizer's EOS, and the template's own terminators."""
    named = loaded.model.generation_config.eos_token_id
    ids = set(named if isinstance(named, list) else [named]) | {loaded.tokenizer.eos_token_id}
    return tuple(sorted({int(i) for i in ids if i is not None} | set(renderer.stop_ids)))
