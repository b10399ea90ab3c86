"""Trees of messages -> rows: every assistant message is trained once, at the cost of the tree's nodes.

A tree is a prompt with its replies, each with replies of its own (OpenAssistant, 2304.07327). A row is the path to an
answer that no further answer follows. Rows of a tree share their beginnings, which a forest computes once; an answer
that stands in several rows is trained in one of them and is context in the others.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal

from pydantic import Field

from precept.records.fingerprint import record_hash
from precept.records.instructions.built import Built, CountTokens, naming_refused
from precept.records.instructions.raw_records import read_raw_records
from precept.records.instructions.tally import Tally
from precept.records.instructions.tree_files import Node, read_trees
from precept.settings import Settings
from precept.types import Answer, Comparison, Conversation, Message

Path = tuple[Node, ...]


class TreesSettings(Settings):
    """Which messages of the trees are used, and for what."""

    rows: Literal["conversations", "comparisons"] = "conversations"
    """Paths to answers, or pairs of ranked answers to the same messages."""
    replies: Literal["all", "best"] = "all"
    """Use every answer to a message, or only the one that is ranked first."""
    max_rank: int | None = Field(default=None, ge=0)
    """Use answers of this rank or better: 0 is best. Answers without a rank are left out then."""
    min_quality: float | None = Field(default=None, ge=0, le=1)
    """Use answers with at least this quality label. Answers without one are left out then."""
    languages: tuple[str, ...] = ()
    """Use messages in these languages: en, or pt-BR; en also takes en-GB. By default all."""
    tree_states: tuple[str, ...] = ("ready_for_export",)
    """Use trees in these states; trees without a state are used."""


def build(paths: Sequence[str], settings: TreesSettings, *, count_tokens: CountTokens | None = None) -> Built:
    """Tree files -> rows. Over all rows of a tree each answer has weight 1 once.

    A message that is left out takes all that follows it along. The report counts messages with and without the
    repetition of shared beginnings, and what was left out and why.
    """
    records, refused = read_raw_records(paths)
    roots, faults = read_trees(records)
    left_out = Tally()
    distinct = repeated = answers = 0
    rows: list[Conversation | Comparison] = []
    used = 0
    for root in roots:
        before = len(rows)
        if not prune(root, settings, left_out):
            continue
        if settings.rows == "comparisons":
            rows += tree_comparisons(root)
        else:
            found = tree_paths(root)
            rows += [_row(path, trained) for path, trained in found]
            distinct += len({id(node) for path, _ in found for node in path})
            repeated += sum(len(path) for path, _ in found)
            answers += sum(len(trained) for _, trained in found)
        used += len(rows) > before
        if len(rows) == before:
            left_out.add(f"a tree that gives no {settings.rows}", root.source, detail=root.id)
    with naming_refused([*refused, *faults]):
        left_out.refuse_nothing_left(rows)
    report: dict[str, Any] = {
        "records": len(records),
        "trees": len(roots),
        "used": used,
        "left_out": left_out.document(),
        "rows": len(rows),
    }
    if settings.rows == "conversations":
        report |= {"answers": answers, "messages": {"distinct": distinct, "with_repetition": repeated}}
    return Built(rows, report=report, refused=[*refused, *faults])


def prune(root: Node, settings: TreesSettings, left_out: Tally) -> bool:
    """Take out of the tree what the settings leave out and all that follows it; False where nothing stays."""
    if root.state is not None and root.state not in settings.tree_states:
        left_out.add(f"a tree in the state {root.state}", root.source, detail=root.id)
        return False
    if not _wanted([root], settings, left_out):
        return False
    waiting = [root]
    while waiting:  # trees may be deeper than Python's stack
        node = waiting.pop()
        node.replies = _wanted(node.replies, settings, left_out)
        waiting += node.replies
    return True


def _wanted(nodes: Sequence[Node], settings: TreesSettings, left_out: Tally) -> list[Node]:
    """The messages among these siblings that are used."""
    wanted = []
    for node in nodes:
        reason = _unwanted(node, settings)
        if reason is None:
            wanted.append(node)
        else:
            left_out.add(reason, node.source, detail=node.id)
    answers = [node for node in wanted if node.role == "assistant"]
    if len(answers) < 2 or settings.replies == "all":
        return wanted
    best = min(answers, key=lambda node: (node.rank is None, node.rank or 0))
    for node in answers:
        if node is not best:
            left_out.add("not the best answer", node.source, detail=node.id)
    return [node for node in wanted if node is best or node.role == "user"]


def _unwanted(node: Node, settings: TreesSettings) -> str | None:
    """Why a message is left out."""
    if node.fault is not None:
        return node.fault
    if settings.languages and node.language is not None:
        spoken = node.language.lower()
        if not any(spoken == code.lower() or spoken.startswith(f"{code.lower()}-") for code in settings.languages):
            return f"language {node.language}"
    if node.role == "user":
        return None
    if settings.max_rank is not None and (node.rank is None or node.rank > settings.max_rank):
        return "no rank" if node.rank is None else f"a rank worse than {settings.max_rank}"
    if settings.min_quality is not None and (node.quality is None or node.quality < settings.min_quality):
        return "no quality label" if node.quality is None else f"a quality below {settings.min_quality}"
    return None


def walk(root: Node) -> Iterator[Path]:
    """The path to every message, parents first, in the order of the replies."""
    waiting: list[Path] = [(root,)]
    while waiting:
        path = waiting.pop()
        yield path
        waiting += [(*path, reply) for reply in reversed(path[-1].replies)]


def tree_paths(root: Node) -> list[tuple[Path, frozenset[int]]]:
    """Paths to answers that no answer follows, and the places in each path that are trained there.

    An answer on several paths is trained in the shortest of them, in characters: should a length limit drop long rows
    later, as few answers as possible go with them.
    """
    paths = [path for path in walk(root) if path[-1].role == "assistant" and not _answered(path[-1])]
    taken: set[int] = set()
    trained: dict[int, frozenset[int]] = {}
    for place in sorted(range(len(paths)), key=lambda place: sum(len(node.text) for node in paths[place])):
        own = [i for i, node in enumerate(paths[place]) if node.role == "assistant" and id(node) not in taken]
        trained[place] = frozenset(own)
        taken |= {id(paths[place][i]) for i in own}
    return [(path, trained[place]) for place, path in enumerate(paths)]


def _answered(node: Node) -> bool:
    """Whether an answer follows this one: somebody asks on, and that is answered."""
    return any(reply.replies for reply in node.replies)


def tree_comparisons(root: Node) -> Iterator[Comparison]:
    """All pairs of answers to the same messages whose ranks differ, the better one first."""
    for path in walk(root):
        ranked = sorted((r for r in path[-1].replies if r.rank is not None), key=lambda reply: reply.rank or 0)
        prompt = tuple(Message(node.role, node.text) for node in path)
        for better, worse in itertools.combinations(ranked, 2):
            if path[-1].role == "user" and better.rank != worse.rank:
                name = f"{better.id}>{worse.id}"
                digest = record_hash([name, *(message.content for message in prompt), better.text, worse.text])
                yield Comparison(
                    prompt,
                    tuple(Answer((Message(r.role, r.text),), rank=n) for n, r in enumerate((better, worse), 1)),
                    replace(better.source, hash=digest, id=name),
                )


def _row(path: Path, trained: frozenset[int]) -> Conversation:
    """The conversation along a path. Answers that another row trains are marked as not to be trained."""
    messages = tuple(
        Message(node.role, node.text, train=False if node.role == "assistant" and place not in trained else None)
        for place, node in enumerate(path)
    )
    digest = record_hash([path[-1].id, *(node.text for node in path)])
    return Conversation(messages, replace(path[-1].source, hash=digest, id=path[-1].id))
