"""What ``precept eval`` does with its options: ask a model, score another system's answers, export a task, or list."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from precept.errors import InputError
from precept.run.console import print_json
from precept.run.data.show import parse_bad_rows

OF_MODELS = (
    "model",
    "task",
    "suite",
    "data_dir",
    "limit",
    "shots",
    "chat",
    "chat_template",
    "max_new_tokens",
    "variants",
    "training",
)
"""Options that say how a model is asked."""
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


def eval_command(options: Mapping[str, Any]) -> None:
    """Run the command with the options of its help, and print what comes out."""
    if options["list_"]:
        return _list(options)
    if options["export_task"] is not None:
        return _export(options)
    if options["predictions"] is not None:
        return _score_predictions(options)
    _ask(options)


def _list(options: Mapping[str, Any]) -> None:
    from precept.evaluate.suite import SUITES, load_suite
    from precept.run.eval.metric_names import list_names, list_variants, print_names, print_variants
    from precept.run.eval.text import print_suites

    suites = [{"name": name, "does": load_suite(name).about, "source": load_suite(name).source} for name in SUITES]
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
    if options["metric"] or options["extract"] != "none":
        raise InputError(
            "a model's answers are scored as its tasks say",
            code="metric-without-predictions",
            found="--metric or --extract",
            do="name metrics in the task file, or score --predictions FILE",
        )
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
    from precept.run.eval.predictions import print_predictions, refuse_model_options, score_file

    given = {f"--{name.replace('_', '-')}": options[name] for name in OF_MODELS}
    refuse_model_options({**given, "--seed": options["seed"] or None, "--fresh": options["fresh"] or None})
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
