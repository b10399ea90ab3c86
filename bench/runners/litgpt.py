"""LitGPT's side: the ``fit`` of its ``finetune_full`` script, an epoch a repetition.

Settings are ``micro_batch_size`` and Fabric's ``precision``. Its model is built from a configuration of the same shape
and gets the same weights through its own conversion. The script pads rows to the longest of a micro-batch, computes all
logits, clips no gradients, and weighs micro-batches equally whatever they hold (a mean of means): the step-0 loss that
is compared weighs them by their trained tokens, so that it is of the same rows, not of the same objective.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning as L
import torch
from litgpt import GPT, Config
from litgpt.args import EvalArgs, TrainArgs
from litgpt.data.base import get_sft_collate_fn
from litgpt.finetune import full
from litgpt.scripts.convert_hf_checkpoint import copy_weights_hf_llama
from litgpt.utils import chunked_cross_entropy
from safetensors.torch import load_file
from torch.utils.data import DataLoader

from bench.runners.protocol import IGNORED, Job, Settings, Stopwatch, serve

STOCK = {"micro_batch_size": 4, "precision": "32-true"}


class Epochs:
    """The loader as ``fit`` sees it, with a stopwatch around each pass; after the last one it ends ``fit``."""

    def __init__(self, loader: Any, stopwatch: Stopwatch, repetitions: int) -> None:
        self.dataset, self._loader = loader.dataset, loader
        self._stopwatch, self._left = stopwatch, repetitions

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Any]:
        if not self._left:
            yield next(iter(self._loader))  # ``fit`` asks for a batch before it notices that its epochs are over
            return
        self._left -= 1
        self._stopwatch.start()
        yield from self._loader
        self._stopwatch.stop()


def make_model(job: Job, fabric: Any) -> Any:
    """Their GPT with the folder's weights."""
    folder = Path(job.model)
    given = json.loads((folder / "config.json").read_text())
    config = Config(
        name="bench",
        block_size=given["max_position_embeddings"],
        vocab_size=given["vocab_size"],
        padded_vocab_size=given["vocab_size"],
        n_layer=given["num_hidden_layers"],
        n_head=given["num_attention_heads"],
        n_query_groups=given["num_key_value_heads"],
        n_embd=given["hidden_size"],
        intermediate_size=given["intermediate_size"],
        rotary_percentage=1.0,
        parallel_residual=False,
        bias=False,
        norm_class_name="RMSNorm",
        norm_eps=given["rms_norm_eps"],
        mlp_class_name="LLaMAMLP",
    )
    weights: dict[str, torch.Tensor] = {}
    copy_weights_hf_llama(config, {}, weights, load_file(folder / "model.safetensors"))
    with fabric.init_module():
        model = GPT(config)
    model.load_state_dict(weights)
    return fabric.setup(model)


def make_loader(job: Job, fabric: Any, micro_batch_size: int) -> Any:
    """Rows as their collate function pads them, shuffled each epoch as their data modules do."""
    rows = [
        {
            "input_ids": torch.as_tensor(ids, dtype=torch.int64),
            "labels": torch.as_tensor(labels),
            "token_counts": {"raw": len(ids), "raw_plus_prompt_template": len(ids)},
        }
        for ids, labels in zip(*job.sequences(), strict=True)
    ]
    loader: DataLoader[Any] = DataLoader(
        rows,  # type: ignore[arg-type]  # a list serves
        batch_size=micro_batch_size,
        shuffle=True,
        collate_fn=get_sft_collate_fn(),
    )
    return fabric.setup_dataloaders(loader)


def make_fabric(job: Job, precision: str) -> Any:
    accelerator = "cpu" if job.device == "cpu" else "cuda"
    return L.Fabric(devices=1, accelerator=accelerator, precision=precision)


def loss(job: Job, settings: Settings) -> float:
    """Their loss of each micro-batch, weighed by its trained tokens."""
    fabric = make_fabric(job, "32-true")
    model = make_model(job, fabric).eval()
    total, count = 0.0, 0
    with torch.no_grad():
        for batch in make_loader(job, fabric, {**STOCK, **settings}["micro_batch_size"]):
            trained = int((batch["labels"][:, 1:] != IGNORED).sum())
            mean = chunked_cross_entropy(model(batch["input_ids"])[..., :-1, :], batch["labels"][..., 1:])
            total, count = total + float(mean) * trained, count + trained
    return total / count


def train(job: Job, settings: Settings, stopwatch: Stopwatch) -> None:
    """``fit`` over as many epochs as there are repetitions."""
    chosen = {**STOCK, **settings}
    fabric = make_fabric(job, chosen["precision"])
    model = make_model(job, fabric)
    optimizer = fabric.setup_optimizers(
        torch.optim.AdamW(model.parameters(), lr=job.learning_rate, weight_decay=0.0, fused=True)
    )
    loader = make_loader(job, fabric, chosen["micro_batch_size"])
    with tempfile.TemporaryDirectory() as output:
        full.fit(
            fabric=fabric,
            state={
                "model": model,
                "optimizer": optimizer,
                "scheduler": torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0),
                "iter_num": 0,
                "step_count": 0,
            },
            train_dataloader=Epochs(loader, stopwatch, job.repetitions),
            val_dataloader=loader,
            devices=1,
            resume=False,
            checkpoint_dir=Path(job.model),
            out_dir=Path(output),
            train=TrainArgs(
                global_batch_size=min(job.batch_size, len(loader.dataset)),
                micro_batch_size=chosen["micro_batch_size"],
                epochs=job.repetitions,
            ),
            eval=EvalArgs(),
            data=None,
        )


if __name__ == "__main__":
    serve(loss, train)
