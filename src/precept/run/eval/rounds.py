"""What is asked of each model: every task once, its variants beside it, and again where answers are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from precept.errors import InputError
from precept.evaluate import Task
from precept.evaluate.obfuscate import VARIANTS, vary_items
from precept.evaluate.task import Variant
from precept.evaluate.task_file import nearest
from precept.run.console import say
from precept.run.eval.tasks import Asked


@dataclass(frozen=True)
class Round:
    """A task asked once. ``seed`` is that of drawn answers. ``variant`` names what was made of its items, which then
    are those at ``places`` of the task's own; ``suffix`` tells its file from that of the first round."""

    asked: Asked
    seed: int
    variant: Variant | None = None
    places: tuple[int, ...] = ()
    suffix: str = ""


@dataclass(frozen=True)
class Plan:
    """All rounds, in the order in which they are asked: each task once, variants, repeats. ``seeds`` has one for each
    run, a single one where no answer is drawn; ``drawn`` are the tasks whose answers are. ``asked_again`` tells whether
    repeats were wished for."""

    asked: Sequence[Asked]
    rounds: Sequence[Round]
    variants: tuple[Variant, ...]
    seeds: tuple[int, ...]
    drawn: tuple[str, ...]
    asked_again: bool = False


def plan_rounds(asked: Sequence[Asked], *, variants: Sequence[str], repeats: int, seed: int) -> Plan:
    """Raises InputError for a variant that nobody knows, that a task does not allow, or that changes no item."""
    named = _known(variants)
    _refuse_changed_answers(asked, named)
    rounds = [Round(task, seed) for task in asked]
    for variant in named:
        rounds += _varied(asked, variant, seed)
    drawn = [task for task in asked if _draws(task)]
    seeds = tuple(range(seed, seed + repeats)) if drawn else (seed,)
    if repeats > 1 and len(drawn) < len(asked):
        greedy = ", ".join(task.task.name for task in asked if task not in drawn)
        say(f"repeats would be equal where the likeliest answer is taken: asked once are {greedy}")
    rounds += [Round(task, other, suffix=f".seed{other}") for other in seeds[1:] for task in drawn]
    return Plan(asked, rounds, named, seeds, tuple(task.task.name for task in drawn), repeats > 1)


def _known(variants: Sequence[str]) -> tuple[Variant, ...]:
    for name in variants:
        if name not in VARIANTS:
            raise InputError(
                f"no variant is called '{name}'",
                code="unknown-variant",
                do=f"--variants: one of {', '.join(VARIANTS)}{nearest(name, tuple(VARIANTS))}",
            )
    return tuple(name for name in VARIANTS if name in variants)


def _refuse_changed_answers(asked: Sequence[Asked], variants: Sequence[Variant]) -> None:
    for variant in variants:
        refused = [entry.task for entry in asked if variant not in entry.task.variants]
        if refused:
            raise InputError(
                f"'{variant}' may change the right answers of {len(refused)} of the {len(asked)} tasks",
                code="variant-changes-answers",
                where=f"task {refused[0].name}",
                found="\n    ".join(["", *dict.fromkeys(map(_allowed, refused))]),
                do="name variants that all tasks allow; a task file of your own lists them under 'variants'",
            )


def _allowed(task: Task) -> str:
    return f"tasks of family {task.family} allow {', '.join(task.variants) or 'none'}"


def _varied(asked: Sequence[Asked], variant: Variant, seed: int) -> list[Round]:
    """A round for each task of which the variant changes items."""
    rounds = []
    for entry in asked:
        varied = vary_items(entry.items, variant, seed=seed)
        if varied:
            changed = replace(entry, items=list(varied.values()))
            rounds.append(Round(changed, seed, variant, tuple(varied), suffix=f".{variant}"))
    counts = sum(len(round_.places) for round_ in rounds), sum(len(entry.items) for entry in asked)
    if not rounds:
        raise InputError(
            f"'{variant}' changes no item",
            code="variant-without-effect",
            found=f"{counts[1]} items of {', '.join(entry.task.name for entry in asked[:5])}",
            do="leave it out; docs/evaluation.md says which items each variant can be sure of",
        )
    say(f"{variant}: {counts[0]} of {counts[1]} items are asked in other words, too")
    return rounds


def _draws(asked: Asked) -> bool:
    task = asked.task
    return task.kind not in ("choice", "likelihood") and any(
        task.temperature_of(item.category) > 0 for item in asked.items
    )
