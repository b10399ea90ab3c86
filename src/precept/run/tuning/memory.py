"""Memory of a training step as the forecast knows it: how large forests may be, and what to change when it ran out."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from precept.errors import WorkError
from precept.forecast import (
    ModelShape,
    Training,
    analytic_activations,
    count_parts,
    largest_fitting,
    propose_changes,
    read_shape,
)
from precept.forecast.measure import meter_of
from precept.forest import distinct_tokens
from precept.models.folder import stored_dtype
from precept.models.head import CHUNK_LOGITS, KEPT_LOGITS
from precept.models.load import LoadedModel
from precept.models.precision import STORED, choose_compute_dtype, choose_device, choose_weight_dtype
from precept.render.store import sequence_lengths, trained_tokens
from precept.run.console import say
from precept.run.failures import is_out_of_memory
from precept.run.settings import RunSettings
from precept.run.tuning.row_order import spread
from precept.types import TokenSequence

# On a processor larger forests gain little; few-shot prompts share more in forests of 4,096.
CPU_TOKENS, GPU_TOKENS = 2048, 8192


class Needs(NamedTuple):
    """What decides over memory beside the data; ``base_bytes`` is a number of the base in its file."""

    shape: ModelShape
    training: Training
    base_bytes: int


def memory_needs(
    base: Path,
    settings: RunSettings,
    *,
    device: torch.device,
    eager: bool | None = None,
    compute: torch.dtype | None = None,
) -> Needs:
    """The model in ``base`` and how it would be trained on a device. No weight is read.

    ``compute`` is what ``dtype=auto`` stands for on a device that is not here.
    """
    model = settings.model
    base_dtype = STORED.get(stored_dtype(base), torch.float32)
    if compute is None or model.dtype != "auto":
        compute = choose_compute_dtype(model.dtype, device, base_dtype=base_dtype, train=True)
    weight = choose_weight_dtype(model.adapter, base_dtype=base_dtype, compute_dtype=compute, train=True)
    adapted = model.adapter != "none"  # else these keys have no effect, and reading them would say that they have
    targets = model.lora_target_modules if adapted else ()
    training = Training(
        adapter=model.adapter,
        rank=model.lora_r if adapted else 0,
        targets=None if isinstance(targets, str) else targets,
        weight_bytes=weight.itemsize,
        compute_bytes=compute.itemsize,
        checkpointing=model.gradient_checkpointing,
        eager=model.attn_implementation == "eager" if eager is None else eager,
        kept_logits=KEPT_LOGITS,
        chunk_logits=CHUNK_LOGITS,
    )
    return Needs(read_shape(base, trust_remote_code=model.trust_remote_code), training, base_dtype.itemsize)


def tokens_per_forest(
    settings: RunSettings, sequences: Sequence[TokenSequence], loaded: LoadedModel, *, stored: int | None = None
) -> int:
    """The budget of distinct tokens, with the model in memory.

    What was set, at least the longest sequence. ``auto`` is what keeps the device busy, halved until the free memory
    holds it; a resumed run takes its ``stored`` one, since another would round sums in another order.
    """
    longest = int(sequence_lengths(sequences).max())
    wanted = settings.loop.max_tokens_per_forest
    if wanted != "auto":
        return max(longest, wanted)
    if stored is not None:
        return max(longest, stored)
    eager = loaded.model.config._attn_implementation == "eager"
    shape, training, _ = memory_needs(loaded.path, settings, device=loaded.device, eager=eager)
    return automatic_budget(
        shape, training, sequences, device=loaded.device, room=meter_of(loaded.device).free(), holds_weights=True
    )


def automatic_budget(
    shape: ModelShape,
    training: Training,
    sequences: Sequence[TokenSequence],
    *,
    device: torch.device,
    room: int,
    holds_weights: bool,
) -> int:
    """The largest forests that ``room`` bytes hold, by counts alone; says when they are smaller than usual."""
    activations = analytic_activations(shape, training)
    some = spread(sequences)
    trained, distinct = trained_tokens(some), distinct_tokens(some)

    def needs(tokens: int) -> int:
        predicted = min(tokens, -(-tokens * trained // distinct))
        parts = count_parts(shape, training, activations, tokens=tokens, predicted=predicted)
        held = parts["weights"] + parts["adapter"] if holds_weights else 0
        return sum(parts.values()) - held

    longest = int(sequence_lengths(sequences).max())
    usual = max(longest, CPU_TOKENS if device.type == "cpu" else GPU_TOKENS)
    chosen = largest_fitting(usual, longest=longest, room=room, needs=needs)
    if chosen < usual:
        say(f"max_tokens_per_forest {chosen} in place of {usual}: {room / 2**30:.1f} GiB are free")
    return chosen


@contextmanager
def told_by_part(
    base: Path, settings: RunSettings, sequences: Sequence[TokenSequence], *, loaded: LoadedModel | None, tokens: int
) -> Iterator[None]:
    """Turn running out of memory into an error that names the part that grew.

    ``base`` is the model's folder, ``tokens`` the budget of a forest. While the model is being loaded, ``loaded`` is
    None and there is no forest yet.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        longest = int(sequence_lengths(sequences).max()) if tokens else 0
        raise explain_out_of_memory(error, base, settings, loaded=loaded, tokens=tokens, longest=longest) from error


def explain_out_of_memory(
    error: Exception, base: Path, settings: RunSettings, *, loaded: LoadedModel | None, tokens: int, longest: int
) -> WorkError:
    """Which part grew, and the first three changes with what each saves.

    ``tokens`` is the run's budget of a forest, for a failure outside one.
    """
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    forest = next((f.f_locals["forest"] for f in frames if "forest" in f.f_locals), None)
    size = tokens if forest is None else forest.distinct_tokens
    eager = None if loaded is None else loaded.model.config._attn_implementation == "eager"
    device = choose_device() if loaded is None else loaded.device
    shape, training, base_bytes = memory_needs(base, settings, device=device, eager=eager)
    predicted = size if forest is None else len(np.unique(forest.parent[forest.edges]))
    activations = analytic_activations(shape, training)
    changes = propose_changes(
        shape, training, activations, tokens=size, predicted=predicted, longest=longest, base_bytes=base_bytes
    )
    told = "; ".join(f"{c.change} saves about {c.saves_bytes / 2**20:,.0f} MiB" for c in changes[:3])
    kept = (
        "'precept plan' tells more" if loaded is None else "the last checkpoint is kept, and 'precept plan' tells more"
    )
    return WorkError(
        f"the memory of this machine does not suffice for {_grown_part(error, loaded, tokens=size)}",
        code="out-of-memory",
        found=str(error).splitlines()[0][:300] if str(error) else type(error).__name__,
        do=f"{told or 'a smaller max_length or model'}; {kept}",
    )


def _grown_part(error: Exception, loaded: LoadedModel | None, *, tokens: int) -> str:
    """The part of memory that the failed call asked for, by the functions it went through."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    names = {(frame.f_globals.get("__name__", ""), frame.f_code.co_name) for frame in frames}
    if loaded is None:
        return "the weights of the model"
    if ("precept.train.checkpoint", "save") in names:
        return "a checkpoint that was written"
    if any(module.startswith("torch.optim") for module, _ in names):
        return "the optimizer's states"
    return f"activations and gradients of a forest of {tokens:,} distinct tokens"
