"""What an evaluation step reads: where nothing of it changed, and no setting, the scores of before stand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from precept.errors import InputError
from precept.evaluate import Task, load_task
from precept.evaluate.suite import Suite, find_data, load_suite
from precept.evaluate.task import FAMILIES
from precept.models.folder import resolve_model
from precept.run.data.steps import files_hash
from precept.run.eval.byte_bpe import hash_byte_bpe
from precept.run.eval.suite_tasks import task_of
from precept.run.eval.tasks import TASK_ENDINGS
from precept.run.eval.training_files import find_training
from precept.run.eval.world import WORLD
from precept.run.fingerprint import fingerprint
from precept.run.recipe.file import Step
from precept.run.recipe.step_kinds import EvalKeys


def eval_inputs(step: Step) -> dict[str, str]:
    """The hash of each model, file and tokenizer, by its path, and the versions of stock tasks. Raises InputError for a
    task that is not there."""
    keys = EvalKeys(**step.settings)
    for path in keys.tasks:
        if not _is_named(path) and not Path(path.partition("#")[0]).exists():
            raise InputError(
                "no such file", code="missing-path", where=step.where("task"), found=path, do="check the path"
            )
    tasks = [load_task(path) for path in keys.tasks if Path(path).suffix in TASK_ENDINGS]
    files = [*keys.tasks, *(file for task in tasks for file in (task.data, task.examples) if file)]
    if keys.suite:
        suite = load_suite(keys.suite)
        files += _suite_files(suite, Path(keys.data_dir))
        tasks += [task_of(suite, entry) for entry in suite.tasks]
    files += [name for name in (keys.chat_template,) if name and Path(name).is_file()]
    inputs = {name: fingerprint(resolve_model(name)) for name in (keys.model, keys.against) if name}
    inputs |= {path: path if _is_named(path) else files_hash([path]) for path in files}
    if keys.suite:
        inputs[f"suite {keys.suite}"] = files_hash([str(suite.path)])  # a stock one lies elsewhere in each installation
    if keys.training:
        inputs["training"] = files_hash([path for rows in find_training(keys.training) for path in rows.paths])
    # What kind of rows a data file holds is known once it is read: any stock task may be theirs.
    named = all(Path(path).suffix in TASK_ENDINGS for path in keys.tasks)
    families = sorted({task.family for task in tasks}) if named else FAMILIES
    inputs["stock tasks"] = ", ".join(f"{name} {load_task(name).version}" for name in families)
    return inputs | {folder: hash_byte_bpe(folder) for folder in _tokenizers(keys, tasks)}


def _is_named(path: str) -> bool:
    """Whether it is data of the hub or of the bundled world."""
    return path.startswith(("hf:", WORLD))


def _suite_files(suite: Suite, folder: Path) -> Iterator[str]:
    """A suite's task files, and what its patterns find; of worked examples, those of any task."""
    for entry in suite.tasks:
        beside = suite.path.parent / entry.task
        if beside.suffix in TASK_ENDINGS:
            yield str(beside)
        for patterns in (entry.data, entry.only, *([pattern.replace("{name}", "*")] for pattern in entry.examples)):
            yield from find_data(patterns, folder)


def _tokenizers(keys: EvalKeys, tasks: Sequence[Task]) -> list[str]:
    named = [keys.rouge_tokenizer, *(task.rouge_tokenizer for task in tasks)]
    return [folder for folder in named if folder]
