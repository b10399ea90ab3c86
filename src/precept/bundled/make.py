"""``python -m precept.bundled.make --out DIR``: writes the corpus, the tasks, the tokenizer and a manifest."""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import IO, Annotated, Any

from pydantic import Field

from precept.bundled.chains import build_chains, write_chains
from precept.bundled.corpus import documents, write_replay
from precept.bundled.tasks import build_tasks, write_tasks
from precept.bundled.tokenizer import save_tokenizer, train_tokenizer, world_words
from precept.bundled.world import build_world
from precept.errors import InputError, PreceptError
from precept.settings import Settings

DOCUMENTS = 100_000
TOKENIZER_DOCUMENTS = 40_000
"""The tokenizer learns from the first documents, and from each word of the world by itself."""


class WorldSettings(Settings):
    """The bundled closed world as files: a corpus to pretrain on, its tokenizer, and instruction tasks."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of the world, the corpus and the tasks; the bundled model knows the world of seed 0."""
    documents: Annotated[int, Field(ge=1)] = DOCUMENTS
    """Documents of the corpus."""


def make(out: Path, *, count: int = DOCUMENTS, seed: int = 0) -> dict[str, Any]:
    """Write ``corpus.jsonl``, ``tasks/``, ``tokenizer/`` and ``manifest.json`` into ``out``; the manifest comes back.

    The same seed and count give the same bytes. Raises InputError where ``out`` cannot be written.
    """
    if count < 1:
        raise InputError(
            "the number of documents must be 1 or more", code="bad-count", found=str(count), do="name a number above 0"
        )
    world = build_world(seed)
    try:
        out.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with (out / "corpus.jsonl").open("wb") as file:
            characters = _write_corpus(documents(world, seed=seed, count=count), file, digest)
        tasks = build_tasks(world, seed=seed)
        write_tasks(tasks, out / "tasks")
        write_replay(world, out / "tasks" / "replay.jsonl", seed=seed)
        write_chains(build_chains(world, seed=seed), tasks.training, out / "tasks")
        tokenizer = train_tokenizer(
            islice(documents(world, seed=seed, count=count), TOKENIZER_DOCUMENTS),
            words=[*world_words(world), *definition_words(tasks.training)],
        )
        save_tokenizer(tokenizer, out / "tokenizer")
        manifest = {
            "seed": seed,
            "documents": count,
            "characters": characters,
            "corpus_hash": digest.hexdigest(),
            "facts": len(world.facts),
            "vocabulary": tokenizer.get_vocab_size(),
            "tasks": {
                level: {"tasks": len(own), "instances": sum(len(task["Instances"]) for task in own)}
                for level, own in {"training": tasks.training, **tasks.levels}.items()
            },
            "files": _hashes(out),
        }
        (out / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(
            "the folder cannot be written", code="unwritable-path", where=str(out), found=str(error), do="name another"
        ) from None
    return manifest


def definition_words(tasks: Iterable[Mapping[str, Any]]) -> list[str]:
    """The words that the definitions of tasks are made of."""
    return sorted({word for task in tasks for text in task["Definition"] for word in re.findall("[A-Za-z]+", text)})


def _write_corpus(texts: Iterator[str], file: IO[bytes], digest: Any) -> int:
    """Write one ``{"text"}`` a line; the digest is over the texts, a zero byte behind each. Returns the characters
    written."""
    characters = 0
    for text in texts:
        digest.update(text.encode() + b"\0")
        characters += len(text)
        file.write(json.dumps({"text": text}).encode() + b"\n")
    return characters


def _hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of each file that was made, by its path in the folder."""
    made = [folder / "corpus.jsonl", *(path for part in ("tasks", "tokenizer") for path in (folder / part).rglob("*"))]
    files = sorted(path for path in made if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m precept.bundled.make", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    parser.add_argument("--documents", type=int, default=DOCUMENTS, help="documents of the corpus")
    parser.add_argument("--seed", type=int, default=0, help="seed of the world, the corpus and the tasks")
    given = parser.parse_args(arguments)
    try:
        manifest = make(given.out, count=given.documents, seed=given.seed)
    except PreceptError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(json.dumps({key: value for key, value in manifest.items() if key != "files"}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
