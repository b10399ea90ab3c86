"""The row proofs of a training step: its rows as read, as rendered, and as transformers writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from precept.models.folder import ModelFolder
from precept.prove.matched import Matched, Unmatched, match_conversations
from precept.prove.proof import Proof
from precept.prove.rendition import Writer
from precept.prove.rows import (
    mask_equals_answer,
    nothing_lost,
    single_bos,
    template_parity,
    terminator_trained,
    train_eval_disjoint,
    vocabulary_covered,
)
from precept.records import normal_text
from precept.render import Rendered
from precept.run.prepare import RenderedData
from precept.run.rows import RawData
from precept.run.settings import RunSettings
from precept.types import Row


def row_proofs(
    raw: RawData, data: RenderedData, folder: ModelFolder, settings: RunSettings, *, asked: Sequence[Row] = ()
) -> list[Proof]:
    """All row proofs, over all rows of training and of evaluation; ``asked`` are those of later evaluation steps."""
    parts: list[tuple[Sequence[Row], Rendered]] = [(raw.train, data.train)]
    if data.held_out is not None:
        parts.append((raw.held_out, data.held_out))
    sequences = [sequence for _, rendered in parts for sequence in rendered.sequences]
    writer = Writer(data.tokenizer, data.renderer.chat_template, data.renderer.template_date)
    tokenizer, flat = data.tokenizer, settings.flat()  # a key that only a proof looks at is not read
    special = [index for index, token in tokenizer.added_tokens_decoder.items() if token.special]
    return [
        *_text_proofs(parts, data, writer, flat),
        single_bos(
            sequences,
            backend=writer.backend,
            bos_id=tokenizer.bos_token_id,
            own_template=data.renderer.chat_template == tokenizer.chat_template,
        ),
        vocabulary_covered(
            sequences,
            embeddings=_embeddings(folder, len(tokenizer), grown=bool(data.new_tokens)),
            trained=flat["adapter"] == "none",
            added=tokenizer.convert_tokens_to_ids(list(data.new_tokens)),
            special=special,
        ),
        nothing_lost(
            [row for rows, _ in parts for row in rows],
            sequences,
            refused=[refusal for _, rendered in parts for refusal in rendered.refusals],
            dropped=[refusal for _, rendered in parts for refusal in rendered.dropped],
            unread=len(raw.refused),
            policy=f"bad_rows={flat['bad_rows']}, over_length={flat['over_length']}",
        ),
        train_eval_disjoint(raw.train, raw.held_out, normal_text=normal_text, asked=asked),
    ]


def _text_proofs(
    parts: Sequence[tuple[Sequence[Row], Rendered]], data: RenderedData, writer: Writer, flat: Mapping[str, Any]
) -> list[Proof]:
    """The proofs that read the text of each row."""
    found = [
        one
        for rows, rendered in parts
        for one in match_conversations(rows, rendered.sequences, writer, train_on=flat["train_on"])
    ]
    matched = [one for one in found if isinstance(one, Matched)]
    unmatched = [one for one in found if isinstance(one, Unmatched)]
    weight = flat["prompt_weight"]
    return [
        mask_equals_answer(matched, unmatched, writer=writer, prompt_weight=weight),
        terminator_trained(matched, stop_ids=data.train.stop_ids),
        template_parity(
            matched,
            unmatched,
            prompt_ids=data.renderer.prompt_ids,
            rng=np.random.default_rng(flat["seed"]),
            prompt_weight=weight,
        ),
    ]


def _embeddings(folder: ModelFolder, tokens: int, *, grown: bool) -> int:
    """Rows of the input embedding as the config names them, or as many as the tokenizer has once it grows."""
    stated = folder.config.get("vocab_size") or folder.config.get("text_config", {}).get("vocab_size") or tokens
    return max(int(stated), tokens) if grown else int(stated)
