"""Rows to proven token sequences on disk: block by block, and reused where nothing that matters has changed."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from precept.models.folder import ModelFolder, tokenizer_folder
from precept.prove.proof import Proof
from precept.prove.rendition import Writer
from precept.prove.rows import BosCheck
from precept.render import RenderCounts, Rendered, Renderer
from precept.render.store import DamagedStore, SequenceWriter, StoredSequences
from precept.run.data.cache import cache_folder, key_of, make_entry, read_entry
from precept.run.data.rows import RawData
from precept.run.proving.rows import Asked, proofs_of
from precept.run.settings import RunSettings
from precept.run.tuning.blocks import BlockWork, in_blocks, usable_processes
from precept.types import Refusal, Row


@dataclass(frozen=True)
class Prepared:
    """The result for each list of rows, and the row proofs over all of them. ``read`` are the render settings that had
    a say."""

    parts: list[Rendered]
    proofs: list[Proof]
    read: frozenset[str]


def prepare_rows(
    raw: RawData,
    folder: ModelFolder,
    settings: RunSettings,
    renderer: Renderer,
    tokenizer: Any,
    new_tokens: Sequence[str],
) -> Prepared:
    """The rows to train and those held out, rendered and proven: now, or by an earlier run."""
    flat = settings.flat()  # a key that only a proof looks at is not read
    writer = Writer(tokenizer, renderer.chat_template, renderer.template_date)
    own_template = renderer.chat_template == tokenizer.chat_template
    bos = BosCheck(backend=writer.backend, bos_id=tokenizer.bos_token_id, own_template=own_template)
    embeddings = _embeddings(folder, len(tokenizer), grown=bool(new_tokens))
    work = BlockWork(renderer, writer, bos, embeddings, flat["train_on"], flat["prompt_weight"])
    asked = Asked(
        seed=flat["seed"],
        trained=flat["adapter"] == "none",
        added=tokenizer.convert_tokens_to_ids(list(new_tokens)),
        special=[index for index, token in tokenizer.added_tokens_decoder.items() if token.special],
        unread=len(raw.refused),
        policy=f"bad_rows={flat['bad_rows']}, over_length={flat['over_length']}",
    )
    date = renderer.template_date.isoformat() if "strftime_now" in renderer.chat_template else None
    render = settings.render.model_dump(mode="json", exclude={"template_date"})
    named = {
        "rows": [raw.hash, len(raw.train), len(raw.held_out)],
        "files": [[file.path, file.sha256, file.rows, file.mapping] for file in raw.files],
        "template": [renderer.chat_template, own_template, date],
        "render": [render, renderer.max_length],
        "model": [embeddings, renderer.decoder_start_id],
        "asked": asdict(asked),
    }
    key = key_of(named, tokenizer_folder(folder.path))
    parts = [raw.train, *([raw.held_out] if raw.held_out else [])]
    prepared = _prepare(parts, work, asked, key=key)
    for name in prepared.read:  # by the run that rendered the rows: they have a say in this one too
        getattr(settings.render, name)
    return prepared


def _embeddings(folder: ModelFolder, tokens: int, *, grown: bool) -> int:
    """Rows of the input embedding as the config names them, or as many as the tokenizer has once it grows."""
    stated = folder.config.get("vocab_size") or folder.config.get("text_config", {}).get("vocab_size") or tokens
    return max(int(stated), tokens) if grown else int(stated)


def _prepare(parts: Sequence[Sequence[Row]], work: BlockWork, asked: Asked, *, key: str) -> Prepared:
    """Render and prove the rows of each part, or take what an earlier run left under ``key``."""
    folder = cache_folder("data") / key
    if (found := _opened(folder, work)) is not None:
        return found
    kept = make_entry(folder, lambda partial: _fill(partial, parts, work, asked))
    if kept and (found := _opened(folder, work)) is not None:
        return found
    with tempfile.TemporaryDirectory() as place:  # files that are open stay readable
        return _open(Path(place), _fill(Path(place), parts, work, asked), work)


def _opened(folder: Path, work: BlockWork) -> Prepared | None:
    content = read_entry(folder)
    if content is None:
        return None
    try:
        return _open(folder, content, work)
    except (DamagedStore, OSError):
        shutil.rmtree(folder, ignore_errors=True)
        return None


def _open(folder: Path, content: Any, work: BlockWork) -> Prepared:
    parts = []
    for number, entry in enumerate(content["parts"]):
        sequences = StoredSequences.open(folder / str(number), entry["store"])
        made = Rendered(
            sequences=[],
            refusals=[Refusal(**one) for one in entry["refusals"]],
            dropped=[Refusal(**one) for one in entry["dropped"]],
            counts=_counts(entry["counts"]),
            notices=[],
            stop_ids=(),
            places=sequences.places[:0],
            terminators=frozenset(entry["terminators"]),
            tools=entry["tools"],
        )
        parts.append(work.renderer.join([made], sequences, sequences.places))
    return Prepared(parts, [Proof(**one) for one in content["proofs"]], frozenset(content["read"]))


def _fill(folder: Path, parts: Sequence[Sequence[Row]], work: BlockWork, asked: Asked) -> Any:
    """Write the sequences of all parts into a folder; returns the rest of the result."""
    total = work.nothing_seen()
    read: set[str] = set()
    made, entries = [], []
    before = 0
    for number, rows in enumerate(parts):
        place = folder / str(number)
        place.mkdir()
        blocks = []
        with SequenceWriter(place) as writer:
            for block in in_blocks(work, rows, processes=usable_processes(len(rows))):
                shapes = block.seen.shapes
                shapes.first = {shape: first + before for shape, first in shapes.first.items()}
                before += len(block.packed.entries)
                total.add(block.seen)
                writer.append(block.packed)
                blocks.append(block.rendered)
                read |= block.read
            store = writer.close()
        sequences = StoredSequences.open(place, store)
        made.append(work.renderer.join(blocks, sequences, sequences.places))
        entries.append({"store": store} | _summary(made[-1]))
    proofs = proofs_of(parts, made, total, work, asked)
    return {"parts": entries, "proofs": [asdict(proof) for proof in proofs], "read": sorted(read)}


def _counts(stored: dict[str, Any]) -> RenderCounts:
    losses = {policy: (rows, tokens) for policy, (rows, tokens) in stored["over_length_losses"].items()}
    return RenderCounts(**{**stored, "over_length_losses": losses})


def _summary(rendered: Rendered) -> dict[str, Any]:
    return {
        "refusals": [asdict(one) for one in rendered.refusals],
        "dropped": [asdict(one) for one in rendered.dropped],
        "counts": asdict(rendered.counts),
        "terminators": sorted(rendered.terminators, key=str),
        "tools": rendered.tools,
    }
