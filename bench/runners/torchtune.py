"""torchtune's side: its recipe ``full_finetune_single_device``, an epoch a repetition.

Settings are keys of the recipe's configuration, and ``packed``. The model comes from its Llama 2 builder and its
checkpointer reads the folder; loss, accumulation and optimizer step are the recipe's ``train``. Packs are made by its
``PackedDataset`` and kept apart by a dense mask. The recipe drops the last micro-batches of an epoch that fill no batch
or no step; here all rows are used.
"""

from __future__ import annotations

import json
import runpy
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torchtune
from omegaconf import OmegaConf
from torch.utils.data import DataLoader, RandomSampler
from torchtune.data import padded_collate_packed, padded_collate_sft
from torchtune.datasets import PackedDataset

from bench.runners.protocol import IGNORED, Job, Settings, Stopwatch, serve

RECIPE = Path(torchtune.__file__).parents[1] / "recipes" / "full_finetune_single_device.py"
"""A script, not a module: ``tune run`` runs it by its path."""
LENGTH = 2048
STOCK = {"batch_size": 2, "dtype": "bf16", "enable_activation_checkpointing": True, "packed": False}
"""Of the configuration that it ships for this recipe."""


class Tokenizer:
    """All that the recipe asks of one here."""

    pad_id = 0


class NoRows(torch.utils.data.Dataset[Any]):
    """Stands where the recipe makes its dataset; the rows come afterwards."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> dict[str, list[int]]:
        return {"tokens": [0], "labels": [0]}


class NoSampler:
    def set_epoch(self, epoch: int) -> None:
        """Shuffling anew each epoch needs no word here."""


class Epochs:
    """The loader as the recipe sees it, with a stopwatch around each pass."""

    def __init__(self, loader: Any, stopwatch: Stopwatch) -> None:
        self._loader, self._stopwatch, self.sampler = loader, stopwatch, NoSampler()

    def __iter__(self) -> Iterator[Any]:
        self._stopwatch.start()
        yield from self._loader
        self._stopwatch.stop()


def make_loader(job: Job, chosen: Settings) -> Any:
    """Padded or packed rows in batches, in a new order each epoch."""
    rows = [{"tokens": ids.tolist(), "labels": labels.tolist()} for ids, labels in zip(*job.sequences(), strict=True)]
    data: Any = PackedDataset(rows, max_seq_len=LENGTH) if chosen["packed"] else rows
    collate = padded_collate_packed if chosen["packed"] else partial(padded_collate_sft, ignore_idx=IGNORED)
    return DataLoader(data, batch_size=chosen["batch_size"], sampler=RandomSampler(data), collate_fn=collate)


def make_recipe(job: Job, chosen: Settings, output: str) -> Any:
    """The recipe, set up on the folder."""
    folder = Path(job.model)
    given = json.loads((folder / "config.json").read_text())
    here = "bench.runners.torchtune"
    config = OmegaConf.create(
        {
            "output_dir": output,
            "device": job.device,
            "dtype": chosen["dtype"],
            "seed": 0,
            "epochs": job.repetitions,
            "max_steps_per_epoch": None,
            "batch_size": chosen["batch_size"],
            "gradient_accumulation_steps": 1,
            "optimizer_in_bwd": False,
            "clip_grad_norm": 1.0,
            "compile": False,
            "shuffle": True,
            "resume_from_checkpoint": False,
            "enable_activation_checkpointing": chosen["enable_activation_checkpointing"],
            "tokenizer": {"_component_": f"{here}.Tokenizer"},
            "dataset": {"_component_": f"{here}.NoRows"},
            "metric_logger": {"_component_": "torchtune.training.metric_logging.DiskLogger", "log_dir": output},
            "loss": {"_component_": "torchtune.modules.loss.CEWithChunkedOutputLoss"},
            "optimizer": {
                "_component_": "torch.optim.AdamW",
                "lr": job.learning_rate,
                "weight_decay": 0.0,
                "fused": True,
            },
            "checkpointer": {
                "_component_": "torchtune.training.FullModelHFCheckpointer",
                "checkpoint_dir": str(folder),
                "checkpoint_files": ["model.safetensors"],
                "output_dir": output,
                "model_type": "LLAMA2",
            },
            "model": {
                "_component_": "torchtune.models.llama2._component_builders.llama2",
                "vocab_size": given["vocab_size"],
                "num_layers": given["num_hidden_layers"],
                "num_heads": given["num_attention_heads"],
                "num_kv_heads": given["num_key_value_heads"],
                "embed_dim": given["hidden_size"],
                "intermediate_dim": given["intermediate_size"],
                "max_seq_len": given["max_position_embeddings"],
                "norm_eps": given["rms_norm_eps"],
            },
        }
    )
    recipe = runpy.run_path(str(RECIPE))["FullFinetuneRecipeSingleDevice"](cfg=config)
    recipe.setup(cfg=config)
    return recipe


def loss(job: Job, settings: Settings) -> float:
    """The recipe's loss of each micro-batch in float32, weighed by its trained tokens."""
    chosen = {**STOCK, **settings, "dtype": "fp32"}
    total, count = 0.0, 0
    with tempfile.TemporaryDirectory() as output, torch.no_grad():
        recipe = make_recipe(job, chosen, output)
        for batch in make_loader(job, chosen):
            trained = int((batch["labels"][:, 1:] != IGNORED).sum())
            total, count = total + float(recipe._loss_step(batch)) * trained, count + trained
    return total / count


def train(job: Job, settings: Settings, stopwatch: Stopwatch) -> None:
    """The recipe's ``train``; the checkpoint at the end of an epoch is left out."""
    chosen = {**STOCK, **settings}
    with tempfile.TemporaryDirectory() as output:
        recipe = make_recipe(job, chosen, output)
        loader = make_loader(job, chosen)
        steps = job.steps(len(job.sequences()[0]))
        # Micro-batches left over after the last full step would go into the next epoch's first one.
        even = len(loader) % steps == 0
        recipe._gradient_accumulation_steps = len(loader) // steps if even else len(loader)
        recipe._dataloader = Epochs(loader, stopwatch)
        recipe.save_checkpoint = lambda epoch: None
        recipe.train()


if __name__ == "__main__":
    serve(loss, train)
