"""The options and settings of ``precept judge``: read, and refused where they are missing or would have no effect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from precept.decode.remote import RemoteSettings
from precept.errors import InputError
from precept.evaluate.judge import JudgeSettings
from precept.run.judge.files import JudgeFiles
from precept.run.settings import explain_invalid, refuse_truths, unknown_key

NEEDS_ALPACA = ("difficulty", "gamed")
AGREEMENT = "agreement"
"""The protocol that asks no judge: two files of votes are compared."""


@dataclass(frozen=True)
class JudgeWish:
    """Which judge, and how it is asked."""

    judge: str | None = None
    url: str | None = None
    chat_template: str | None = None
    weighted: bool = False
    limit: int | None = None
    fresh: bool = False


def parse_keys(pairs: Mapping[str, Any]) -> tuple[JudgeSettings, RemoteSettings]:
    """Flat keys to settings. Raises InputError for an unknown key and for a value that does not fit."""
    classes = (JudgeSettings, RemoteSettings)
    known = [key for cls in classes for key in cls.model_fields]
    for key in pairs:
        if key not in known:
            raise unknown_key(key, known, where=None)
    made: list[Any] = []
    for cls in classes:
        own = {key: value for key, value in pairs.items() if key in cls.model_fields}
        refuse_truths(cls, own, lambda key: None)
        try:
            made.append(cls(**own))
        except ValidationError as error:
            raise explain_invalid(error, own, lambda key: None, classes) from error
    return made[0], made[1]


def refuse_options(
    name: str, files: JudgeFiles, wish: JudgeWish, pairs: Mapping[str, Any], *, output: Path | None, needs_against: bool
) -> None:
    """Raise InputError for options that are missing, and for those that would have no effect."""
    missing, useless = [], []
    if files.annotations is None and name != AGREEMENT:
        needed = {"--judge": wish.judge, "--answers": files.answers, "--output": output}
        missing = [option for option, value in needed.items() if value is None]
        missing += ["--against"] if needs_against and files.against is None else []
        useless = ["--against"] if not needs_against and files.against is not None else []
        useless += ["--references"] if name == "alpaca_eval" and files.references is not None else []
    else:
        given = {**vars(files), "judge": wish.judge, "judge-url": wish.url, "chat-template": wish.chat_template}
        beside = {"annotations", *NEEDS_ALPACA}
        if name == AGREEMENT:
            beside = {"annotations", "against"}
            missing = [f"--{option}" for option in sorted(beside) if given[option] is None]
            useless = ["--limit"] if wish.limit is not None else []
        useless += [f"--{option}" for option, value in given.items() if value is not None and option not in beside]
        useless += ["--weighted"] if wish.weighted else []
        useless += [key for key in pairs if key != "seed"]
    if wish.weighted:  # the judge writes nothing then
        useless += [key for key in ("judge_max_new_tokens", "judge_temperature") if key in pairs]
    if name != "alpaca_eval":
        useless += [f"--{option}" for option in NEEDS_ALPACA if vars(files)[option] is not None]
        useless += ["--weighted"] if wish.weighted else []
    if wish.url is not None and wish.chat_template is not None:
        useless.append("--chat-template")
    if files.gamed is not None and files.difficulty is None:
        missing.append("--difficulty")
    if missing or useless:
        raise InputError(
            f"'precept judge {name}' cannot be run with these options",
            code="judge-option",
            found="; ".join(
                f"{what}: {', '.join(dict.fromkeys(options))}"
                for what, options in (("missing", missing), ("without effect", useless))
                if options
            ),
            do="see 'precept judge --help'; --annotations FILE needs no judge",
        )
