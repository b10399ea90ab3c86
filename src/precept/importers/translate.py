"""Which tool a file belongs to, and its translation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from precept.errors import InputError
from precept.importers import axolotl, llama_factory, torchtune, trl
from precept.importers.account import Account, Entry, Refuses
from precept.importers.key_tables import key_table
from precept.importers.recipe_text import write_recipe
from precept.importers.source_file import leaves, read_source

Translate = Callable[[Account], None]


@dataclass(frozen=True)
class Peer:
    """A tool: its name, the top-level keys that tell its files, its tables of keys and its translation."""

    name: str
    marks: frozenset[str]
    tables: tuple[str, ...]
    translate: Translate
    prepare: Callable[[dict[str, Any]], dict[str, Any]] = dict


@dataclass(frozen=True)
class Imported:
    """A recipe as YAML text and what became of every key of the source."""

    tool: str
    recipe: str
    settings: dict[str, Any]
    mapped: list[Entry]
    without_effect: list[Entry]
    unsupported: list[Entry]
    objective_differences: list[str]


PEERS: dict[str, Peer] = {
    "trl": Peer(trl.NAME, frozenset(trl.MARKS), trl.TABLES, trl.translate),
    "llama-factory": Peer(
        llama_factory.NAME, frozenset(llama_factory.MARKS), llama_factory.TABLES, llama_factory.translate
    ),
    "axolotl": Peer(axolotl.NAME, frozenset(axolotl.MARKS), axolotl.TABLES, axolotl.translate),
    "torchtune": Peer(
        torchtune.NAME, frozenset(torchtune.MARKS), torchtune.TABLES, torchtune.translate, torchtune.resolve_references
    ),
}


def import_config(text: str, *, where: str, name: str, tool: str | None, refuses: Refuses) -> Imported:
    """Translate the text of another tool's file. ``where`` names the file in errors, ``name`` the recipe.

    ``tool`` is a key of PEERS, or None to recognise it. ``refuses`` tells why our settings do not take a set of
    keys. Raises InputError for text that is no configuration, a tool that cannot be told, and a stage or kind of
    model that is not ours.
    """
    tree = read_source(text, where=where)
    peer = PEERS[tool or recognise(tree, where=where)]
    account = Account(peer.prepare(tree), tool=peer.name, refuses=refuses)
    try:
        peer.translate(account)
    except InputError as error:
        raise InputError(error.what, code=error.code, where=where, found=error.found, do=error.do) from error
    _folders(account)
    account.settle([key_table(table) for table in peer.tables])
    _fill_gaps(account)
    return Imported(
        tool=peer.name,
        recipe=write_recipe(account, name=name, source=where),
        settings=dict(account.settings),
        mapped=account.entries("mapped"),
        without_effect=account.entries("without_effect"),
        unsupported=account.entries("unsupported"),
        objective_differences=list(account.differences),
    )


def recognise(tree: Mapping[str, Any], *, where: str) -> str:
    """The tool whose keys the file has most of. Raises InputError where none or several fit."""
    if "steps" in tree and isinstance(tree["steps"], list):
        raise InputError("this is a recipe of Precept already", code="config-unknown", where=where, do="precept run it")
    if any(path[-1:] == ("_component_",) for path, _ in leaves(tree)):
        return "torchtune"
    found = {key: sorted(peer.marks & set(tree)) for key, peer in PEERS.items()}
    most = max(map(len, found.values()))
    best = [key for key, marks in found.items() if len(marks) == most]
    if most and len(best) == 1:
        return best[0]
    seen = "; ".join(f"{key}: {', '.join(marks)}" for key, marks in found.items() if marks)
    looked = "; ".join(f"{key}: {', '.join(sorted(peer.marks)[:6])}, ..." for key, peer in PEERS.items())
    raise InputError(
        "the tool that this file belongs to cannot be told" if most else "the file has no key of a tool known here",
        code="config-unknown",
        where=where,
        found=seen or ", ".join(list(tree)[:8]),
        do=f"name it with --from {'|'.join(PEERS)}; looked for {looked}",
    )


def _folders(account: Account) -> None:
    if isinstance(account.find("resume_from_checkpoint"), str):
        account.lack("resume_from_checkpoint", "a checkpoint of another tool: name its weights as model to start there")
    account.idle("resume_from_checkpoint", "an unfinished run goes on by itself when the same command is given again")
    folder = account.find("output_dir")
    if isinstance(folder, str):
        account.output = folder
        account.idle("output_dir", f"the folder is named when the recipe is run: precept run RECIPE --output {folder}")


def _fill_gaps(account: Account) -> None:
    if "model" not in account.settings:
        account.gap("model", "the base model", comment="a folder, or owner/name")
    if "data" not in account.settings:
        account.gap("data", "the training data", comment="files, or hf:owner/name")
