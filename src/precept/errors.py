"""One base error and its few kinds. Each says what is wrong, where, what was found and what to do."""

from __future__ import annotations

MODEL_FAILURES = (
    ValueError,
    TypeError,
    RuntimeError,
    LookupError,
    NotImplementedError,
    AttributeError,
    AssertionError,
    ArithmeticError,
)
"""What a model of transformers raises that cannot do what it is asked."""


class PreceptError(Exception):
    """An error meant for the user, printed on a few lines without a traceback.

    ``what`` is the fault in one sentence; ``where`` a file, row or key; ``found`` the offending value;
    ``do`` the way out; ``code`` a stable name. ``exit_code`` is 2 for the user's input, 1 for work that failed.
    """

    exit_code = 1

    def __init__(
        self, what: str, *, code: str, where: str | None = None, found: str | None = None, do: str | None = None
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.found = found
        self.do = do
        self.code = code

    def __str__(self) -> str:
        lines = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.found:
            lines.append(f"  found: {self.found}")
        if self.do:
            lines.append(f"  do: {self.do}")
        return "\n".join(lines)


class InputError(PreceptError):
    """The user's input is wrong: a path, key, template, row or model folder."""

    exit_code = 2


class WorkError(PreceptError):
    """The input was fine and the work failed: a non-finite loss, a full disk, an interrupted run."""


class ProofError(PreceptError):
    """A property that training relies on does not hold on this model and these rows."""


class MissingExtra(InputError):
    """An optional package is needed. Names the extra that installs it."""

    def __init__(self, package: str, extra: str, *, wanted_for: str) -> None:
        super().__init__(
            f"{wanted_for} needs the package '{package}', which is not installed",
            code="missing-extra",
            do=f"pip install 'precept[{extra}]'",
        )
        self.extra = extra
