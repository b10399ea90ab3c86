"""The base of all settings classes: values that remember which of them the run has read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, PrivateAttr


class Settings(BaseModel):
    """Frozen values by flat key; unknown keys are errors. Reading a field as an attribute is remembered.

    So a run can refuse a key that somebody set and that nothing uses. Code keeps to one rule: a field is read only
    where its value takes effect. Dumping, comparing and printing settings read nothing. ``model_copy`` gives a copy
    that shares the record.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    _read: set[str] = PrivateAttr(default_factory=set)

    if not TYPE_CHECKING:  # a type checker shall see the fields and the constructor that pydantic makes of them

        def __init__(self, **values: Any) -> None:
            super().__init__(**values)
            self._read.clear()  # of what the validators looked at

        def __getattribute__(self, name: str) -> Any:
            value = object.__getattribute__(self, name)
            if name in object.__getattribute__(self, "__dict__"):  # pydantic keeps the fields there, and nothing else
                object.__getattribute__(self, "__pydantic_private__")["_read"].add(name)
            return value

    def __eq__(self, other: object) -> bool:
        """Equal values, whatever was read of them."""
        return type(self) is type(other) and self.model_dump() == other.model_dump()

    def read_keys(self) -> frozenset[str]:
        """Keys that were read so far."""
        return frozenset(self._read)

    def unread_keys(self) -> list[str]:
        """Keys that were set and not read so far, in the order of the fields. None is no value: it sets nothing."""
        values = self.model_dump()
        return [
            key
            for key in type(self).model_fields
            if key in self.model_fields_set - self._read and values[key] is not None
        ]
