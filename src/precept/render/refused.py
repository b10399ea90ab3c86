"""The one exception by which a row leaves rendering."""

from __future__ import annotations


class RowRefused(Exception):
    """A row that cannot be rendered as it stands. Becomes a ``Refusal`` with this reason and code."""

    def __init__(self, reason: str, *, code: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code
