"""A few steps by the training loop itself, for the proof that resuming changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from precept.forest import build_forest
from precept.models.probe import Chosen
from precept.models.save import trainable_state
from precept.prove.models import BETAS, EPS, LEARNING_RATE
from precept.run.tuning.training import OBJECTIVES
from precept.train.checkpoint import CheckpointStore
from precept.train.loop import Interrupted, Work, fit
from precept.train.optimizer import make_optimizer
from precept.train.settings import OptimizerSettings
from precept.types import Forest, TokenSequence


class _Silent:
    """A monitor that keeps nothing."""

    def log(self, record: dict[str, Any]) -> None: ...

    def close(self) -> None: ...


class ProofTraining:
    """Training of a few batches by the loop itself, from the weights as they are, which are put back."""

    def __init__(self, model: Any, chosen: Chosen, method: str, folder: Path) -> None:
        self.model, self.chosen, self.method, self.folder = model, chosen, method, folder

    def __call__(self, batches: Sequence[Sequence[TokenSequence]], interrupted: bool) -> Mapping[str, Tensor]:
        parameters = trainable_state(self.model)
        start = {name: parameter.detach().clone() for name, parameter in parameters.items()}
        store = CheckpointStore(self.folder / ("resumed" if interrupted else "through"))
        forests = [[build_forest(rows, share=self.chosen.share)] for rows in batches]
        if interrupted:
            try:
                fit(self._work(forests, store, parameters, stop=True))
            except Interrupted:
                self._put_back(start)  # what goes on must come from the checkpoint
        fit(self._work(forests, store, parameters, stop=False))
        after = {name: parameter.detach().clone() for name, parameter in parameters.items()}
        self._put_back(start)
        return after

    def _work(
        self,
        forests: Sequence[Sequence[Forest]],
        store: CheckpointStore,
        parameters: Mapping[str, Tensor],
        *,
        stop: bool,
    ) -> Work:
        settings = OptimizerSettings(adam_beta1=BETAS[0], adam_beta2=BETAS[1], adam_epsilon=EPS)
        return Work(
            policy=self.chosen.policy,
            objective=OBJECTIVES[self.method],
            parameters=parameters,
            optimizer=make_optimizer(parameters, settings, learning_rate=LEARNING_RATE),
            batch_at=lambda step: forests[step],
            learning_rate_at=lambda step: LEARNING_RATE,
            max_grad_norm=0.0,
            total_steps=len(forests),
            save_steps=len(forests),
            checkpoints=store,
            monitor=_Silent(),
            start=store.load_latest()[0],
            stop_requested=lambda: stop,
        )

    def _put_back(self, start: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            for name, parameter in trainable_state(self.model).items():
                parameter.copy_(start[name])
