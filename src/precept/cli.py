"""The command line, thin: each command imports its own file of ``precept.run`` when it is called."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from precept import STARTED, __version__
from precept.errors import InputError, PreceptError
from precept.run.eval.options import evaluate
from precept.run.judge.command import judge

CTRL_C = 130  # what typer makes of a KeyboardInterrupt
EXTRA = {"allow_extra_args": True, "ignore_unknown_options": True}

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
data_app = typer.Typer(no_args_is_help=True, help="Look at data files, count them, convert them.")
app.add_typer(data_app, name="data")

Json = Annotated[bool, typer.Option("--json", help="One JSON document to standard output and nothing else there.")]
Model = Annotated[str, typer.Option("--model", "-m", help="A folder, or owner/name from the cache or the hub.")]
Template = Annotated[
    str | None, typer.Option("--chat-template", help="A .jinja file or the name of a shipped template.")
]


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"precept {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Turn a base language model into an instruction-tuned one, and show that it worked."""


@app.command("quickstart")
def quickstart(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A new folder; by default quickstart, quickstart-2, ...")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Order of the training rows, first weights of the adapter.")] = 0,
    as_json: Json = False,
) -> None:
    """The bundled base becomes an instruction-tuned model, is asked what it was not tuned on, and gets its page."""
    from precept.run.console import print_json
    from precept.run.quickstart import quickstart as run
    from precept.run.summary import print_quickstart

    result = run(output=output, seed=seed, began=STARTED)
    print_json(result) if as_json else print_quickstart(result)


@data_app.command("show")
def data_show(
    file: Annotated[
        list[str], typer.Argument(help="Files, folders, path#500 for the first rows; settings as key=value.")
    ],
    model: Model,
    chat_template: Template = None,
    limit: Annotated[int, typer.Option(min=1, help="Rows to show.")] = 5,
    as_json: Json = False,
) -> None:
    """Rows as rendered, in colour: exactly which tokens are trained."""
    from precept.run.data.show import show

    show(file, model=model, chat_template=chat_template, limit=limit, as_json=as_json)


@data_app.command("stats")
def data_stats(
    file: Annotated[
        list[str], typer.Argument(help="Files, folders, path#500 for the first rows; settings as key=value.")
    ],
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Count tokens with this model's tokenizer.")
    ] = None,
    chat_template: Template = None,
    as_json: Json = False,
) -> None:
    """Format found, rows and roles, what is refused and why; with --model lengths and trained tokens."""
    from precept.run.data.show import stats

    stats(file, model=model, chat_template=chat_template, as_json=as_json)


@data_app.command("convert")
def data_convert(
    file: Annotated[list[str], typer.Argument(help="Files, folders, or path#500 for the first rows.")],
    to: Annotated[str, typer.Option("--to", help="messages, sharegpt, alpaca, prompt_completion, text or preference.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write (.json, .jsonl, .gz, .zst).")],
    bad_rows: Annotated[str, typer.Option(help="error, or drop.")] = "error",
    as_json: Json = False,
) -> None:
    """Convert between the common formats; a row that would lose something is an error."""
    from precept.run.data.show import convert

    convert(file, to=to, output=output, bad_rows=bad_rows, as_json=as_json)


@data_app.command("make", context_settings=EXTRA)
def data_make(
    context: typer.Context,
    method: Annotated[str, typer.Argument(help="super_ni, natural_instructions, mixture, ...")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write.")],
    data: Annotated[list[str] | None, typer.Option("--data", "-d", help="Files or folders; may be repeated.")] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Remove the rows in the output folder and start anew.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make instruction rows of a collection of tasks, one data step. Settings follow as key=value or --key value."""
    from precept.run.console import print_json
    from precept.run.data.make import make_data as run
    from precept.run.data.make import print_made
    from precept.run.settings import parse_words

    result = run(method, data=data or [], output=output, pairs=parse_words(context.args), fresh=fresh)
    print_json(result) if as_json else print_made(result)


@app.command("train", context_settings=EXTRA)
def train(
    context: typer.Context,
    method: Annotated[str, typer.Argument(help="sft")],
    model: Model,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write.")],
    data: Annotated[list[str] | None, typer.Option("--data", "-d", help="Files or folders; may be repeated.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Remove the run in the output folder and start anew.")] = False,
    allow_changed: Annotated[
        bool, typer.Option("--allow-changed", help="Go on although settings or data differ.")
    ] = False,
    as_json: Json = False,
) -> None:
    """One training step without a YAML file. Settings follow as key=value or --key value."""
    from precept.run.console import print_json
    from precept.run.settings import parse_words
    from precept.run.summary import print_training
    from precept.run.tuning.train import train as run

    pairs = parse_words(context.args)
    result = run(
        method,
        model=model,
        data=data or [],
        output=output,
        pairs=pairs,
        fresh=fresh,
        allow_changed=allow_changed,
    )
    print_json(result) if as_json else print_training(result)


@app.command("check", context_settings=EXTRA)
def check(
    context: typer.Context,
    recipe: Annotated[str | None, typer.Argument(help="A YAML file, or the name of a shipped recipe.")] = None,
    model: Annotated[str | None, typer.Option("--model", "-m", help="With --data, instead of a recipe.")] = None,
    data: Annotated[list[str] | None, typer.Option("--data", "-d", help="Files or folders; may be repeated.")] = None,
    as_json: Json = False,
) -> None:
    """Prove on your model and rows that training will do what it says; exit 0 only when all that applies holds."""
    from precept.run.console import print_json
    from precept.run.proving.check import check as run
    from precept.run.proving.check import print_check

    document = run(recipe, words=context.args, model=model, data=data or [])
    print_json(document) if as_json else print_check(document)
    if not document["ok"]:
        raise typer.Exit(1)


@app.command("run", context_settings=EXTRA)
def run_recipe(
    context: typer.Context,
    recipe: Annotated[str, typer.Argument(help="A YAML file, or the name of a shipped recipe.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder of all steps.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Remove finished steps and start anew.")] = False,
    allow_changed: Annotated[
        bool, typer.Option("--allow-changed", help="Go on with unfinished steps although settings or data differ.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Every step of a recipe; finished ones are reused, a broken one resumes. Override with step.key=value."""
    from precept.run.console import print_json
    from precept.run.recipe.run import run
    from precept.run.summary import print_recipe

    result = run(recipe, overrides=context.args, output=output, fresh=fresh, allow_changed=allow_changed)
    print_json(result) if as_json else print_recipe(result)


@app.command("plan", context_settings=EXTRA)
def plan_recipe(
    context: typer.Context,
    recipe: Annotated[
        str | None, typer.Argument(help="A YAML file, or the name of a shipped recipe; or --model and --data.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Plan one training step of this model, without a recipe.")
    ] = None,
    data: Annotated[list[str] | None, typer.Option("--data", "-d", help="Files or folders; may be repeated.")] = None,
    device: Annotated[
        str | None, typer.Option("--device", help="Plan for another machine by stated peak figures: h100, a100, ...")
    ] = None,
    count: Annotated[int, typer.Option("--count", min=1, help="How many of that device.")] = 1,
    as_json: Json = False,
) -> None:
    """Steps, tokens, memory by part, time and disk of a recipe before it runs. Override with step.key=value."""
    from precept.run.console import print_json
    from precept.run.plan.plan import plan
    from precept.run.plan.text import print_plan

    result = plan(recipe, words=context.args, model=model, data=data or [], device=device, count=count)
    print_json(result) if as_json else print_plan(result)


app.command("eval")(evaluate)


app.command("judge", context_settings=EXTRA)(judge)


@app.command("chat")
def chat(
    model: Annotated[str, typer.Argument(help="A model or adapter folder, or owner/name.")],
    chat_template: Template = None,
    system: Annotated[str | None, typer.Option(help="A system message to begin with.")] = None,
    temperature: Annotated[float, typer.Option(min=0.0, help="0 takes the likeliest token.")] = 0.7,
    top_p: Annotated[float, typer.Option(min=0.0, max=1.0)] = 0.95,
    max_new_tokens: Annotated[int, typer.Option(min=1)] = 512,
    seed: Annotated[int | None, typer.Option(help="Makes the answers repeat.")] = None,
) -> None:
    """Talk to a model in the terminal: /reset, /system TEXT, /exit; Ctrl-C stops an answer."""
    from precept.run.chat import chat as run

    run(
        model,
        chat_template=chat_template,
        system=system,
        temperature=temperature,
        top_p=top_p,
        max_new_tokens=max_new_tokens,
        seed=seed,
    )


@app.command("merge")
def merge(
    adapter: Annotated[str, typer.Argument(help="An adapter folder.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The model folder to write.")],
    fresh: Annotated[bool, typer.Option("--fresh", help="Remove the merge in the output folder.")] = False,
    as_json: Json = False,
) -> None:
    """Fold an adapter into its full-precision base and print the measured difference."""
    from precept.run.merge import merge as run

    run(adapter, output=output, fresh=fresh, as_json=as_json)


@app.command("report")
def report(
    run: Annotated[Path, typer.Argument(help="The output folder of train, run or eval.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write; by default report.html in the folder.")
    ] = None,
    as_json: Json = False,
) -> None:
    """The page of a run: curves, tokens, scores, data, settings, machine; every item on pages beside it."""
    from precept.run.console import print_json
    from precept.run.report.report import report as write
    from precept.run.summary import print_report

    result = write(run, output=output)
    print_json(result) if as_json else print_report(result)


@app.command("import-config")
def import_config(
    file: Annotated[Path, typer.Argument(help="The YAML file that the other tool trains with.")],
    tool: Annotated[
        str | None,
        typer.Option("--from", help="trl, llama-factory, axolotl or torchtune; by default told by the file's keys."),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The recipe file to write.")] = None,
    as_json: Json = False,
) -> None:
    """Another tool's configuration as a recipe: every key mapped, without effect here and why, or not supported."""
    from precept.run.import_config import import_config as run

    run(file, tool=tool, output=output, as_json=as_json)


@app.command("init")
def init(
    name: Annotated[str | None, typer.Argument(help="A shipped recipe: see --list.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write; by default NAME.yaml here.")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="The shipped recipes, a line each.")] = False,
    as_json: Json = False,
) -> None:
    """Copy a recipe to edit, with a comment on each key that it sets; nothing is overwritten."""
    from precept.run.console import print_json
    from precept.run.init import init as run
    from precept.run.init import list_recipes, print_init, print_list

    if list_:
        found = list_recipes()
        print_json(found) if as_json else print_list(found)
        return
    result = run(name, output=output)
    print_json(result) if as_json else print_init(result)


@app.command("where")
def where(
    paper: Annotated[str, typer.Argument(help="A paper or system: flan, dolly, 2204.07705, ...")], as_json: Json = False
) -> None:
    """The recipe, files, tests, page and result of a paper, and what of it is missing."""
    from precept.run.console import print_json
    from precept.run.where import print_where
    from precept.run.where import where as run

    found = run(paper)
    print_json(found) if as_json else print_where(found)


@app.command("doctor")
def doctor(as_json: Json = False) -> None:
    """What this machine offers, which extras are missing; exit 1 where a known bad combination is present."""
    from precept.run.console import print_json
    from precept.run.doctor import doctor as run
    from precept.run.doctor import print_doctor

    found = run()
    print_json(found) if as_json else print_doctor(found)
    if found["problems"]:
        raise typer.Exit(1)


def _refuse_other_encodings(arguments: list[str]) -> None:
    """The system hands over bytes that are not UTF-8 as halves of characters, which no file of ours can hold."""
    for word in arguments:
        if not word.isascii() and any("\ud800" <= letter <= "\udfff" for letter in word):
            raise InputError(
                "an argument is not UTF-8",
                code="argument-encoding",
                found=ascii(word),
                do="rename the file, or set a UTF-8 locale (LC_ALL=C.UTF-8)",
            )


def main() -> None:
    """Run the command line; every failure ends in a few lines and an exit code of 1 or 2."""
    debug = "--debug" in sys.argv
    arguments = [word for word in sys.argv[1:] if word != "--debug"]
    try:
        _refuse_other_encodings(arguments)
        app(arguments)  # exits by itself: 0, or 2 for a wrong option
    except PreceptError as error:
        if debug:
            traceback.print_exc()
        from precept.run.console import print_error

        print_error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        typer.echo("stopped", err=True)
        sys.exit(1)
    except SystemExit as leaving:
        if leaving.code != CTRL_C:
            raise
        typer.echo("stopped", err=True)
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - the last place where a failure can be told
        from precept.run.console import print_error
        from precept.run.failures import explain_failure

        told = explain_failure(error)
        if debug:
            traceback.print_exc()
        if told is not None:
            print_error(told)
            sys.exit(told.exit_code)
        typer.echo(f"error: {type(error).__name__}: {error}\n  do: run again with --debug to see where", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
