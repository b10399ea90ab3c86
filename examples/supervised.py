"""Supervised tuning as one flat loop over the public pieces: what ``precept train sft`` does, to read and to change.

    python examples/supervised.py --model MODEL --data ROWS.jsonl -o TUNED

Rows are read, rendered to token sequences with their trained tokens marked, merged by common prefix into forests,
and scored by a policy that was proven exact on the model. Held-out rows, checkpoints and resuming are left out.
"""

from __future__ import annotations

import argparse
import datetime
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from precept.forest import Schedule, build_forest, cut
from precept.models.folder import check_model_folder, context_length, resolve_model
from precept.models.load import load_model
from precept.models.probe import choose_policy
from precept.models.save import save_model
from precept.models.settings import ModelSettings
from precept.objectives import sft
from precept.records import data_hash, load
from precept.render import Renderer, RenderSettings


def train(
    model: str,
    data: Sequence[str],
    output: Path,
    *,
    steps: int = 100,
    batch_size: int = 64,
    learning_rate: float = 2e-5,
    max_grad_norm: float = 1.0,
    max_tokens: int = 2048,
    seed: int = 42,
    adapter: str = "none",
    dtype: str = "auto",
    chat_template: str | None = None,
) -> list[float]:
    """Tune a model folder on the rows of some files and write the result to ``output``; returns each step's loss."""
    torch.manual_seed(seed)

    # Files -> rows. A row that cannot be used is refused with its reason; here that ends the run.
    rows = load(data)
    if rows.refusals:
        raise SystemExit("\n".join(f"{r.file} row {r.row}: {r.reason}" for r in rows.refusals[:5]))

    # The model, or a frozen one with a fresh adapter, in the precision that this machine is good at.
    folder = check_model_folder(resolve_model(model))
    loaded = load_model(folder.path, ModelSettings.model_validate({"adapter": adapter, "dtype": dtype}), train=True)

    # Rows -> token sequences, each token with its weight: 0 is context, 1 is trained.
    renderer = Renderer(
        loaded.tokenizer,
        RenderSettings(chat_template=chat_template),
        template_date=datetime.date.today(),
        max_length=min(context_length(folder.config) or 4096, 4096),
        encoder_decoder=loaded.is_encoder_decoder,
        decoder_start_id=folder.config.get("decoder_start_token_id"),
    )
    rendered = renderer.render(rows.rows)
    if rendered.refusals:
        raise SystemExit("\n".join(f"{r.file} row {r.row}: {r.reason}" for r in rendered.refusals[:5]))
    sequences = rendered.sequences

    # The fastest way to score forests that is exact for this model, found by trying.
    policy = choose_policy(
        loaded.model,
        build=build_forest,
        compute_dtype=loaded.compute_dtype,
        longest=max(len(sequence.ids) for sequence in sequences),
    )
    for notice in [*loaded.notices, *rendered.notices, *policy.notices]:
        print(notice)

    # Which rows each step sees: a pure function of seed, epoch and data.
    schedule = Schedule(len(sequences), batch_size, seed=seed, data_hash=data_hash(rows.rows))
    parameters = [parameter for parameter in loaded.model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=learning_rate, betas=(0.9, 0.999), weight_decay=0.0, fused=True)

    losses: list[float] = []
    for step in range(steps):
        began = time.perf_counter()
        batch = [sequences[i] for i in schedule.rows(step)]
        # The batch is cut into forests of at most max_tokens distinct tokens; where is a matter of memory
        # only: sums of losses and gradients are divided once, by the count of the whole step.
        groups = cut(batch, max_tokens=max_tokens, share=policy.share, switches=policy.length_switches)
        loss_sum, count, real, distinct = 0.0, 0.0, 0, 0
        for group in groups:
            forest = build_forest([batch[i] for i in group], share=policy.share)
            loss = sft(policy.policy, forest)
            loss.sum.backward()
            loss_sum += float(loss.sum.detach())
            count += loss.count
            real += forest.real_tokens
            distinct += forest.distinct_tokens
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad.div_(count)
        torch.nn.utils.clip_grad_norm_(parameters, max_grad_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss_sum / count)
        seconds = time.perf_counter() - began
        print(
            f"step {step + 1}/{steps}  loss {losses[-1]:.4f}  {real} real, {distinct} distinct tokens  {seconds:.2f} s"
        )

    # A folder that plain transformers opens, or peft for an adapter, with the template and the end tokens of training.
    save_model(
        loaded,
        output,
        save_dtype="auto",
        stop_ids=rendered.stop_ids,
        chat_template=renderer.chat_template,
        tokenizer=loaded.tokenizer,
    )
    return losses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=2e-5)
    parser.add_argument("--adapter", choices=["none", "lora", "dora", "qlora"], default="none")
    parser.add_argument("--chat-template")
    words = parser.parse_args()
    train(
        words.model,
        words.data,
        words.output,
        steps=words.steps,
        batch_size=words.batch_size,
        learning_rate=words.learning_rate,
        adapter=words.adapter,
        chat_template=words.chat_template,
    )


if __name__ == "__main__":
    main()
