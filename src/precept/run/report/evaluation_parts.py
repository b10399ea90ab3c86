"""What an evaluation's document says beside its scores by task: how they were got, and what they depend on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from precept.evaluate.page_parts import Facts
from precept.evaluate.score_tables import Level, Part, Scores, Table, read_scores
from precept.run.data.rows import count_reasons
from precept.run.output import MANIFEST
from precept.run.report.run_files import RunFiles
from precept.run.report.training import show_setting

Document = Mapping[str, Any]
HREFS = Mapping[str, str | None]
TOLD = ("model_hash", "chat_template", "template_date", "date", "seed", "scope")
COUNTED = {
    "too_long": "longer than the context, scored wrong",
    "empty": "empty",
    "nothing_extracted": "no answer found",
}


def model_of(document: Document) -> str:
    """Whose answers were scored: a model, or a file of predictions."""
    return str(document.get("model") or document["predictions"])


def read_parts(result: Document, hrefs: HREFS) -> Iterator[Part]:
    """The same items divided or asked in other ways."""
    for task, bins in result.get("parts", {}).items():
        levels = tuple(
            Level(f"{name} words", read_scores(scores), href=hrefs.get(task)) for name, scores in bins.items()
        )
        yield Part(f"By length: {task}", "By the words of the first reference.", levels)
    if templates := result.get("suite", {}).get("templates"):
        told = "The mean over the templates of a data set, and the template that is best on its other items."
        yield Part("By data set", told, tuple(_templates(templates)))
    if found := result.get("contamination"):
        yield _contamination(found, hrefs)
    for variant, entry in result.get("variants", {}).items():
        yield _variant(variant, entry, hrefs)


def _templates(templates: Document) -> Iterator[Level]:
    for dataset, metrics in templates.items():
        best = {metric: entry["best"] for metric, entry in metrics.items()}
        chosen = dict.fromkeys(name for entry in best.values() for name in entry["chosen"])
        mean = {metric: entry["mean"] for metric, entry in metrics.items()}
        yield Level(dataset, read_scores(mean), baselines={f"best: {', '.join(chosen)}": read_scores(best)})


def _contamination(found: Document, hrefs: HREFS) -> Part:
    rule = found["rule"]
    told = (
        f"{found['touched']:,} of {found['items']:,} items were found among {found['rows']:,} training rows:"
        f" {found['exact']:,} as they stand, {found['normalized']:,} but for case, punctuation and blanks,"
        f" {found['words']:,} by runs of {rule['words']} words over more than {100 * rule['share']:.0f} % of a text."
        " result.json names the rows."
    )
    if found["unread"]:
        told += f" {found['unread']:,} training rows or files could not be read and were not searched."
    levels = [
        Level(f"all tasks, {side}", read_scores(scores), difference=_difference(found, side))
        for side, scores in found["scores"].items()
    ]
    levels += [
        Level(f"{task}, {side}", read_scores(scores), href=hrefs.get(task))
        for task, entry in found["tasks"].items()
        if entry["touched"]
        for side, scores in entry["scores"].items()
    ]
    return Part("Items that training rows hold, and those that they do not", told, tuple(levels))


def _difference(found: Document, side: str) -> Scores:
    return read_scores(found.get("difference", {}).get(side, {}))


def _variant(variant: str, entry: Document, hrefs: HREFS) -> Part:
    told = (
        f"{entry['changed']:,} of {entry['items']:,} items were asked in other words, too. The difference is the"
        " original minus the variant; A12 is the probability that an original has the higher score, ties half."
    )
    levels = [_gap("all changed items", variant, entry["overall"], None)]
    if len(entry["tasks"]) > 1:
        levels += [_gap(task, variant, own, hrefs.get(f"{task}, {variant}")) for task, own in entry["tasks"].items()]
    return Part(f"Asked as {variant}", told, tuple(levels))


def _gap(name: str, variant: str, entry: Document, href: str | None) -> Level:
    effects = ", ".join(f"{metric} {gap['a12']:.2f}" for metric, gap in entry["gap"].items())
    return Level(
        name,
        read_scores(entry["original"]),
        baselines={variant: read_scores(entry["variant"])},
        difference=read_scores(entry["gap"]),
        note=f"A12: {effects}.",
        href=href,
    )


def read_tables(result: Document) -> Iterator[Table]:
    """Repeated runs, and how each task was asked."""
    if repeats := result.get("repeats"):
        told = f"{repeats['runs']} runs with the seeds {', '.join(map(str, repeats['seeds']))}; intervals over runs."
        if repeats["greedy"]:
            told += f" Asked once, since every run would be the same: {', '.join(repeats['greedy'])}."
        columns = ("task", "metric", "mean", "95 % interval", "median", "quartile distance", "smallest", "largest")
        yield Table("Repeated runs", told, columns, tuple(_spreads(repeats["tasks"])))
    if asked := result.get("asked"):
        columns = ("task", "kind", "shots", "prompt", "most tokens", "answers read by", "version", "data and hash")
        yield Table(
            "How each task was asked", "", columns, tuple(_asked(asked, result.get("against", {}))), folded=True
        )


def _spreads(tasks: Document) -> Iterator[tuple[str, ...]]:
    for task, metrics in tasks.items():
        for metric, spread in metrics.items():
            mean, low, high, *rest = (
                f"{100 * spread[key]:.1f}" for key in ("mean", "low", "high", "median", "iqr", "min", "max")
            )
            yield task, metric, mean, f"{low} to {high}", *rest


def _asked(asked: Document, against: Document) -> Iterator[tuple[str, ...]]:
    for name, task in asked.items():
        form, other = _form(task["chat"]), _form(against.get("asked", {}).get(name, task)["chat"])
        yield (
            name,
            task["kind"],
            str(task["shots"]),
            form if form == other else f"{form}; {model_of(against)}: {other}",
            str(task["max_new_tokens"]),
            "; ".join(f"{metric}: {rule['extract']}" for metric, rule in task["metrics"].items()),
            str(task["version"]),
            "; ".join(f"{file['path']} ({file['sha256'][:16]})" for file in task["files"]),
        )


def _form(chat: bool) -> str:
    return "chat template" if chat else "plain text"


def _told(value: object) -> str:
    return "none: asked in plain text" if value is None else str(value)


def read_facts(files: RunFiles, result: Document) -> Facts:
    """What was asked by what, what could not be asked, and what else a recipe's step had set."""
    facts = {"model": model_of(result)}
    if "against" in result:
        facts["compared with"] = model_of(result["against"])
    facts |= {key.replace("_", " "): _told(result[key]) for key in TOLD if key in result}
    if versions := result.get("versions"):
        facts["versions"] = ", ".join(f"{name} {version}" for name, version in versions.items())
    for key, name in COUNTED.items():
        if count := result["counts"].get(key):
            facts[name] = f"{count:,} items"
    if dropped := result.get("dropped"):
        reasons = count_reasons(entry["reason"] for entry in dropped["entries"])
        told = "; ".join(f"{count:,} x {reason}" for reason, count in reasons)
        facts["rows left out, which cannot be used"] = f"{dropped['count']:,}: {told}"
    if detectable := result.get("detectable"):
        shown = [
            f"{100 * value:.1f} points where they differ on {100 * float(share):.0f} % of items"
            for share, value in detectable["differences"].items()
            if value is not None
        ]
        name = f"smallest difference of two models that {detectable['n']:,} items show"
        facts[name] = "; ".join(shown) or "none: too few items"
    given = files.document(MANIFEST, holds="").get("with", {}) if (files.folder / MANIFEST).is_file() else {}
    facts |= {key: show_setting(value) for key, value in given.items() if key not in ("model", "against")}
    return tuple(facts.items())
