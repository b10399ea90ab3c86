"""Small stand-ins that keep a protocol's promises: a policy that is a table of bigrams, a monitor that is a list."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from precept.types import Forest, Message, Source, TokenSequence
from tests.tiny import tiny_model

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


class BigramPolicy:
    """A policy whose logits for the next token are a row of a table, chosen by the parent's token."""

    def __init__(self, vocabulary: int, *, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.table = torch.nn.Parameter(torch.randn(vocabulary, vocabulary, generator=generator))

    def parameters(self) -> dict[str, Tensor]:
        return {"table": self.table}

    def edge_logps(self, forest: Forest) -> Tensor:
        edges = torch.from_numpy(forest.edges.astype(np.int64))
        ids = torch.from_numpy(forest.ids.astype(np.int64))
        parents = ids[torch.from_numpy(forest.parent.astype(np.int64))[edges]]
        return torch.log_softmax(self.table[parents], dim=-1)[torch.arange(len(edges)), ids[edges]]

    def answer_logps(self, forest: Forest, *, weighted: bool = False) -> Tensor:
        raise NotImplementedError

    def last_hidden(self, forest: Forest) -> Tensor:
        raise NotImplementedError


class ListMonitor:
    """Keeps every record."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def log(self, record: dict[str, Any]) -> None:
        self.records.append(record)

    def close(self) -> None:
        pass

    def losses(self) -> list[tuple[int, float]]:
        return [(r["step"], r["loss"]) for r in self.records if "loss" in r]


ChatAnswer = tuple[int, Any] | tuple[int, Any, dict[str, str]]


def completion(text: str | None, **message: Any) -> dict[str, Any]:
    """A reply of the OpenAI protocol."""
    return {"choices": [{"message": {"role": "assistant", "content": text, **message}, "finish_reason": "stop"}]}


class ChatServer:
    """A real server on this machine, at a free port or the one named. ``answer(number of the request, body)`` gives
    status, JSON or text, headers."""

    def __init__(self, port: int = 0) -> None:
        self.answer: Callable[[int, dict[str, Any]], ChatAnswer] = lambda n, body: (200, completion("hello"))
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    number = len(server.bodies)
                    server.bodies.append(body)
                    server.headers.append({key.lower(): value for key, value in self.headers.items()})
                    server.paths.append(self.path)
                status, document, *extra = server.answer(number, body)
                data = document.encode() if isinstance(document, str) else json.dumps(document).encode()
                self.send_response(status)
                for key, value in (extra[0] if extra else {}).items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Http(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # a client that did not wait for its answer

        self.http = Http(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        """Nobody answers at this address any more."""
        self.http.shutdown()
        self.http.server_close()


class ScriptedChat:
    """A ``Chat`` whose answer is a function of the last message; it keeps what it was asked, and each call's seed."""

    def __init__(self, answer: Callable[[str], str], *, name: str = "scripted") -> None:
        self.name = name
        self.asked: list[str] = []
        self.seeds: list[int] = []
        self._answer = answer

    def reply(
        self,
        conversations: Sequence[Sequence[Message]],
        *,
        max_new_tokens: int,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> list[str]:
        texts = [conversation[-1].content or "" for conversation in conversations]
        self.asked += texts
        self.seeds.append(seed)
        return [self._answer(text) for text in texts]


def sequence(*ids: int, weights: list[float] | None = None, row: int = 1) -> TokenSequence:
    """A token sequence; every token but the first is trained unless weights say otherwise."""
    trained = [0.0] + [1.0] * (len(ids) - 1) if weights is None else weights
    return TokenSequence(np.array(ids, np.int32), np.array(trained, np.float32), Source("memory", row, f"{row:016x}"))


class WordCounter:
    """A tokenizer whose tokens are words; or anything that ``size`` counts, where nothing is cut."""

    def __init__(self, size: Callable[[str], int] = lambda text: len(text.split())) -> None:
        self._size = size

    def __call__(self, text: str) -> int:
        return self._size(text)

    def cut(self, text: str, length: int) -> str:
        return " ".join(text.split()[:length])


def parrot_folder(path: Path, tokenizer: PreTrainedTokenizerFast, *, prompt_end: str, says: str, end: str) -> Path:
    """Write a model that answers every prompt with the one token ``says``, for prompts that end in ``prompt_end``.

    Its layers add nothing, so that each token alone decides the next: ``prompt_end``, ``says``, ``end``.
    """
    before, said, after = (tokenizer.encode(text, add_special_tokens=False)[-1] for text in (prompt_end, says, end))
    model: Any = tiny_model("llama", vocab_size=len(tokenizer))
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        embedding = model.model.embed_tokens.weight
        model.lm_head.weight.zero_()
        model.lm_head.weight[said] = embedding[before]
        model.lm_head.weight[after] = embedding[said]
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path
