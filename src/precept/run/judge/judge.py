"""``precept judge``: answers judged by a model, each judgment kept as it comes; or numbers from those of others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from precept.errors import InputError
from precept.evaluate.alpaca_eval import WeightedLetters
from precept.evaluate.judge import JudgeSettings, Judgment, Request, ask, compare, refuse_nonsense
from precept.evaluate.judge.ask import BLOCK
from precept.evaluate.judge.prompt import prompts_hash
from precept.ports import Chat
from precept.run.console import progress_line, say
from precept.run.data.steps import files_hash
from precept.run.judge.alpaca import LengthFiles
from precept.run.judge.annotations import summarize_file
from precept.run.judge.files import Answered, JudgeFiles, model_name, read_answered, read_difficulty, read_gamed
from precept.run.judge.model import make_judge
from precept.run.judge.options import AGREEMENT, JudgeWish, parse_keys, refuse_options
from precept.run.judge.protocols import Asking, Protocol, find_protocol
from precept.run.judge.store import NAME, JudgmentFile
from precept.run.judge.votes import NAME as VOTES
from precept.run.judge.votes import agreement_document, write_votes
from precept.run.output import differing, open_output, read_manifest

RESULT = "result.json"


def run_judge(
    protocol: str, files: JudgeFiles, wish: JudgeWish, *, output: Path | None, pairs: Mapping[str, Any]
) -> dict[str, Any]:
    """The JSON document of ``precept judge``, which is also kept in the output folder beside the judgments.

    Judgments that the folder holds are not asked again; the numbers are computed from them each time.
    """
    found = find_protocol(protocol) if protocol != AGREEMENT else None
    settings, remote = parse_keys(pairs)
    refuse_options(protocol, files, wish, pairs, output=output, needs_against=found is None or found.against)
    if found is None:
        return _agreement(files, output, settings.seed, fresh=wish.fresh)
    length = LengthFiles(
        difficulty=None if files.difficulty is None else read_difficulty(files.difficulty),
        gamed=None if files.gamed is None else read_gamed(files.gamed),
    )
    if files.annotations is not None:
        document = summarize_file(protocol, files.annotations, length, limit=wish.limit, seed=settings.seed)
        if output is not None:
            _keep(document, output, f"annotations.{protocol}", [files.annotations], fresh=wish.fresh)
        return document
    assert wish.judge is not None and output is not None, "checked by refuse_options"
    answered = read_answered(files, limit=wish.limit)
    if found.one_turn:
        _refuse_turns(protocol, answered)
    asking = Asking(seed=settings.seed, weighted=wish.weighted, length=length, judge=wish.judge)
    requests = found.requests(answered, asking)
    judge, identity = make_judge(wish.judge, url=wish.url, chat_template=wish.chat_template, remote=remote)
    manifest = {
        "method": f"judge.{protocol}",
        "data": {name: path for name, path in vars(files).items() if path is not None},
        **identity,
        **answered.hashes(),
        "prompts_hash": prompts_hash(),
        "weighted": wish.weighted,
        "with": settings.model_dump(mode="json"),
    }
    if not wish.fresh:
        _refuse_changed(output, manifest)
    with open_output(output, manifest, fresh=wish.fresh) as out:
        out.claim(manifest)
        store = JudgmentFile(output, {"judge": judge.name, "settings": manifest["with"]})
        chat: Chat = WeightedLetters(judge) if wish.weighted else judge
        keep = partial(store.append, verdict=lambda judgment: found.verdict(judgment, asking))
        judgments = _ask(chat, requests, settings, store.read(), keep, block=max(BLOCK, remote.parallel))
        refuse_nonsense(judgments, [found.verdict(judgment, asking) for judgment in judgments], judge=judge.name)
        document = _document(protocol, found, files, answered, judgments, asking, output)
        if found.form is not None:
            compared = compare(answered.questions, judgments, form=found.form)
            write_votes(compared, output / VOTES, model=document["model"], against=document["against"])
        out.write_json(RESULT, document)
        out.complete(document)
    return document


def _agreement(files: JudgeFiles, output: Path | None, seed: int, *, fresh: bool) -> dict[str, Any]:
    assert files.annotations is not None and files.against is not None, "checked by refuse_options"
    document = agreement_document(files.annotations, files.against, seed=seed)
    if output is not None:
        _keep(document, output, f"judge.{AGREEMENT}", [files.annotations, files.against], fresh=fresh)
    return document


def _keep(document: dict[str, Any], output: Path, method: str, judgments: Sequence[str], *, fresh: bool) -> None:
    manifest = {"method": method, "data": list(judgments), "annotations_hash": files_hash(judgments)}
    with open_output(output, manifest, fresh=fresh) as out:
        out.claim(manifest)
        out.write_json(RESULT, document)
        out.complete(document)


def _ask(
    chat: Chat,
    requests: Sequence[Request],
    settings: JudgeSettings,
    kept: Sequence[Judgment],
    keep: Callable[[Sequence[Judgment]], None],
    *,
    block: int,
) -> list[Judgment]:
    if kept:
        say(f"{len(kept)} of {len(requests)} judgments are there from an earlier run")
    with progress_line(f"{chat.name} judges", total=len(requests)) as progress:
        return ask(chat, requests, settings, kept=kept, keep=keep, block=block, progress=progress)


def _document(
    name: str,
    protocol: Protocol,
    files: JudgeFiles,
    answered: Answered,
    judgments: Sequence[Judgment],
    asking: Asking,
    output: Path,
) -> dict[str, Any]:
    against = {"against": model_name(answered.theirs, str(files.against))} if answered.theirs else {}
    return {
        "protocol": name,
        "judge": asking.judge,
        "model": model_name(answered.ours, str(files.answers)),
        **against,
        "questions": len(answered.questions),
        **protocol.document(answered, judgments, asking),
        "output": str(output),
        "judgments": {"path": str(output / NAME), "count": len(judgments)},
    }


def _refuse_turns(name: str, answered: Answered) -> None:
    several = [question.id for question in answered.questions if len(question.turns) > 1]
    if several:
        raise InputError(
            f"{name} has questions of one turn",
            code="judge-turns",
            found=f"{len(several)} questions with more, first {', '.join(several[:8])}",
            do="use 'precept judge pairwise'",
        )


def _refuse_changed(output: Path, manifest: Mapping[str, Any]) -> None:
    stored = read_manifest(output) if output.is_dir() else None
    if stored is not None and (keys := differing(stored, manifest)):
        raise InputError(
            "this folder holds judgments made with other settings, answers or another judge",
            code="output-differs",
            where=str(output),
            found="; ".join(keys),
            do="use --fresh to ask everything again, or name another folder",
        )
