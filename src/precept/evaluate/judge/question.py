"""Questions and answers as the files of the field have them, and which answer belongs to which question.

Known rows: MT-bench's questions (``question_id``, ``category``, ``turns``, ``reference``) and answers
(``choices[0].turns``), those of the Vicuna questions (``question_id``, ``text``), AlpacaEval's outputs
(``instruction``, ``output``, ``generator``), and plain ones with an ``id`` or the question's text beside an ``output``.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from precept.errors import InputError

ID_FIELDS = ("question_id", "id", "prompt_id", "idx")
QUESTION_FIELDS = ("turns", "instruction", "question", "prompt", "text")
OUTPUT_FIELDS = ("output", "text", "response", "answer", "completion")
NAME_FIELDS = ("generator", "model_id", "model")
SHOWN = 8  # ids that an error names

_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked, turn by turn; ``references`` are reference answers to the first turns, blank where there is none.
    ``named`` tells that the row has an id of its own; without one ``id`` is its row number."""

    id: str
    turns: tuple[str, ...]
    category: str | None = None
    references: tuple[str, ...] = ()
    named: bool = True

    def has_reference(self, turn: int) -> bool:
        """Whether there is a reference answer to a turn (from 1)."""
        return len(self.references) >= turn and bool(self.references[turn - 1].strip())


@dataclass(frozen=True, slots=True)
class Response:
    """A model's answers to a question, one a turn; the question is named by ``id``, by its first ``text``, or both."""

    row: int
    id: str | None
    text: str | None
    turns: tuple[str, ...]
    generator: str | None = None


class _Unusable(Exception):
    """Why a row is no question, or no answer."""


def read_questions(rows: Iterable[tuple[int, Any]], *, file: str) -> list[Question]:
    """One question a row (number, record). Raises InputError naming the rows that are none, and ids that repeat."""
    questions = _read_all(rows, _question, file=file, kind="question")
    twice = [name for name, count in Counter(question.id for question in questions).items() if count > 1]
    if twice:
        raise InputError(
            "several questions have the same id",
            code="duplicate-questions",
            where=file,
            found=_listed(twice),
            do="give each question an id of its own",
        )
    return questions


def read_responses(rows: Iterable[tuple[int, Any]], *, file: str) -> list[Response]:
    """One response a row (number, record). Raises InputError naming the rows that are none."""
    return _read_all(rows, _response, file=file, kind="answer")


def questions_of(responses: Sequence[Response], *, file: str) -> list[Question]:
    """The questions that answers carry with them, as AlpacaEval's outputs do. Raises InputError where one does not."""
    without = [str(response.row) for response in responses if response.text is None]
    if without:
        raise InputError(
            "the answers do not say what was asked",
            code="answers-without-questions",
            where=file,
            found=f"rows without {', '.join(QUESTION_FIELDS[1:4])}: {_listed(without)}",
            do="name the file of the questions with --questions",
        )
    rows = [(r.row, {"question": r.text, **({} if r.id is None else {"id": r.id})}) for r in responses]
    return read_questions(rows, file=file)


def match(
    questions: Sequence[Question], responses: Sequence[Response], *, file: str, first: int | None = None
) -> list[Response]:
    """The response to each question, in the questions' order: by id where all have one, else by the question's text.
    With ``first`` those to so many questions; the others need none.

    Raises InputError naming the questions without an answer, answers to unknown or to the same question, and answers
    with another number of turns than their question.
    """
    found, problems = _pair(questions, responses)
    wanted = questions[:first]
    missing = [question.id for question in wanted if question.id not in found]
    turns = [q.id for q in wanted if q.id in found and len(found[q.id].turns) != len(q.turns)]
    problems = {"no answer to": missing, **problems, "another number of turns than the question": turns}
    if any(problems.values()):
        raise InputError(
            "answers and questions do not match",
            code="answers-mismatch",
            where=file,
            found="; ".join(f"{what}: {_listed(ids)}" for what, ids in problems.items() if ids),
            do="give one answer to each question, under its id (question_id) or with the same instruction text",
        )
    return [found[question.id] for question in wanted]


def with_references(questions: Sequence[Question], responses: Sequence[Response], *, file: str) -> list[Question]:
    """The questions with reference answers for those that ``responses`` answer, in place of their own.

    Raises InputError for references to unknown questions.
    """
    found, problems = _pair(questions, responses)
    if any(problems.values()):
        raise InputError(
            "reference answers and questions do not match",
            code="references-mismatch",
            where=file,
            found="; ".join(f"{what}: {_listed(ids)}" for what, ids in problems.items() if ids),
            do="give at most one reference answer to a question, under its id or with the same instruction text",
        )
    return [replace(q, references=found[q.id].turns) if q.id in found else q for q in questions]


def content_hash(turns: Sequence[str]) -> str:
    """16 hex digits over the texts of an answer."""
    digest = hashlib.sha256()
    for turn in turns:
        encoded = turn.encode()
        digest.update(f"{len(encoded)}:".encode() + encoded)
    return digest.hexdigest()[:16]


def _pair(
    questions: Sequence[Question], responses: Sequence[Response]
) -> tuple[dict[str, Response], dict[str, list[str]]]:
    by_id = all(q.named for q in questions) and all(r.id is not None for r in responses)
    keys = [q.id if by_id else q.turns[0].strip() for q in questions]
    known = {key: q.id for key, q in zip(keys, questions, strict=True)}
    alike = [q.id for key, q in zip(keys, questions, strict=True) if known[key] != q.id]
    found: dict[str, Response] = {}
    unknown, again = [], []
    for response in responses:
        key = response.id if by_id else (response.text or "").strip()
        place = None if key is None else known.get(key)
        name = f"row {response.row}" if response.id is None else response.id
        if place is None:
            unknown.append(name)
        elif place in found:
            again.append(name)
        else:
            found[place] = response
    same = "a later question has the same text, so that they need ids"
    return found, {same: alike, "answers to no question": unknown, "answered more than once": again}


def _read_all(
    rows: Iterable[tuple[int, Any]], read: Callable[[int, Mapping[str, Any]], _Read], *, file: str, kind: str
) -> list[_Read]:
    read_rows: list[_Read] = []
    problems: list[str] = []
    for number, record in rows:
        try:
            if not isinstance(record, Mapping):
                raise _Unusable("not an object")
            read_rows.append(read(number, record))
        except _Unusable as problem:
            problems.append(f"row {number}: {problem}")
    if problems:
        raise InputError(
            f"{len(problems)} rows hold no {kind}",
            code="judge-rows",
            where=file,
            found="\n    " + "\n    ".join(problems[:5]),
            do="mend these rows",
        )
    if not read_rows:
        raise InputError(f"the file holds no {kind}", code="judge-no-rows", where=file, do="name a file with rows")
    return read_rows


def _question(number: int, record: Mapping[str, Any]) -> Question:
    text = _first(record, QUESTION_FIELDS)
    if text is None:
        raise _Unusable(f"none of the fields {', '.join(QUESTION_FIELDS)}")
    turns = _texts(text, "the question")
    turns = (_with_input(record, turns[0]), *turns[1:])
    if not all(turn.strip() for turn in turns):
        raise _Unusable("a question is blank")
    reference = record.get("reference")
    given = reference if isinstance(reference, list) else [reference]
    references = tuple(_texts(text, "the reference")[0] if text is not None else "" for text in given)
    category = record.get("category")
    name = _id(record)
    return Question(
        id=name if name is not None else str(number),
        turns=turns,
        category=None if category is None else _sound(str(category), "the category"),
        references=references if any(text.strip() for text in references) else (),
        named=name is not None,
    )


def _response(number: int, record: Mapping[str, Any]) -> Response:
    choices = record.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], Mapping):
        output = choices[0].get("turns")
    else:
        output = _first(record, OUTPUT_FIELDS)
    if output is None:
        raise _Unusable(f"none of the fields choices[0].turns, {', '.join(OUTPUT_FIELDS)}")
    asked = _first(record, [field for field in QUESTION_FIELDS if field != "text" or "output" in record])
    text = _with_input(record, _texts(asked, "the question")[0]) if asked is not None else None
    name = _id(record)
    if name is None and text is None:
        raise _Unusable("neither an id nor the question's text")
    generator = _first(record, NAME_FIELDS)
    model = None if generator is None else _sound(str(generator), "the model's name")
    return Response(number, name, text, _texts(output, "the answer"), model)


def _with_input(record: Mapping[str, Any], text: str) -> str:
    """An instruction with the input beside it (Alpaca), or in its first instance (Self-Instruct)."""
    instances = record.get("instances")
    holder = instances[0] if isinstance(instances, list) and instances else record
    extra = holder.get("input") if isinstance(holder, Mapping) and "instruction" in record else None
    return f"{text}\n\n{_sound(extra, 'the input')}" if isinstance(extra, str) and extra.strip() else text


def _first(record: Mapping[str, Any], fields: Sequence[str]) -> Any:
    return next((record[field] for field in fields if record.get(field) is not None), None)


def _id(record: Mapping[str, Any]) -> str | None:
    value = _first(record, ID_FIELDS)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | str)):
        raise _Unusable("its id is neither a number nor text")
    return None if value is None else _sound(str(value), "its id")


def _texts(value: Any, what: str) -> tuple[str, ...]:
    texts = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else ()
    if not texts or not all(isinstance(text, str) for text in texts):
        raise _Unusable(f"{what} is neither text nor a list of texts")
    return tuple(_sound(text, what) for text in texts)


def _sound(text: str, what: str) -> str:
    """The text, if a file can hold it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _Unusable(f"{what} holds half a character (a lone surrogate)") from None
    return text


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
