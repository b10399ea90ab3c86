"""Data sets of the Hugging Face hub: ``hf:owner/name[:split]``, from the local cache or the hub itself."""

from __future__ import annotations

import os
import re
import threading
import urllib.error
import urllib.request

from precept.errors import InputError, MissingExtra
from precept.records.parse_json import RawRows

NAME = re.compile(r"hf:([\w.-]+/[\w.-]+)(?::([\w.+-]+(?:\[[\w%:+-]*\])?))?")
ANSWER_WITHIN = 6.0  # seconds; an offline machine must be told so within ten


def read_hub(path: str, *, limit: int | None) -> RawRows:
    """Records of a hub data set; the split is train unless named.

    Raises InputError for a malformed name, an absent data set or split, and where the hub does not answer;
    MissingExtra without the package ``datasets``.
    """
    named = NAME.fullmatch(path)
    if named is None:
        raise InputError(
            "not a data set name", code="bad-path", where=path, do="write hf:owner/name or hf:owner/name:split"
        )
    offline = bool(os.environ.get("HF_HUB_OFFLINE") or os.environ.get("HF_DATASETS_OFFLINE"))
    if not offline and not _hub_answers():
        offline = True
    try:
        import datasets
    except ImportError:
        raise MissingExtra("datasets", "data", wanted_for=f"reading {path}") from None
    if offline:
        datasets.config.HF_HUB_OFFLINE = True
    try:
        found = datasets.load_dataset(named[1], split=named[2] or "train")
    except (OSError, ValueError, RuntimeError) as error:
        unreached = "the hub cannot be reached and the data set is not in the local cache"
        raise InputError(
            unreached if offline else "the data set cannot be read",
            code="hub-offline" if offline else "hub-failed",
            where=path,
            found=(str(error).splitlines() or [type(error).__name__])[0][:200],
            do="download it where there is a network and name the files, or check name and split",
        ) from None
    records = list(found.take(limit) if limit is not None else found)
    return RawRows(records=records, numbers=list(range(1, len(records) + 1)))


def _hub_answers() -> bool:
    """Whether the hub's address answers in time. The look-up itself may hang, so it has a thread of its own."""
    answered = threading.Event()

    def ask() -> None:
        request = urllib.request.Request(os.environ.get("HF_ENDPOINT", "https://huggingface.co"), method="HEAD")
        try:
            urllib.request.urlopen(request, timeout=ANSWER_WITHIN).close()
        except urllib.error.HTTPError:
            pass  # an answer, if an unfriendly one
        except (OSError, ValueError):
            return
        answered.set()

    threading.Thread(target=ask, daemon=True).start()
    return answered.wait(ANSWER_WITHIN)
