"""How a model is loaded, adapted and written."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from precept.settings import Settings

ALL_LINEAR: Literal["all-linear"] = "all-linear"


class ModelSettings(Settings):
    """What happens to the base model before the first step."""

    adapter: Literal["none", "lora", "dora", "qlora"] = "none"
    """``none`` trains every weight; ``lora`` and ``dora`` add low-rank matrices to a frozen base; ``qlora``
    is ``lora`` on a base held in 4 bits (NF4, double quantisation; extra ``quant``)."""

    lora_r: Annotated[int, Field(ge=1, le=4096)] = 16
    """Rank of the low-rank matrices."""

    lora_alpha: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 32
    """The low-rank product is scaled by ``lora_alpha / lora_r``."""

    lora_dropout: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = 0.0
    """Dropout before the low-rank matrices. Above zero, sequences are no longer shared."""

    lora_target_modules: Literal["all-linear"] | tuple[str, ...] = ALL_LINEAR
    """Modules that get matrices: ``all-linear`` (all but the output head) or a list of names."""

    sharing: Literal["auto", "on", "off"] = "auto"
    """Compute shared prefixes once: ``auto`` where the probe finds it exact, ``on`` fails where it is not."""

    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    """Precision of the arithmetic. ``auto``: bfloat16 where processor or device has it, else float32."""

    save_dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Precision of the saved weights. ``auto``: the base's own; adapters are kept in float32."""

    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, about a third more time."""

    trust_remote_code: bool = False
    """Run Python code that lies in the model folder."""

    attn_implementation: Literal["auto", "sdpa", "eager"] = "auto"
    """``auto``: sdpa, or eager for models that refuse it."""

    @field_validator("sharing", mode="before")
    @classmethod
    def _read_switch(cls, value: object) -> object:
        """YAML reads the words ``on`` and ``off`` as booleans."""
        return ("on" if value else "off") if isinstance(value, bool) else value

    @field_validator("lora_target_modules", mode="before")
    @classmethod
    def _read_names(cls, value: object) -> object:
        """A comma-separated string, as on the command line, is a list of names."""
        if not isinstance(value, str) or value == ALL_LINEAR:
            return value
        return tuple(name.strip() for name in value.split(",") if name.strip())

    @field_validator("lora_target_modules")
    @classmethod
    def _name_at_least_one(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if not value:
            raise ValueError(f"name at least one module, or use '{ALL_LINEAR}'")
        return value
