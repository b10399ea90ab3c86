"""Models of the Hugging Face hub: from the local cache, else downloaded, safetensors only."""

from __future__ import annotations

import threading
from pathlib import Path

from precept.errors import InputError

TIMEOUT_SECONDS = 8.0
PATTERNS = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja", "*.tiktoken"]


def fetch_from_hub(name: str) -> Path:
    """The hub's cached copy, else a download of safetensors, configuration and tokenizer only."""
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    tried = [f"the folder {name}", f"the cache {constants.HF_HUB_CACHE}"]
    try:
        cached = Path(snapshot_download(name, local_files_only=True))
        if (cached / "config.json").is_file() or (cached / "adapter_config.json").is_file():
            return cached
    except HFValidationError as error:
        raise _not_found(name, [*tried, f"no name for the hub: {error}"]) from error
    except LocalEntryNotFoundError:
        pass
    if constants.HF_HUB_OFFLINE:
        raise _not_found(name, [*tried, "not the hub, since HF_HUB_OFFLINE is set"])
    fault = _fetch(name, ["config.json", "adapter_config.json"], timeout=TIMEOUT_SECONDS) or _fetch(name, PATTERNS)
    if fault:
        raise _not_found(name, [*tried, f"{constants.ENDPOINT} ({fault})"])
    folder = Path(snapshot_download(name, local_files_only=True))
    if not any(folder.glob("*.safetensors")):
        raise InputError(
            "the hub's model has no safetensors weights, and nothing else is loaded",
            code="weights-pickled",
            where=name,
            do="choose a model with safetensors, or convert this one and give its folder",
        )
    return folder


def _fetch(name: str, patterns: list[str], *, timeout: float | None = None) -> str | None:
    """Download what matches into the cache; None when done, else the fault.

    It runs in a thread that may be left behind, since looking up a host's address knows no time limit.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    outcome: list[str | None] = []

    def download() -> None:
        try:
            snapshot_download(name, allow_patterns=patterns)
            outcome.append(None)
        except (HfHubHTTPError, OSError) as error:
            cause = error.__cause__ or error
            outcome.append(f"{type(cause).__name__}: {cause}".splitlines()[0])

    thread = threading.Thread(target=download, daemon=True)
    thread.start()
    thread.join(timeout)
    return outcome[0] if outcome else f"no answer within {timeout:.0f} s"


def _not_found(name: str, tried: list[str]) -> InputError:
    return InputError(
        "no such model",
        code="model-not-found",
        where=name,
        found="tried " + ", ".join(tried),
        do="give a folder that exists, or go online for models of the hub",
    )
