"""AlpacaEval's numbers from preferences and lengths, whoever judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from precept.errors import InputError, WorkError
from precept.evaluate.alpaca_eval import WinRate, normalized_preference, win_rate
from precept.evaluate.judge.metric import mean_metric
from precept.evaluate.length_controlled import GamedRows, LengthControlled, length_controlled


@dataclass(frozen=True, slots=True)
class Annotation:
    """A preference from 1 (output 1) to 2 (output 2), both lengths in characters, and the instruction's place in the
    evaluation set."""

    preference: float | None
    len_1: int | None
    len_2: int | None
    index: int


@dataclass(frozen=True)
class LengthFiles:
    """What length control may use beside the annotations."""

    difficulty: dict[int, float] | None = None
    gamed: GamedRows | None = None


def summarize_annotations(rows: Sequence[Annotation], files: LengthFiles, *, seed: int) -> dict[str, Any]:
    """Rates in 0..1 with intervals; ``leaderboard`` has them in per cent, under AlpacaEval's own names.

    Raises InputError where no row holds a preference.
    """
    valid = [row for row in rows if normalized_preference(row.preference) is not None]
    if not valid:
        raise InputError(
            f"not one of {len(rows)} rows holds a preference from 1 to 2",
            code="no-preference",
            found=f"for example {rows[0].preference!r}",
            do="give annotations of AlpacaEval: 1 where output_1 is better, 2 where output_2 is, 1.5 for a draw",
        )
    rate = win_rate([row.preference for row in rows])
    length, reason = _control(valid, rate, files, seed)
    return {
        "win_rate": mean_metric(rate.labels, seed=seed),
        "standard_error": rate.standard_error,
        "discrete_win_rate": mean_metric([_side(label) for label in rate.labels], seed=seed),
        "length_controlled_win_rate": None if length is None else _metric(length),
        "length_control": {"reason": reason} if length is None else _told(length),
        "wins": rate.wins,
        "losses": rate.losses,
        "draws": rate.draws,
        "invalid": rate.invalid,
        "mean_length": {"model": _mean([row.len_2 for row in rows]), "against": _mean([row.len_1 for row in rows])},
        "leaderboard": _leaderboard(rows, rate, length),
    }


def _control(
    rows: Sequence[Annotation], rate: WinRate, files: LengthFiles, seed: int
) -> tuple[LengthControlled | None, str]:
    """The length-controlled rate, or why there is none."""
    lengths = [(row.len_1, row.len_2) for row in rows if row.len_1 is not None and row.len_2 is not None]
    if len(lengths) < len(rows) or len(rows) < 2:
        return None, "it needs the lengths of both outputs in every row, and two rows at least"
    difficulty = None
    if files.difficulty is not None:
        unknown = [str(row.index) for row in rows if row.index not in files.difficulty]
        if unknown:
            raise InputError(
                "the difficulty of some instructions is not known",
                code="difficulty-missing",
                found=f"{len(unknown)} instructions, first at {', '.join(unknown[:8])}",
                do="give the difficulties of this evaluation set, or leave --difficulty out",
            )
        difficulty = [files.difficulty[row.index] for row in rows]
    try:
        found = length_controlled(
            rate.labels,
            [len_1 for len_1, _ in lengths],
            [len_2 for _, len_2 in lengths],
            difficulty=difficulty,
            gamed=files.gamed,
            seed=seed,
        )
    except WorkError as error:
        return None, error.what
    return found, ""


def _side(label: float) -> float:
    return 0.5 if label == 0.5 else float(label > 0.5)


def _metric(length: LengthControlled) -> dict[str, float]:
    return {"value": length.value, "low": length.low, "high": length.high, "n": length.n}


def _told(length: LengthControlled) -> dict[str, Any]:
    return {
        "method": length.method,
        "weights": asdict(length.weights),
        "mean_fitted": length.mean_fitted,
        "std_length_difference": length.std_difference,
    }


def _leaderboard(rows: Sequence[Annotation], rate: WinRate, length: LengthControlled | None) -> dict[str, Any]:
    return {
        "win_rate": 100 * rate.value,
        "standard_error": None if rate.standard_error is None else 100 * rate.standard_error,
        "n_wins": rate.wins,
        "n_wins_base": rate.losses,
        "n_draws": rate.draws,
        "n_total": len(rate.labels),
        "discrete_win_rate": 100 * rate.discrete,
        "length_controlled_winrate": None if length is None else 100 * length.value,
        "avg_length": _mean([row.len_2 for row in rows]),
    }


def _mean(lengths: Sequence[int | None]) -> float | None:
    known = [length for length in lengths if length is not None]
    return sum(known) / len(known) if known else None
