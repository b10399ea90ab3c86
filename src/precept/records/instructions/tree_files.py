"""Files of message trees -> trees, in the two layouts of OpenAssistant's exports.

Nested: ``{message_tree_id, tree_state, prompt: {message_id, text, role, replies: [...], ...}}``, a tree an object.
Flat: ``{message_id, parent_id, message_tree_id, text, role, ...}``, a message an object. Of a message are read ``role``
(prompter or assistant), ``text``, ``rank`` (0 is best among its siblings), ``lang``, ``labels`` (quality), ``deleted``
and ``review_result`` (false: rejected). Tables write truths and ranks as text: ``True``, ``false``, ``1`` are read too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from precept.records.instructions.raw_records import RawRecord
from precept.records.problems import RowProblem, kind_of
from precept.types import Refusal, Source

TRUTHS = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}
ROLES = {"prompter": "user", "user": "user", "human": "user", "assistant": "assistant"}


@dataclass
class Node:
    """A message of a tree. ``source`` is where it was read; ``fault`` says why it cannot be used, whoever asks;
    ``state`` is the tree's, at its root."""

    id: str
    role: str
    text: str
    source: Source
    rank: int | None = None
    quality: float | None = None
    language: str | None = None
    fault: str | None = None
    state: str | None = None
    replies: list[Node] = field(default_factory=list)


def read_trees(records: Sequence[RawRecord]) -> tuple[list[Node], list[Refusal]]:
    """The roots of all trees in the order of the file, nested ones first, and the records that are part of none or that
    repeat a tree."""
    roots: list[Node] = []
    known: set[str] = set()
    refused: list[Refusal] = []
    flat: list[tuple[RawRecord, Node]] = []
    for record in records:
        try:
            if isinstance(record.columns.get("prompt"), dict):
                root = _read_nested(record)
                if root.id and root.id in known:
                    raise RowProblem("message-twice", f"message {root.id!r:.60} is there twice")
                known.add(root.id)
                roots.append(root)
            elif "message_id" in record.columns and "text" in record.columns:
                flat.append((record, _read_node(record.columns, record.source, record.columns)))
            else:
                names = ", ".join(record.columns)[:200]
                raise RowProblem(
                    "not-a-tree", f"neither a tree (prompt with replies) nor a message of one; columns found: {names}"
                )
        except RowProblem as problem:
            refused.append(record.refusal(problem))
    found, faults = _join(flat)
    return [*roots, *found], [*refused, *faults]


def _read_nested(record: RawRecord) -> Node:
    prompt = record.columns["prompt"]
    root = _read_node(prompt, record.source, record.columns)
    root.fault = root.fault or _wrong_start(root)
    waiting, known = [(root, prompt)], {root.id}
    while waiting:  # trees may be deeper than Python's stack
        node, columns = waiting.pop()
        replies = columns.get("replies") or []
        if not isinstance(replies, list) or not all(isinstance(reply, dict) for reply in replies):
            raise RowProblem(
                "not-a-tree", f"'replies' of message {node.id!r:.60} is {kind_of(replies)}, not of messages"
            )
        for reply in replies:
            child = _read_node(reply, record.source, {})
            if child.id and child.id in known:
                raise RowProblem("message-twice", f"message {child.id!r:.60} is there twice")
            known.add(child.id)
            _hang(node, child)
            waiting.append((child, reply))
    return root


def _read_node(columns: Mapping[str, Any], source: Source, tree: Mapping[str, Any]) -> Node:
    """A message without its replies. What is wrong with the message itself is its ``fault``. Raises RowProblem where a
    rank or a truth is none."""
    role, text, language, state = (
        columns.get("role"),
        columns.get("text"),
        columns.get("lang"),
        tree.get("tree_state"),
    )
    named, deleted, accepted = columns.get("message_id"), _truth(columns, "deleted"), _truth(columns, "review_result")
    node = Node(
        id="" if named is None else str(named),
        role=ROLES.get(role, "") if isinstance(role, str) else "",
        text=text if isinstance(text, str) else "",
        source=source,
        rank=_rank(columns),
        quality=_quality(columns.get("labels")),
        language=language if isinstance(language, str) else None,
        state=state if isinstance(state, str) else None,
    )
    if deleted:
        node.fault = "deleted"
    elif accepted is False:
        node.fault = "rejected in review"
    elif not node.role:
        node.fault = f"unknown role {role!r:.40}"
    elif not node.text.strip():
        node.fault = "no text"
    return node


def _stated(columns: Mapping[str, Any], name: str) -> Any:
    """What a column holds; None where it holds nothing, as tables write it too, or no finite number."""
    value = columns.get(name)
    blank = isinstance(value, str) and value.strip().lower() in ("", "null", "none", "nan")
    return None if blank or (isinstance(value, float) and not math.isfinite(value)) else value


def _truth(columns: Mapping[str, Any], name: str) -> bool | None:
    value = _stated(columns, name)
    truth = TRUTHS.get(str(value).strip().lower())
    if value is not None and truth is None:
        raise RowProblem("bad-truth", f"column '{name}' holds {value!r:.40}, not true or false")
    return truth


def _rank(columns: Mapping[str, Any]) -> int | None:
    value = _stated(columns, "rank")
    if value is None:
        return None
    try:
        number = _number(float(value) if isinstance(value, str) else value)
    except ValueError:
        number = None
    if number is None or not number.is_integer():
        raise RowProblem("bad-rank", f"column 'rank' holds {value!r:.40}, not a whole number")
    return int(number)


def _number(value: object) -> float | None:
    """A number; None of anything else, NaN (as tables write nothing) included."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _quality(labels: object) -> float | None:
    """The value of the label 'quality': ``{quality: {value}}``, or lists of names and values side by side."""
    if not isinstance(labels, dict):
        return None
    names, values = labels.get("name"), labels.get("value")
    if isinstance(names, list) and isinstance(values, list):
        return _number(dict(zip(map(str, names), values, strict=False)).get("quality"))
    held = labels.get("quality")
    return _number(held.get("value") if isinstance(held, dict) else held)


def _hang(parent: Node, child: Node) -> None:
    if child.role == parent.role and child.fault is None:
        child.fault = f"a reply of the {child.role} to the same role"
    parent.replies.append(child)


def _wrong_start(root: Node) -> str | None:
    return "the first message is not a prompt" if root.role == "assistant" else None


def _join(flat: Sequence[tuple[RawRecord, Node]]) -> tuple[list[Node], list[Refusal]]:
    """Trees of single messages. Refused are second messages of an id and what hangs from no first message."""
    nodes: dict[str, Node] = {}
    own: list[tuple[RawRecord, Node]] = []
    refused: list[Refusal] = []
    for record, node in flat:
        if nodes.setdefault(node.id, node) is node:
            own.append((record, node))
        else:
            refused.append(record.refusal(RowProblem("message-twice", f"message {node.id!r:.60} is there twice")))
    roots = []
    for record, node in own:
        parent = record.columns.get("parent_id")
        if parent is None or parent == "":
            node.fault = node.fault or _wrong_start(node)
            roots.append(node)
        elif str(parent) in nodes:
            _hang(nodes[str(parent)], node)
    reached: set[int] = set()
    waiting = list(roots)
    while waiting:
        node = waiting.pop()
        reached.add(id(node))
        waiting += node.replies
    for record, node in own:
        if id(node) not in reached:
            parent = f"{record.columns.get('parent_id')!r:.60}"
            reason = f"message {node.id!r:.60} answers {parent}, which leads to no first message"
            refused.append(record.refusal(RowProblem("no-parent", reason)))
    return roots, refused
