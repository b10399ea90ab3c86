"""``precept chat``: a conversation in the terminal, streamed, with the template and end tokens of training."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from precept.errors import InputError, PreceptError
from precept.models.folder import check_model_folder, resolve_model
from precept.run.console import STDOUT, print_error, say
from precept.types import Message

if TYPE_CHECKING:
    from precept.models.load import LoadedModel

HELP = "/reset forgets the conversation, /system TEXT sets the system message, /exit or Ctrl-D leaves"


class Chat:
    """The state of a conversation: history and system message. ``reply`` streams an answer to a list of messages."""

    def __init__(self, reply: Callable[[list[Message]], Iterator[str]], *, system: str | None) -> None:
        self._reply = reply
        self.system = system
        self.history: list[Message] = []

    def command(self, line: str) -> str | None:
        """Carry out a ``/command``; returns what to tell the user, or None when the line is no command."""
        word, _, rest = line.partition(" ")
        if word == "/reset":
            self.history = []
            return "forgotten"
        if word == "/system":
            self.system, self.history = rest.strip() or None, []
            return f"system message set to: {self.system}" if self.system else "no system message"
        if word in {"/help", "/?"}:
            return HELP
        return f"no such command: {word}; {HELP}" if word.startswith("/") else None

    def answer(self, line: str) -> Iterator[str]:
        """Stream the answer to a user's line. What was said before a Ctrl-C stays in the history; a line that cannot
        be asked does not."""
        asked = [*self.history, Message("user", line)]
        system = [Message("system", self.system)] if self.system else []
        pieces = self._reply([*system, *asked])
        said: list[str] = []
        try:
            for piece in pieces:
                said.append(piece)
                yield piece
        finally:
            self.history = [*asked, Message("assistant", "".join(said))]


def chat(
    model: str,
    *,
    chat_template: str | None,
    system: str | None,
    temperature: float,
    top_p: float,
    max_new_tokens: int,
    seed: int | None,
) -> None:
    """Read lines until the end of input. Ctrl-C stops an answer; at the prompt it leaves."""
    check_model_folder(resolve_model(model))

    from precept.decode import stream
    from precept.run.opened import open_model

    opened = open_model(model, chat_template=chat_template)

    def reply(messages: list[Message]) -> Iterator[str]:
        prompt = opened.renderer.prompt_ids(messages)
        return stream(
            opened.loaded.model,
            opened.loaded.tokenizer,
            prompt,
            stop_ids=opened.stop_ids,
            max_new_tokens=min(max_new_tokens, room_for_answer(len(prompt), opened.loaded)),
            temperature=temperature,
            top_p=top_p,
            seed=seed,
        )

    say(f"{model}: {HELP}")
    talk(Chat(reply, system=system))


def room_for_answer(prompt_tokens: int, loaded: LoadedModel) -> int:
    """New tokens that the model's positions leave. Raises InputError when the conversation takes all of them."""
    positions = loaded.max_positions
    if positions is None:
        return sys.maxsize
    if prompt_tokens >= positions:
        raise InputError(
            "the conversation does not fit the model's context",
            code="context-full",
            found=f"{prompt_tokens} tokens, the context has {positions}",
            do="/reset forgets what was said",
        )
    return positions - (0 if loaded.is_encoder_decoder else prompt_tokens)


def talk(state: Chat) -> None:
    """The terminal loop. A line that cannot be asked is told and forgotten."""
    while True:
        try:
            line = _read_line()
        except (EOFError, KeyboardInterrupt):
            STDOUT.print()
            return
        if not line:
            continue
        if line == "/exit":
            return
        if (told := state.command(line)) is not None:
            say(told)
            continue
        try:
            for piece in state.answer(line):
                sys.stdout.write(piece)
                sys.stdout.flush()
        except KeyboardInterrupt:
            say("\n(stopped)")
        except PreceptError as error:
            print_error(error)
        sys.stdout.write("\n")


def _read_line() -> str:
    """One line of the user; the prompt sign is shown only to a person."""
    return input("> " if sys.stdin.isatty() else "").strip()
