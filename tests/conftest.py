"""What every test may use. Two test processes run side by side, so each takes one thread."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Proofs of tiny models are kept for this run alone, by all of its processes."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        os.environ["PRECEPT_CACHE"] = tempfile.mkdtemp(prefix="precept-cache-")


def pytest_unconfigure(config: pytest.Config) -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        shutil.rmtree(os.environ["PRECEPT_CACHE"], ignore_errors=True)


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


@pytest.fixture(scope="session")
def quickstart_document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What ``precept quickstart --json`` wrote: in the folder that PRECEPT_QUICKSTART names, else in one that the first
    test process to ask makes for all of them."""
    named = os.environ.get("PRECEPT_QUICKSTART")
    if named:
        return _stored_quickstart(Path(named))
    temporary = tmp_path_factory.getbasetemp()
    shared = temporary.parent if os.environ.get("PYTEST_XDIST_WORKER") else temporary
    with (shared / "quickstart.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = shared / "quickstart"
        if not folder.exists():
            environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
            command = [sys.executable, "-m", "precept.cli", "quickstart", "-o", str(folder)]
            subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
        return _stored_quickstart(folder)


def _stored_quickstart(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "levels" / "result.json").read_text(encoding="utf-8"))
    return document
