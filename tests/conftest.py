"""What every test may use. Two test processes run side by side, so each takes one thread."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest

SHARED = Path(os.environ.get("PRECEPT_SHARED", Path(__file__).parents[2] / "shared")) / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout. Tests that need it skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"no real data at {SHARED}: set PRECEPT_SHARED to the folder that holds 'data'")
    return SHARED


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random Llama with a ChatML template, in Hugging Face layout. Read it, never write to it."""
    from tests.tiny import CHATML, tiny_model_folder

    return tiny_model_folder(tmp_path_factory.mktemp("base") / "llama", chat_template=CHATML)


@pytest.fixture(scope="session")
def chat_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty rows in the ``messages`` format. Read it, never write to it."""
    from tests.command_line import chat_rows, write_rows

    return write_rows(tmp_path_factory.mktemp("data") / "chat.jsonl", chat_rows(40))
