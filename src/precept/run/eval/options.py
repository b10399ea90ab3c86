"""The options of ``precept eval``. What they do is in ``eval_command``, imported when the command is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    context: typer.Context,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="A folder, or owner/name from the cache or the hub.")
    ] = None,
    suite: Annotated[str | None, typer.Option("--suite", "-s", help="A named list of tasks: see --list.")] = None,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="The folder with a suite's data; by default data.")
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option("--task", "-t", help="A task YAML or a data file; may be repeated.")
    ] = None,
    predictions: Annotated[
        str | None, typer.Option("--predictions", help="Instead of a model: a file of answers with their references.")
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option("--metric", help="With --predictions; by default exact_match; see --list.")
    ] = None,
    extract: Annotated[str, typer.Option("--extract", help="With --predictions: see --list.")] = "none",
    against: Annotated[
        str | None, typer.Option("--against", help="A second model or file of predictions; the difference is paired.")
    ] = None,
    chat_template: Annotated[
        str | None, typer.Option("--chat-template", help="A .jinja file or the name of a shipped template.")
    ] = None,
    chat: Annotated[
        bool | None, typer.Option("--chat/--plain", help="In the chat template or as plain text, not as the task says.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Items of each task.")] = None,
    shots: Annotated[int | None, typer.Option(min=0, help="Worked examples, instead of the task's own number.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the items; of a model by default precept-eval.")
    ] = None,
    max_new_tokens: Annotated[int | None, typer.Option(min=1, help="Instead of the task's own limit.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of answers that are drawn, and of variants.")] = 0,
    repeats: Annotated[int, typer.Option(min=1, help="Runs with seeds of their own, where answers are drawn.")] = 1,
    variants: Annotated[
        list[str] | None, typer.Option("--variants", help="Ask items in other words, too: see --list.")
    ] = None,
    training: Annotated[
        list[str] | None, typer.Option("--training", help="Training files, or a run's folder, to look for items in.")
    ] = None,
    rouge_tokenizer: Annotated[
        str | None, typer.Option("--rouge-tokenizer", help="GPT-2's tokenizer, a folder, for rouge_l_byte_bpe.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Ask anew what the output folder holds.")] = False,
    bad_rows: Annotated[str, typer.Option(help="error, or drop.")] = "error",
    export_task: Annotated[
        str | None, typer.Option("--export-task", help="Write a task for another harness instead of asking.")
    ] = None,
    to: Annotated[str, typer.Option("--to", help="With --export-task: lm-eval.")] = "lm-eval",
    list_: Annotated[bool, typer.Option("--list", help="Suites, metrics and extraction rules, a line each.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document to standard output and nothing else there.")
    ] = False,
) -> None:
    """Scores with 95 % intervals, per task and overall; a paired difference with --against."""
    from precept.run.eval.command import eval_command

    eval_command(context.params, _given(context))


def _given(context: typer.Context) -> dict[str, str]:
    """The options that were written, with their flags."""
    flags = {}
    for option in context.command.params:
        source = context.get_parameter_source(str(option.name))
        if source is not None and source.name == "COMMANDLINE":
            negative = context.params[str(option.name)] is False and option.secondary_opts
            flags[str(option.name)] = (negative or option.opts)[0]
    return flags
