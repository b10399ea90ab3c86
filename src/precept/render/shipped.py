"""The chat templates that come with the package, and the texts of others.

A shipped template is a .jinja file whose first line may be a comment ``{#- needs: <token> <token> -#}`` naming the
special tokens that it writes.
"""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

from precept.errors import InputError

_NEEDS = re.compile(r"\A\{#-? needs: (?P<tokens>[^#]+?) -?#\}")


def shipped_names() -> list[str]:
    """Names of the shipped templates, in alphabetical order."""
    folder = resources.files("precept.render").joinpath("templates")
    return sorted(file.name.removesuffix(".jinja") for file in folder.iterdir() if file.name.endswith(".jinja"))


def read_template(choice: str) -> str:
    """The text of a shipped template or of a .jinja file. Raises InputError listing the names if it is neither."""
    names = shipped_names()
    if choice in names:
        return resources.files("precept.render").joinpath("templates", f"{choice}.jinja").read_text("utf-8")
    path = Path(choice)
    if not path.is_file():
        raise InputError(
            "there is no such chat template",
            where="chat_template",
            found=choice,
            do=f"give a .jinja file or one of: {', '.join(names)}",
            code="template-not-found",
        )
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            "the chat template cannot be read",
            where=choice,
            found=str(error),
            code="template-not-readable",
            do="give a text file in UTF-8",
        ) from error


def declared_tokens(template: str) -> tuple[str, ...]:
    """The special tokens that a template says it needs in its first line."""
    match = _NEEDS.match(template)
    return tuple(match["tokens"].split()) if match else ()
