"""TRL's preparation alone: seconds from the file to rows ready to be batched, for the settings file that is named."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from datasets import load_dataset
from transformers import AutoTokenizer
from trl import SFTConfig, SFTTrainer


def main() -> None:
    given = json.loads(Path(sys.argv[1]).read_text())
    files, model, template = given.pop("datasets"), given.pop("model_name_or_path"), given.pop("chat_template_path")
    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.chat_template = Path(template).read_text()
    few = load_dataset("json", data_files=files[0]["data_files"], split="train[:1]")
    config = SFTConfig(**given)
    SFTTrainer(model=model, args=config, train_dataset=few, processing_class=tokenizer)  # what does not grow with rows
    began = time.perf_counter()
    rows = load_dataset("json", data_files=files[0]["data_files"], split="train", download_mode="force_redownload")
    SFTTrainer(model=model, args=config, train_dataset=rows, processing_class=tokenizer)
    print(time.perf_counter() - began)


if __name__ == "__main__":
    main()
