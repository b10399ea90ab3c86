"""A seeded fuzzer of the command line: broken input of any kind must end in a few clear lines.

``python -m tests.fuzz [--cases N] [--seed S] [--seconds T] [--kind NAME]`` runs commands in this process. A case fails
when it shows a traceback or an error that nobody meant, ends with an exit code other than 0, 1 or 2, or takes longer
than its alarm. Case i of seed S is always the same: ``--seed S --only i`` (with the same ``--kind``) repeats it.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from tests.command_line import Ended, precept
from tests.fuzz_cases import convert_case, recipe_case, settings_case, show_case, stats_case, template_case
from tests.fuzz_eval_cases import (
    annotations_case,
    answers_case,
    axes_case,
    predictions_case,
    step_case,
    suite_case,
    task_case,
)
from tests.fuzz_mutation import Room

SECONDS_A_CASE = 20
UNMEANT = ("Traceback (most recent call last)", "run again with --debug to see where")


class Hang(BaseException):
    """A case outlived its alarm. Not an Exception, so that the command line does not take it for one."""


_left = [0]
"""Seconds that the case may still take. Ticks are counted, so that time in which this process is stopped is none."""

Case = Callable[[Room, random.Random], list[str]]
KINDS: dict[Case, int] = {
    stats_case: 3,
    convert_case: 3,
    show_case: 2,
    template_case: 3,
    recipe_case: 3,
    settings_case: 2,
    task_case: 3,
    suite_case: 2,
    predictions_case: 3,
    annotations_case: 2,
    answers_case: 2,
    step_case: 3,
    axes_case: 3,
}
"""How often a kind of case is drawn."""


def run_case(room: Room, seed: int, index: int, kinds: dict[Case, int]) -> tuple[str, list[str], str | None]:
    """How a case ended (its kind and exit code), its command, and what was wrong with that, or None."""
    rng = random.Random(f"{seed}/{index}")
    shutil.rmtree(room.case, ignore_errors=True)
    room.case.mkdir()
    make = rng.choices(list(kinds), list(kinds.values()))[0]
    words = make(room, rng)
    _left[0] = SECONDS_A_CASE
    signal.setitimer(signal.ITIMER_REAL, 1, 1)
    try:
        ended = precept(*words)
    except Hang:
        return f"{make.__name__} hung", words, f"took longer than {SECONDS_A_CASE} s"
    except Exception as error:  # noqa: BLE001 - the command line must let nothing through
        return f"{make.__name__} broke", words, f"{type(error).__name__} came through: {error}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return f"{make.__name__} {ended.code}", words, judge(ended)


def judge(ended: Ended) -> str | None:
    """What is wrong with how a command ended, or None."""
    if any(mark in ended.err or mark in ended.out for mark in UNMEANT):
        return ended.err[-600:]
    if ended.code not in (0, 1, 2):
        return f"exit code {ended.code}: {ended.err[-300:]}"
    if ended.code and "error: " not in ended.err.lower():
        return f"exit code {ended.code} without an error's message: {ended.err[-300:]}"
    return None


def _ring(number: int, frame: FrameType | None) -> None:
    _left[0] -= 1
    if _left[0] == 0:
        raise Hang


def main() -> int:
    """Run the cases; 1 when one of them failed."""
    parser = argparse.ArgumentParser(description="Fuzz the command line with broken input.")
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="Stop after this time.")
    names = {case.__name__.removesuffix("_case"): case for case in KINDS}
    parser.add_argument("--kind", choices=names, action="append", help="Cases of this kind alone; may be repeated.")
    parser.add_argument("--only", type=int, help="Run this one case and keep its folder.")
    chosen = parser.parse_args()
    kinds = {names[name]: KINDS[names[name]] for name in chosen.kind or names}

    os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")  # before anything reads them
    from tests.tiny import CHATML, tiny_model_folder

    signal.signal(signal.SIGALRM, _ring)
    folder = Path(tempfile.mkdtemp(prefix="precept-fuzz-"))
    room = Room(tiny_model_folder(folder / "model", chat_template=CHATML), folder / "case")
    indices = range(chosen.cases) if chosen.only is None else [chosen.only]
    began, done, failed = time.perf_counter(), Counter[str](), 0
    for index in indices:
        if time.perf_counter() - began > chosen.seconds:
            break
        end, words, wrong = run_case(room, chosen.seed, index, kinds)
        done[end] += 1
        if wrong is not None:
            failed += 1
            print(
                f"FAILED --seed {chosen.seed} --only {index} ({end}): {' '.join(map(ascii, words))}\n    {wrong}",
                flush=True,
            )
    seconds = time.perf_counter() - began
    ends = ", ".join(f"{end}: {count}" for end, count in sorted(done.items()))
    print(f"{done.total()} cases in {seconds:.0f} s ({done.total() / seconds:.0f} a second), {failed} failed. {ends}")
    if chosen.only is None:
        shutil.rmtree(folder)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
