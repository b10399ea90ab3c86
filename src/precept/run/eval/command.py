"""What ``precept eval`` does with its options: ask a model, score another system's answers, export a task, or list."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, NamedTuple

from precept.errors import InputError
from precept.run.console import print_json
from precept.run.data.show import parse_bad_rows

ASKED_WITH = (
    "against",
    "chat_template",
    "limit",
    "max_new_tokens",
    "shots",
    "chat",
    "seed",
    "repeats",
    "rouge_tokenizer",
    "fresh",
)
"""Options that an evaluation takes as they are."""
OF_MODEL = {*ASKED_WITH, "model", "task", "suite", "data_dir", "variants", "training", "output", "bad_rows", "as_json"}
OF_PREDICTIONS = {"predictions", "metric", "extract", "rouge_tokenizer", "against", "output", "bad_rows", "as_json"}
OF_EXPORT = {"export_task", "to", "limit", "shots", "output", "bad_rows", "as_json"}


class Form(NamedTuple):
    """A form of the command: what it does, the options that it reads, and what it says of others."""

    run: Callable[[Mapping[str, Any]], None]
    reads: Set[str]
    says: str


def eval_command(options: Mapping[str, Any], given: Mapping[str, str]) -> None:
    """Run the command with the options of its help, and print what comes out. ``given`` are the names of those that
    were written, with their flags. Raises InputError for any that this form of the command would not read."""
    forms = {
        "list_": Form(_list, {"list_", "as_json"}, "--list reads --json alone"),
        "export_task": Form(_export, OF_EXPORT, "a task is written without asking a model"),
        "predictions": Form(_score_predictions, OF_PREDICTIONS, "predictions are scored without a model"),
    }
    of_model = Form(_ask, OF_MODEL, "a model's answers are scored as its tasks say, --predictions FILE by --metric")
    form = next((form for name, form in forms.items() if options[name] not in (None, False)), of_model)
    if unread := [flag for name, flag in given.items() if name not in form.reads]:
        raise _not_read(unread, do=f"leave them out: {form.says}")
    form.run(options)


def _not_read(flags: Sequence[str], *, do: str) -> InputError:
    return InputError("these options would have no effect", code="option-not-read", found=", ".join(flags), do=do)


def _list(options: Mapping[str, Any]) -> None:
    from precept.evaluate.suite import SUITES, load_suite
    from precept.run.eval.metric_names import list_names, list_variants, print_names, print_variants
    from precept.run.eval.text import print_suites

    loaded = {name: load_suite(name) for name in SUITES}
    suites = [{"name": name, "does": suite.about, "source": suite.source} for name, suite in loaded.items()]
    variants = list_variants()
    if options["as_json"]:
        return print_json({**list_names(), "variants": variants, "suites": suites})
    print_suites(suites)
    print_names(list_names())
    print_variants(variants)


def _ask(options: Mapping[str, Any]) -> None:
    if options["model"] is None or not (options["task"] or options["suite"]):
        raise InputError(
            "nothing to evaluate",
            code="nothing-to-evaluate",
            do="give --model and --suite or --task, or --predictions FILE",
        )
    if options["data_dir"] is not None and not options["suite"]:
        raise _not_read(["--data-dir"], do="leave it out: tasks name their own data; or name a --suite")
    if options["chat"] is False and options["chat_template"] is not None:
        raise _not_read(["--chat-template"], do="leave it out, or --plain: plain text has no template")
    from precept.run.eval.evaluate import DATA_DIR, run_eval
    from precept.run.eval.text import print_scores

    result = run_eval(
        options["model"],
        options["task"] or (),
        suite=options["suite"],
        data_dir=Path(options["data_dir"] or DATA_DIR),
        output=Path(options["output"] or "precept-eval"),
        bad_rows=parse_bad_rows(options["bad_rows"]),
        variants=options["variants"] or (),
        training=options["training"] or (),
        **{name: options[name] for name in ASKED_WITH},
    )
    print_json(result) if options["as_json"] else print_scores(result)


def _score_predictions(options: Mapping[str, Any]) -> None:
    from precept.run.eval.predictions import print_predictions, score_file

    document = score_file(
        options["predictions"],
        metrics=options["metric"] or ["exact_match"],
        extract=options["extract"],
        rouge_tokenizer=options["rouge_tokenizer"],
        against=options["against"],
        bad_rows=parse_bad_rows(options["bad_rows"]),
        output=None if options["output"] is None else Path(options["output"]),
    )
    print_json(document) if options["as_json"] else print_predictions(document)


def _export(options: Mapping[str, Any]) -> None:
    from precept.run.eval.export import export_task, print_export

    result = export_task(
        options["export_task"],
        to=options["to"],
        output=Path(options["output"] or "precept-task"),
        limit=options["limit"],
        shots=options["shots"],
        bad_rows=parse_bad_rows(options["bad_rows"]),
    )
    print_json(result) if options["as_json"] else print_export(result)
