"""LLaMA-Factory's side: its ``run_sft`` on a tokenized dataset, an epoch a repetition.

Settings are the keys of its YAML files. Its packing is done by its own processor, given our ids in place of its
template's. ``torchaudio``, which it imports for audio and which has no build for this torch, is an empty module.
"""

from __future__ import annotations

import sys
import tempfile
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import transformers  # before torchaudio seems to be there

sys.modules["torchaudio"] = ModuleType("torchaudio")
sys.modules["torchaudio"].__spec__ = ModuleSpec("torchaudio", None)

from datasets import Dataset, DatasetDict  # noqa: E402
from llamafactory.data.processor.supervised import (  # noqa: E402
    PackedSupervisedDatasetProcessor,
    SupervisedDatasetProcessor,
)
from llamafactory.hparams import get_train_args  # noqa: E402
from llamafactory.train.sft import workflow  # noqa: E402
from llamafactory.train.sft.trainer import CustomSeq2SeqTrainer  # noqa: E402

from bench.runners.hugging_face import Repetitions, accumulation, arguments, trainer_loss  # noqa: E402
from bench.runners.protocol import Job, Settings, Stopwatch, serve  # noqa: E402

LENGTH = 2047
"""Packs hold one token more, and position ids are not padded to a multiple of eight as ids are: so 2,048 of both."""
STOCK_BATCH = 8
COLUMNS = ("input_ids", "attention_mask", "position_ids", "labels")


class LossFound(Exception):
    """Carries the step-0 loss out of ``run_sft``."""

    def __init__(self, loss: float) -> None:
        super().__init__(loss)
        self.loss = loss


class LossTrainer(CustomSeq2SeqTrainer):  # type: ignore[misc]
    """Finds the loss of its batches where it would train."""

    def train(self, *given: Any, **named: Any) -> None:
        raise LossFound(trainer_loss(self))


def process(job: Job, settings: Settings) -> dict[str, list[Any]]:
    """The workload through LLaMA-Factory's processor of supervised rows, packed where the settings say so."""
    ids, labels = job.sequences()
    packed = bool(settings.get("packing") or settings.get("neat_packing"))
    base = PackedSupervisedDatasetProcessor if packed else SupervisedDatasetProcessor

    class Tokenized(base):  # type: ignore[misc, valid-type]
        def _encode_data_example(self, prompt: Any, **rest: Any) -> tuple[list[int], list[int]]:
            row = prompt[0]
            return ids[row].tolist(), labels[row].tolist()

    data = SimpleNamespace(cutoff_len=LENGTH, neat_packing=bool(settings.get("neat_packing")))
    processor = Tokenized(
        template=None, tokenizer=transformers.AutoTokenizer.from_pretrained(job.model), processor=None, data_args=data
    )
    none: list[None] = [None] * len(ids)
    rows = {"_prompt": [[row] for row in range(len(ids))], "_response": [[None]] * len(ids)}
    rest = {f"_{name}": none for name in ("system", "tools", "images", "videos", "audios")}
    return dict(processor.preprocess_dataset({**rows, **rest}))


def run(job: Job, settings: Settings, callbacks: list[transformers.TrainerCallback]) -> None:
    """``run_sft`` as ``llamafactory-cli train`` calls it."""
    rows = process(job, settings)
    packed = bool(settings.get("packing") or settings.get("neat_packing"))
    per_device = settings.get("per_device_train_batch_size", STOCK_BATCH)
    packs = len(rows["input_ids"]) if packed else None
    count = len(job.sequences()[0])
    with tempfile.TemporaryDirectory() as folder:
        kept = {name: rows[name] for name in COLUMNS if name in rows}
        DatasetDict({"train": Dataset.from_dict(kept)}).save_to_disk(str(Path(folder) / "tokenized"))
        given = {
            **arguments(job),
            "model_name_or_path": job.model,
            "stage": "sft",
            "do_train": True,
            "finetuning_type": "full",
            "template": "empty",
            "dataset": "none",
            "tokenized_path": str(Path(folder) / "tokenized"),
            "cutoff_len": LENGTH,
            "output_dir": str(Path(folder) / "output"),
            "per_device_train_batch_size": per_device,
            "gradient_accumulation_steps": accumulation(job, rows=count, per_device=per_device, packs=packs),
            **settings,
        }
        workflow.run_sft(*get_train_args(given), callbacks)


def loss(job: Job, settings: Settings) -> float:
    """The trainer's own loss over its own batches in float32."""
    workflow.CustomSeq2SeqTrainer = LossTrainer
    exact = {key: value for key, value in settings.items() if key not in ("bf16", "pure_bf16")}
    try:
        run(job, exact, [])
    except LossFound as found:
        return found.loss
    finally:
        workflow.CustomSeq2SeqTrainer = CustomSeq2SeqTrainer
    raise AssertionError("run_sft did not train")


def train(job: Job, settings: Settings, stopwatch: Stopwatch) -> None:
    """An epoch a repetition."""
    run(job, settings, [Repetitions(stopwatch)])


if __name__ == "__main__":
    serve(loss, train)
