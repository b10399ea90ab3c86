"""Arrays of a forest to the device of its model."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor


def to_device(array: np.ndarray[Any, Any], device: torch.device, *, dtype: torch.dtype | None = None) -> Tensor:
    """The array as a tensor, in its own precision unless ``dtype`` says otherwise.

    A copy to a GPU starts from pinned memory: from any other the processor would wait until all work is done that
    it gave the GPU before, and the GPU would then wait for it. Torch keeps the pinned memory until the copy is made.
    """
    tensor = torch.as_tensor(array, dtype=dtype)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
