"""All proofs of a training step; those of the model are kept from run to run."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, get_args

import orjson

from precept import __version__
from precept.errors import ProofError
from precept.models.folder import ModelFolder
from precept.prove import ProofName
from precept.prove.proof import Proof
from precept.run.console import say
from precept.run.data.cache import cache_folder
from precept.run.data.rows import RawData
from precept.run.fingerprint import fingerprint
from precept.run.output import write_atomic
from precept.run.settings import RunSettings
from precept.types import Row

if TYPE_CHECKING:
    from precept.run.tuning.prepare import RenderedData

ORDER = get_args(ProofName)


def prove(
    raw: RawData,
    data: RenderedData,
    folder: ModelFolder,
    settings: RunSettings,
    *,
    method: str,
    skip: Sequence[str] = (),
    asked: Sequence[Row] = (),
) -> list[Proof]:
    """Every proof but those named in ``skip``, in order. ``asked`` are rows that later steps evaluate on."""
    from precept.run.proving.model import NAMES
    from precept.run.proving.rows import row_proofs

    proofs = row_proofs(raw, data, asked=asked)
    if not set(NAMES) <= set(skip):
        proofs += _kept_model_proofs(data, folder, settings, method=method)
    return [proof for proof in sorted(proofs, key=lambda proof: ORDER.index(proof.name)) if proof.name not in skip]


def refuse_unproven(proofs: Sequence[Proof]) -> None:
    """Raise ProofError naming every proof that does not hold."""
    broken = [proof for proof in proofs if not proof.ok]
    if broken:
        raise ProofError(
            f"{', '.join(proof.name for proof in broken)}: what training relies on does not hold",
            code="proof-failed",
            found="\n    ".join(f"{proof.name}: {proof.detail}" for proof in broken),
            do="mend the rows, the template or the settings ('precept check' shows all proofs);"
            f" --skip-proof {broken[0].name} trains all the same and says so in the model card",
        )


def _kept_model_proofs(data: RenderedData, folder: ModelFolder, settings: RunSettings, *, method: str) -> list[Proof]:
    """The proofs of the model: those that held before for the same model, settings, template and versions."""
    store = cache_folder("proofs") / f"{_key(folder, data, settings, method)}.json"
    try:
        return [Proof(**entry) for entry in orjson.loads(store.read_bytes())]
    except (OSError, ValueError, TypeError):  # none yet, or not as we write them
        pass
    from precept.run.proving.model import model_proofs

    say("proving sharing, accumulation and resuming on the model itself")
    proofs = model_proofs(folder, data.train.sequences, settings, new_tokens=data.new_tokens, method=method)
    if all(proof.ok for proof in proofs):
        try:
            store.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(store, orjson.dumps([asdict(proof) for proof in proofs]))
        except OSError:
            say(f"the proofs are not kept: {store.parent} cannot be written")
    return proofs


def _key(folder: ModelFolder, data: RenderedData, settings: RunSettings, method: str) -> str:
    named: Mapping[str, Any] = {
        "model": fingerprint(folder.base),
        "settings": settings.model.model_dump(mode="json"),
        "method": method,
        "template": data.chat_template,
        "new_tokens": data.new_tokens,
        "versions": [__version__, *(version(name) for name in ("torch", "transformers", "peft"))],
        "processor": platform.processor() or platform.machine(),
    }
    return hashlib.sha256(orjson.dumps(named, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]
