"""Model folders in Hugging Face layout: found by name, and checked before torch is imported.

Every check reads headers only, so a folder of any size is judged in milliseconds.
"""

from __future__ import annotations

import importlib.util
import json
import re
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from precept.errors import InputError
from precept.models.hub import fetch_from_hub

BUNDLED = Path(__file__).parents[1] / "bundled" / "model"

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
CONTEXT_KEYS = ("max_position_embeddings", "n_positions", "n_ctx", "max_sequence_length")
RELATIVE_POSITIONS = {"t5", "mt5", "umt5", "longt5", "switch_transformers", "bloom", "mpt"}
PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt")
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "vocab.json",
    "vocab.txt",
    "tekken.json",
)
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_CACHE_PATH = re.compile(r"models--(?P<owner>.+?)--(?P<name>.+)")


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A folder that passed the checks; ``config`` is the base's, ``adapter_config`` None for a full model."""

    path: Path
    base: Path
    config: dict[str, Any]
    adapter_config: dict[str, Any] | None

    @property
    def is_adapter(self) -> bool:
        """True when the folder holds an adapter and ``base`` is another folder."""
        return self.adapter_config is not None


def resolve_model(name: str | Path) -> Path:
    """What ``name`` means: a folder, ``bundled``, or ``owner/name`` from the hub's cache or the hub."""
    text = str(name)
    if text == "bundled":
        return BUNDLED
    path = Path(text).expanduser()
    if path.is_dir():
        return path.resolve()
    if path.exists():
        raise InputError(
            "a model is a folder, and this is a file",
            code="model-not-a-folder",
            where=text,
            do="give its folder",
        )
    if not _HUB_NAME.fullmatch(text):
        raise InputError(
            "no such model folder",
            code="model-not-found",
            where=text,
            do="give a folder in Hugging Face layout, or owner/name for a model of the hub",
        )
    return fetch_from_hub(text)


def portable_name(path: Path) -> str:
    """How other folders refer to this one: ``owner/name`` when it lies in the hub's cache, else its path."""
    for part in path.parts:
        if match := _CACHE_PATH.fullmatch(part):
            return f"{match['owner']}/{match['name']}"
    return str(path.resolve())


def check_model_folder(
    path: Path, *, trust_remote_code: bool = False, tokenizer: bool = True, weights: bool = True
) -> ModelFolder:
    """Judge a folder by its files. InputError names the first thing that would keep it from loading exactly.

    ``weights`` False is for those who want its tokenizer and configuration alone. Of an adapter folder the base is
    found and checked too; its tokenizer may lie in either of the two.
    """
    if (path / ADAPTER_CONFIG).is_file():
        return _check_adapter_folder(path, trust_remote_code=trust_remote_code)
    if not (path / "config.json").is_file():
        found = sorted(item.name for item in path.iterdir())[:6]
        raise InputError(
            "no config.json, so this is not a model folder",
            code="no-config",
            where=str(path),
            found=", ".join(found) if found else "an empty folder",
            do="give the folder that holds config.json, *.safetensors and tokenizer.json",
        )
    config = _read_json(path / "config.json")
    if not config.get("model_type"):
        raise InputError(
            "config.json names no model_type",
            code="no-model-type",
            where=str(path / "config.json"),
            do="give the config.json that the model was published with",
        )
    _check_code(path, config, trust_remote_code)
    _refuse_quantized(path, config)
    if weights:
        _check_weights(path)
    if tokenizer:
        _check_tokenizer(path)
    return ModelFolder(path=path, base=path, config=config, adapter_config=None)


def _check_adapter_folder(path: Path, *, trust_remote_code: bool) -> ModelFolder:
    adapter_config = _read_json(path / ADAPTER_CONFIG)
    base_name = adapter_config.get("base_model_name_or_path")
    if not base_name:
        raise InputError(
            "the adapter names no base model",
            code="adapter-without-base",
            where=str(path / ADAPTER_CONFIG),
            do="set base_model_name_or_path to the base's folder or owner/name",
        )
    if not (path / ADAPTER_WEIGHTS).is_file():
        _refuse_missing_weights(path, ADAPTER_WEIGHTS)
    check_safetensors(path / ADAPTER_WEIGHTS)
    try:
        base_path = resolve_model(base_name)
    except InputError as error:
        raise InputError(
            "the adapter's base model was not found",
            code="adapter-base-not-found",
            where=str(path / ADAPTER_CONFIG),
            found=f"base_model_name_or_path = {base_name!r} ({error.what})",
            do="put the base there, or set base_model_name_or_path to where it is",
        ) from error
    own_tokenizer = _has_tokenizer(path)
    base = check_model_folder(base_path, trust_remote_code=trust_remote_code, tokenizer=not own_tokenizer)
    if base.is_adapter:
        raise InputError(
            "the adapter's base is an adapter itself",
            code="adapter-on-adapter",
            where=str(path / ADAPTER_CONFIG),
            found=str(base_path),
            do="fold the first adapter into its base with 'precept merge'",
        )
    if own_tokenizer:
        _check_tokenizer(path)
    return ModelFolder(path=path, base=base_path, config=base.config, adapter_config=adapter_config)


def check_adapter(path: Path, *, trust_remote_code: bool = False) -> ModelFolder:
    """Judge a folder that is to be folded into its base. InputError also where it holds a full model."""
    folder = check_model_folder(path, trust_remote_code=trust_remote_code)
    if not folder.is_adapter:
        raise InputError(
            "there is no adapter to merge: the folder holds a full model",
            code="merge-without-adapter",
            where=str(path),
            do="give the folder that holds adapter_config.json",
        )
    return folder


def tokenizer_folder(path: Path) -> Path:
    """Where the tokenizer of a checked folder lies: an adapter may leave it to its base."""
    if (path / ADAPTER_CONFIG).is_file() and not _has_tokenizer(path):
        return resolve_model(_read_json(path / ADAPTER_CONFIG)["base_model_name_or_path"])
    return path


def context_length(config: Mapping[str, Any]) -> int | None:
    """Most tokens a sequence may have, by config.json; None where positions are relative (ALiBi, T5)."""
    text = config.get("text_config") or config
    if text.get("model_type") in RELATIVE_POSITIONS or text.get("alibi"):
        return None
    limit = next((text[key] for key in CONTEXT_KEYS if text.get(key)), None)
    return int(limit) if limit else None


def check_max_length(folder: ModelFolder, wanted: int) -> None:
    """Raises InputError where sequences of that many tokens are beyond the model's positions."""
    limit = context_length(folder.config)
    if limit is not None and wanted > limit:
        raise InputError(
            f"max_length {wanted} is beyond the model's {limit} positions",
            code="max-length-beyond-context",
            where=str(folder.base / "config.json"),
            do=f"max_length={limit}, or a larger max_position_embeddings there if the model's positions reach further",
        )


def check_safetensors(path: Path) -> dict[str, str]:
    """Tensor names and dtypes of a safetensors file, once its header agrees with its size."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        if start.startswith(b"version "):
            raise InputError(
                "a Git LFS pointer stands in place of the weights",
                code="weights-are-lfs-pointer",
                where=str(path),
                do="run 'git lfs pull' in the folder",
            )
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 0 < length <= size - 8:
            raise _truncated(path, size, "no complete header")
        text = file.read(length)
    try:
        header = json.loads(text)
        entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
        promised = 8 + length + max((int(entry["data_offsets"][1]) for entry in entries.values()), default=0)
        dtypes = {name: str(entry["dtype"]) for name, entry in entries.items()}
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise _truncated(path, size, "a header that is no valid JSON") from error
    if promised != size:
        raise _truncated(path, size, f"{size:,} bytes where the header promises {promised:,}")
    return dtypes


def stored_dtype(path: Path) -> str:
    """The dtype that most tensors of a checked folder have, as safetensors names it: F32, BF16, F16 ..."""
    counts: Counter[str] = Counter()
    for file in weight_files(path):
        counts.update(check_safetensors(file).values())
    return counts.most_common(1)[0][0]


def weight_files(path: Path) -> list[Path]:
    """The files that hold a checked folder's weights."""
    if (path / WEIGHTS).is_file():
        return [path / WEIGHTS]
    return [path / shard for shard in sorted(set(_read_json(path / INDEX)["weight_map"].values()))]


def _truncated(path: Path, size: int, found: str) -> InputError:
    return InputError(
        "the weights file is truncated or corrupt",
        code="weights-corrupt",
        where=str(path),
        found=f"{found} ({size:,} bytes on disk)" if "bytes" not in found else found,
        do="copy or download the file again",
    )


def _check_weights(path: Path) -> None:
    if (path / WEIGHTS).is_file():
        check_safetensors(path / WEIGHTS)
        return
    if not (path / INDEX).is_file():
        _refuse_missing_weights(path, WEIGHTS)
    weight_map = _read_json(path / INDEX).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        do = "copy or download the file again"
        raise InputError("the index holds no weight_map", code="weights-index", where=str(path / INDEX), do=do)
    shards = sorted(set(weight_map.values()))
    absent = [shard for shard in shards if not (path / shard).is_file()]
    if absent:
        raise InputError(
            f"{len(absent)} of {len(shards)} weight files named by the index are missing",
            code="weights-shard-missing",
            where=str(path / INDEX),
            found=", ".join(absent[:5]) + (" ..." if len(absent) > 5 else ""),
            do="copy or download the missing files",
        )
    held = {shard: check_safetensors(path / shard) for shard in shards}
    lost = sorted(name for name, shard in weight_map.items() if name not in held[shard])
    if lost:
        raise InputError(
            f"{len(lost)} tensors are not in the file that the index names",
            code="weights-index",
            where=str(path / INDEX),
            found=", ".join(lost[:5]),
            do="copy or download the folder again",
        )


def _refuse_missing_weights(path: Path, wanted: str) -> None:
    pickled = sorted(file.name for pattern in PICKLED for file in path.glob(pattern))
    if pickled:
        raise InputError(
            "the weights are pickled, and only safetensors is loaded: a pickle can run any code",
            code="weights-pickled",
            where=str(path),
            found=", ".join(pickled[:5]),
            do="where you trust the folder, convert it once with plain transformers: "
            "AutoModelForCausalLM.from_pretrained(folder).save_pretrained(new_folder)",
        )
    others = sorted(file.name for file in path.glob("*.safetensors"))
    raise InputError(
        f"the folder holds no {wanted}" + (f" and no {INDEX}" if wanted == WEIGHTS else ""),
        code="no-weights",
        where=str(path),
        found=", ".join(others[:5]) if others else "no *.safetensors",
        do="copy the missing files into the folder",
    )


def _refuse_quantized(path: Path, config: dict[str, Any]) -> None:
    if quantization := config.get("quantization_config"):
        method = quantization.get("quant_method") if isinstance(quantization, dict) else quantization
        raise InputError(
            "the weights are stored quantised, and a full-precision base is needed",
            code="weights-quantized",
            where=str(path / "config.json"),
            found=f"quant_method = {method}",
            do="use the model's full-precision folder; adapter=qlora holds it in 4 bits in memory",
        )


def _has_tokenizer(path: Path) -> bool:
    return any((path / name).is_file() for name in TOKENIZER_FILES)


def _check_tokenizer(path: Path) -> None:
    if not _has_tokenizer(path):
        raise InputError(
            "the folder holds no tokenizer",
            code="no-tokenizer",
            where=str(path),
            do="copy tokenizer.json and tokenizer_config.json of the base into it",
        )
    for name in ("tokenizer.json", "tokenizer_config.json"):
        if (path / name).is_file():
            _read_json(path / name)


def _check_code(path: Path, config: dict[str, Any], trust_remote_code: bool) -> None:
    """A model type that transformers lacks needs the folder's own code, which runs only on request."""
    known = _known_model_types()
    if config["model_type"] in known or not known:
        return
    if config.get("auto_map"):
        if trust_remote_code:
            return
        raise InputError(
            f"the model type '{config['model_type']}' runs Python code from its folder",
            code="remote-code",
            where=str(path / "config.json"),
            found=f"auto_map = {json.dumps(config['auto_map'])[:200]}",
            do="read that code, and set trust_remote_code=true if you trust it",
        )
    raise InputError(
        "the installed transformers does not know this model type",
        code="unknown-model-type",
        where=str(path / "config.json"),
        found=f"model_type = {config['model_type']!r}",
        do="upgrade transformers, or check the spelling",
    )


def _known_model_types() -> set[str]:
    """The model types of the installed transformers; empty where its tables are laid out otherwise.

    Its tables are read as text: importing them takes three seconds and imports torch.
    """
    spec = importlib.util.find_spec("transformers")
    if spec is None or spec.origin is None:
        return set()
    tables = Path(spec.origin).parent / "models" / "auto"
    files = [tables / "auto_mappings.py", tables / "configuration_auto.py"]
    text = "".join(file.read_text(encoding="utf-8") for file in files if file.is_file())
    return set(re.findall(r'"([\w.-]+)"[:,]\s*"\w+Config"', text))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(
            "the file is not valid JSON",
            code="model-file-json",
            where=str(path),
            found=str(error),
            do="copy or download the file again",
        ) from error
    if not isinstance(value, dict):
        raise InputError(
            "the file holds no JSON object",
            code="model-file-json",
            where=str(path),
            found=type(value).__name__,
            do="copy or download the file again",
        )
    return value
