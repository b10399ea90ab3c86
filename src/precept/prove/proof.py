"""What a proof says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Proof:
    """One property, tried on the user's own model and rows.

    ``value`` is what was measured and ``bound`` the most that holds; both are None where nothing is measured. A proof
    that does not apply is ``ok``, and ``detail`` says what is used instead.
    """

    name: str
    ok: bool
    detail: str
    value: float | None = None
    bound: float | None = None
    applies: bool = True


def within(name: str, value: float, bound: float, detail: str) -> Proof:
    """A proof that a measured error is at most its bound; NaN is not."""
    return Proof(name, value <= bound, detail, value=value, bound=bound)


def not_applicable(name: str, instead: str) -> Proof:
    """A proof that has nothing to prove here."""
    return Proof(name, True, instead, applies=False)
