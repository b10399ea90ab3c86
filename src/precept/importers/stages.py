"""Stages and kinds of model that are not ours: the only reasons to refuse a file that can be read."""

from __future__ import annotations

import re
from typing import NoReturn

from precept.errors import InputError
from precept.importers.account import Account

# Words of a model's or a template's name that tell of images, audio or video; each stands alone or before a number.
WORDS = (
    *("vl", "vlm", "smolvlm", "vision", "multimodal", "omni", "ocr", "audio", "video", "mllama", "qvq"),
    *(r"llava\w*", r"internvl\w*", "pixtral", "paligemma", "idefics", "florence", "voxtral", "whisper"),
    *("minicpm[-_]?[vo]", r"glm-?4[\d.]*v", r"qwen[\d.]*[-_]?vl"),
)
VISION = re.compile(rf"(^|[-_/.])({'|'.join(WORDS)})([-_/.\d]|$)", re.IGNORECASE)


def refuse_stage(stage: str, tool: str, key: str) -> NoReturn:
    """Raises InputError: the file trains by a method that is not here."""
    raise InputError(
        f"the stage of this file, '{stage}', is not one that Precept trains",
        code="stage-not-ours",
        found=f"the key '{key}' of {tool}",
        do="import supervised fine-tuning (on messages, prompts and completions, or plain text)",
    )


def refuse_kind(kind: str, tool: str, key: str) -> NoReturn:
    """Raises InputError: the file trains a kind of model that is not here."""
    raise InputError(
        f"{kind}: Precept trains language models on text",
        code="model-kind-not-ours",
        found=f"the key '{key}' of {tool}",
        do="import a file that trains a text model",
    )


def refuse_vision(account: Account, model: str, *, keys: tuple[str, ...] = ()) -> None:
    """Raises InputError where the model's name or a key says that images, audio or video are trained on."""
    for key in keys:
        if account.find(key) not in (None, False):
            refuse_kind("a model with images, audio or video", account.tool, key)
    name = str(account.find(model) or "")
    if VISION.search(name.rstrip("/").split("/")[-1]):
        refuse_kind(f"'{name}' is a model with images, audio or video", account.tool, model)
