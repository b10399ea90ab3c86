"""The options of ``precept judge``, as its help shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def judge(
    context: typer.Context,
    protocol: Annotated[str, typer.Argument(help="pairwise, single, mt_bench, alpaca_eval, relative or agreement.")],
    answers: Annotated[str | None, typer.Option("--answers", help="The answers to judge, a row each.")] = None,
    against: Annotated[
        str | None,
        typer.Option("--against", help="Compared with: answers (pairwise, relative, alpaca_eval), votes (agreement)."),
    ] = None,
    questions: Annotated[
        str | None, typer.Option("--questions", help="What was asked; not needed where the answers' rows say it.")
    ] = None,
    references: Annotated[str | None, typer.Option("--references", help="Reference answers for the judge.")] = None,
    judge: Annotated[
        str | None,
        typer.Option("--judge", help="A model folder or owner/name; with --judge-url the server's name of it."),
    ] = None,
    judge_url: Annotated[
        str | None, typer.Option("--judge-url", help="An OpenAI-compatible address, http://localhost:8000/v1.")
    ] = None,
    annotations: Annotated[
        str | None, typer.Option("--annotations", help="Judgments or votes already made, instead of a judge.")
    ] = None,
    weighted: Annotated[
        bool, typer.Option("--weighted", help="alpaca_eval: weigh both letters by their probability.")
    ] = False,
    difficulty: Annotated[
        str | None, typer.Option("--difficulty", help="alpaca_eval: instruction_difficulty.csv for length control.")
    ] = None,
    gamed: Annotated[
        str | None, typer.Option("--gamed", help="alpaca_eval: df_gamed.csv, for the full length control.")
    ] = None,
    chat_template: Annotated[
        str | None,
        typer.Option("--chat-template", help="The judge's: a .jinja file or the name of a shipped template."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="The first questions only.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder for the judgments.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Remove the judgments there and ask again.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document to standard output and nothing else there.")
    ] = False,
) -> None:
    """A model judges answers: which of two is better, or how good one is. Settings follow as key=value."""
    from precept.run.console import print_json
    from precept.run.judge.files import JudgeFiles
    from precept.run.judge.judge import run_judge
    from precept.run.judge.options import JudgeWish
    from precept.run.judge.text import print_judge
    from precept.run.settings import parse_words

    files = JudgeFiles(answers, against, questions, references, annotations, difficulty, gamed)
    wish = JudgeWish(judge, judge_url, chat_template, weighted, limit, fresh)
    document = run_judge(protocol, files, wish, output=output, pairs=parse_words(context.args))
    print_json(document) if as_json else print_judge(document)
