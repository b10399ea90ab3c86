"""What can be wrong with a row or with a whole file. Reading collects these; nothing here reaches the user raw."""

from __future__ import annotations


class RowProblem(Exception):
    """A row that cannot be used. ``reason`` is one line for the user, ``code`` a stable name."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class FileProblem(RowProblem):
    """A file none of whose rows can be used."""


def kind_of(value: object) -> str:
    """The type of a JSON value in JSON's own words."""
    names = {str: "a string", bool: "a boolean", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return "null" if value is None else names.get(type(value), type(value).__name__)
