"""Precept's models in lm-evaluation-harness: ``python -m precept.run.eval.lm_eval run --model precept ...``.

The harness is the optional extra ``lm-eval``. It knows no way to find models of other packages, so the module
registers ours and then runs the harness's own command line.
"""

from __future__ import annotations

from typing import Any

from precept.errors import InputError, MissingExtra
from precept.render import read_template
from precept.run.eval.answer import own_template
from precept.run.eval.lm_eval_scores import HarnessScores
from precept.run.eval.model import NO_TEMPLATE
from precept.run.opened import open_model
from precept.types import Message

try:
    from lm_eval.api.model import LM
    from lm_eval.api.registry import register_model
except ImportError:
    raise MissingExtra("lm_eval", "lm-eval", wanted_for="a model in lm-evaluation-harness") from None


@register_model("precept")
class PreceptLM(LM):  # type: ignore[misc]
    """A model folder asked by the harness. ``pretrained`` is the folder, or owner/name; ``chat_template`` a .jinja file
    or a shipped template's name.

    Sizes of batches come from the prompts, so ``batch_size`` and ``max_batch_size`` change nothing; the device is the
    one that Precept finds.
    """

    def __init__(
        self,
        pretrained: str,
        chat_template: str | None = None,
        batch_size: Any = None,
        max_batch_size: Any = None,
        device: Any = None,
    ) -> None:
        super().__init__()
        from precept.models.folder import resolve_model

        self._template = read_template(chat_template) if chat_template else own_template(resolve_model(pretrained))
        model = open_model(pretrained, chat_template=chat_template or (None if self._template else NO_TEMPLATE))
        if model.loaded.is_encoder_decoder:
            raise InputError(
                "the harness is served decoder-only models here",
                code="harness-needs-decoder",
                where=pretrained,
                do="use 'precept eval'",
            )
        self._name = pretrained
        self._scores = HarnessScores(model)

    def loglikelihood(self, requests: list[Any]) -> list[tuple[float, bool]]:
        """Log-probability of each continuation, and whether it is the greedy one."""
        return self._scores.loglikelihood([request.args for request in requests])

    def loglikelihood_rolling(self, requests: list[Any]) -> list[float]:
        """Log-probability of each text, in disjoint windows where it is longer than the context."""
        return self._scores.rolling([request.args[0] for request in requests])

    def generate_until(self, requests: list[Any]) -> list[str]:
        """The answer to each context, up to its stop texts."""
        return self._scores.generate([request.args for request in requests])

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """The conversation as the model's template writes it, up to where the model goes on."""
        if self._template is None or not add_generation_prompt:
            raise InputError(
                "no chat template" if self._template is None else "a prefilled assistant turn is not supported",
                code="harness-chat",
                where=self._name,
                do="name one with chat_template=NAME in --model_args, or leave --apply_chat_template out",
            )
        self._scores.in_chat = True
        messages = [Message(turn["role"], turn["content"]) for turn in chat_history]
        return self._scores.model.renderer.prompt_text(messages)

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        """The template's text."""
        return self._template or ""

    @property
    def tokenizer_name(self) -> str:
        """What the harness keeps requests under."""
        return self._name.replace("/", "__")


if __name__ == "__main__":
    from lm_eval.__main__ import cli_evaluate

    cli_evaluate()
