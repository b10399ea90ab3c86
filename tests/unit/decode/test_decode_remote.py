"""A model behind an address, on a real server of this machine; and a model of ours as a Chat."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tests.fakes import ChatAnswer, ChatServer, completion

from precept.decode import Sampling
from precept.decode.local_chat import LocalChat
from precept.decode.remote import RemoteChat
from precept.errors import InputError, WorkError
from precept.types import Generation, IntArray, Message, ToolCall

KEY = "sk-very-secret"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    for name in ("http_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    started = ChatServer()
    yield started
    started.close()


def chat(server: ChatServer, **changes: Any) -> RemoteChat:
    return RemoteChat(server.url, "some-model", **{"first_pause": 0.001, "timeout": 10.0, **changes})


def asked(*texts: str) -> list[list[Message]]:
    return [[Message("user", text)] for text in texts]


def test_replies_come_in_the_order_of_the_questions(server: ChatServer) -> None:
    server.answer = lambda n, body: (200, completion(body["messages"][-1]["content"].upper()))
    said = chat(server, parallel=3).reply(asked("a", "b", "c", "d", "e"), max_new_tokens=7)
    assert said == ["A", "B", "C", "D", "E"]
    assert set(server.paths) == {"/v1/chat/completions"}
    assert all(body["max_tokens"] == 7 and body["model"] == "some-model" for body in server.bodies)
    assert chat(server).reply([], max_new_tokens=7) == []


def test_at_temperature_0_no_seed_is_sent_and_above_it_one_for_each_conversation(server: ChatServer) -> None:
    chat(server).reply(asked("a"), max_new_tokens=7)
    assert "seed" not in server.bodies[0] and server.bodies[0]["temperature"] == 0
    chat(server, parallel=1).reply(asked("a", "a"), max_new_tokens=7, temperature=0.5, seed=10)
    assert [(body["seed"], body["temperature"]) for body in server.bodies[1:]] == [(10, 0.5), (11, 0.5)]


def test_roles_and_texts_are_sent_as_they_are(server: ChatServer) -> None:
    talk = [Message("system", "Be brief."), Message("user", "Ça va? \U0001f600"), Message("assistant", None)]
    chat(server).reply([talk], max_new_tokens=7)
    assert server.bodies[0]["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Ça va? \U0001f600"},
        {"role": "assistant", "content": ""},
    ]


def test_the_key_goes_into_the_header_alone(server: ChatServer) -> None:
    chat(server).reply(asked("a"), max_new_tokens=7)
    with_key = chat(server, api_key=f" {KEY}\n")
    with_key.reply(asked("a"), max_new_tokens=7)
    assert "authorization" not in server.headers[0] and server.headers[1]["authorization"] == f"Bearer {KEY}"
    assert KEY not in json.dumps(server.bodies) and KEY not in repr(with_key)


def test_a_server_that_repeats_the_key_does_not_get_it_into_the_error(server: ChatServer) -> None:
    server.answer = lambda n, body: (401, {"error": {"message": f"Incorrect API key provided: {KEY}"}})
    with pytest.raises(WorkError) as error:
        chat(server, api_key=KEY).reply(asked("a"), max_new_tokens=7)
    told = str(error.value)
    assert KEY not in told and "***" in told and "status 401 Unauthorized" in told and "API key" in told
    assert error.value.code == "chat-refused" and len(server.bodies) == 1


def test_a_busy_server_is_asked_again(server: ChatServer) -> None:
    states: list[ChatAnswer] = [(429, "slow down", {"Retry-After": "0"}), (503, "busy"), (200, completion("at last"))]
    server.answer = lambda n, body: states[n]
    assert chat(server).reply(asked("a"), max_new_tokens=7) == ["at last"] and len(server.bodies) == 3


def test_a_server_that_stays_busy_ends_in_its_own_words(server: ChatServer) -> None:
    server.answer = lambda n, body: (429, {"error": {"message": "quota exceeded"}}, {"Retry-After": "soon"})
    with pytest.raises(WorkError) as error:
        chat(server, retries=2).reply(asked("a"), max_new_tokens=7)
    assert len(server.bodies) == 3 and "quota exceeded" in str(error.value) and "some-model" in str(error.value)


def test_after_a_failure_nothing_more_is_asked(server: ChatServer) -> None:
    server.answer = lambda n, body: (400, "context length exceeded")
    with pytest.raises(WorkError, match="refused"):
        chat(server, parallel=1).reply(asked(*"abcdefgh"), max_new_tokens=7)
    assert len(server.bodies) <= 3


def test_a_timeout_is_tried_again_and_then_told(server: ChatServer) -> None:
    release = threading.Event()

    def answer(n: int, body: dict[str, Any]) -> ChatAnswer:
        release.wait(5)
        return 200, completion("late")

    server.answer = answer
    with pytest.raises(WorkError, match="does not answer") as error:
        chat(server, timeout=0.05, retries=1).reply(asked("a"), max_new_tokens=7)
    release.set()
    assert "ReadTimeout after 0.05 s, tried 2 times" in str(error.value) and error.value.code == "chat-unreachable"


def test_nobody_at_the_address_is_told_at_once(server: ChatServer) -> None:
    server.close()
    began = time.perf_counter()
    with pytest.raises(WorkError) as error:
        chat(server, first_pause=60.0).reply(asked("a"), max_new_tokens=7)
    assert error.value.code == "chat-unreachable" and server.url in str(error.value)
    assert time.perf_counter() - began < 30


def test_a_server_that_answered_before_is_waited_for(server: ChatServer) -> None:
    model = chat(server, first_pause=0.02, retries=8)
    assert model.reply(asked("a"), max_new_tokens=7) == ["hello"]
    server.close()
    again: list[ChatServer] = []
    restart = threading.Timer(0.1, lambda: again.append(ChatServer(server.http.server_port)))
    restart.start()
    assert model.reply(asked("b"), max_new_tokens=7) == ["hello"]
    restart.join()
    again[0].close()


def test_a_connection_that_breaks_off_is_tried_again(server: ChatServer) -> None:
    def answer(n: int, body: dict[str, Any]) -> ChatAnswer:
        return (200, completion("whole"), {} if n else {"Transfer-Encoding": "chunked"})  # then no chunk is one

    server.answer = answer
    assert chat(server).reply(asked("a"), max_new_tokens=7) == ["whole"] and len(server.bodies) == 2
    server.answer = lambda n, body: (200, completion("broken"), {"Transfer-Encoding": "chunked"})
    with pytest.raises(WorkError) as error:
        chat(server, retries=0).reply(asked("a"), max_new_tokens=7)
    assert error.value.code == "chat-unreachable" and "network" in str(error.value)


@pytest.mark.parametrize(
    "body", ["<html>hi</html>", "", "[1]", {"choices": []}, {"error": "x"}, {"choices": [{"message": {"content": 3}}]}]
)
def test_an_answer_that_is_no_completion_is_shown(server: ChatServer, body: Any) -> None:
    server.answer = lambda n, request: (200, body)
    with pytest.raises(WorkError) as error:
        chat(server).reply(asked("a"), max_new_tokens=7)
    assert error.value.code == "chat-not-a-reply" and "/v1" in str(error.value) and error.value.found


def test_a_refusal_is_the_reply_and_no_text_is_an_empty_one(server: ChatServer) -> None:
    server.answer = lambda n, body: (200, completion(None, **({"refusal": "I will not."} if n == 0 else {})))
    assert chat(server, parallel=1).reply(asked("a", "b"), max_new_tokens=7) == ["I will not.", ""]


def test_half_a_character_becomes_one_that_files_can_hold(server: ChatServer) -> None:
    server.answer = lambda n, body: (200, '{"choices": [{"message": {"content": "cut \\ud83d"}}]}')
    assert chat(server).reply(asked("a"), max_new_tokens=7) == ["cut \ufffd"]


def test_a_server_that_wants_the_newer_name_of_the_limit_gets_it(server: ChatServer) -> None:
    def answer(n: int, body: dict[str, Any]) -> ChatAnswer:
        if "max_tokens" in body:
            return 400, {"error": {"message": "Unsupported parameter: use 'max_completion_tokens' instead."}}
        return 200, completion("ok")

    server.answer = answer
    model = chat(server)
    assert [model.reply(asked("a"), max_new_tokens=7) for _ in range(2)] == [["ok"], ["ok"]]
    assert [body.get("max_completion_tokens") for body in server.bodies] == [None, 7, 7]


def test_letters_get_their_log_probabilities(server: ChatServer) -> None:
    likeliest = [{"token": "m", "logprob": -0.2}, {"token": "The", "logprob": -3.0}]
    document = completion("m")
    document["choices"][0]["logprobs"] = {"content": [{"token": "m", "logprob": -0.2, "top_logprobs": likeliest}]}
    server.answer = lambda n, body: (200, document)
    assert chat(server).letter_logps(asked("which?"), ("m", "M")) == [(-0.2, None)]
    assert server.bodies[0]["top_logprobs"] == 5 and server.bodies[0]["max_tokens"] == 1


def test_a_server_without_log_probabilities_is_told(server: ChatServer) -> None:
    with pytest.raises(WorkError) as error:
        chat(server).letter_logps(asked("which?"), ("m", "M"))
    assert error.value.code == "chat-without-logprobs"


@pytest.mark.parametrize(
    "address",
    [
        "localhost:8000",
        "ftp://host/v1",
        "http://",
        "http://[::1/v1",
        "http://a:port/v1",
        "http://a b/v1",
        "",
        "host/v1?key=hunter2",
    ],
)
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(InputError) as error:
        RemoteChat(address, "m")
    assert error.value.code == "chat-address" and "hunter2" not in str(error.value)


@pytest.mark.parametrize("address", ["https://me:hunter2@host/v1", "https://host/v1?key=hunter2"])
def test_an_address_with_a_secret_is_refused_without_showing_it(address: str) -> None:
    with pytest.raises(InputError) as error:
        RemoteChat(address, "m")
    assert error.value.code == "chat-address-with-secret" and "hunter2" not in str(error.value)


def test_the_whole_path_of_the_protocol_may_stand_in_the_address(server: ChatServer) -> None:
    assert RemoteChat(f"{server.url}/chat/completions/", "m").base_url == server.url


@pytest.mark.parametrize("key", ["", "  ", "sk-\u00e9", "sk-\x00"])
def test_a_key_that_is_none_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(InputError) as error:
        RemoteChat("http://host/v1", "m", api_key=key)
    assert error.value.code == "chat-key" and (not key.strip() or key not in str(error.value))


@pytest.mark.parametrize(
    "message",
    [
        Message("user", "<image>", images=("a.png",)),
        Message("assistant", None, tool_calls=(ToolCall("f", {}),)),
        Message("user", "cut \ud83d"),
    ],
)
def test_what_is_not_text_is_refused(server: ChatServer, message: Message) -> None:
    with pytest.raises(InputError) as error:
        chat(server).reply([[message]], max_new_tokens=7)
    assert error.value.code == "chat-text-only" and not server.bodies


class EchoSampler:
    """A sampler whose answer is the prompt's length; prompts of more than 5 tokens do not fit."""

    def __init__(self) -> None:
        self.samplings: list[Sampling] = []

    def generate(self, prompts: list[IntArray], *, max_new_tokens: int, progress: object = None) -> list[Generation]:
        return [Generation((), str(len(p)), True, "prompt too long" if len(p) > 5 else None) for p in prompts]

    def sample(
        self, prompts: list[IntArray], sampling: Sampling, *, max_new_tokens: int, progress: object = None
    ) -> list[list[Generation]]:
        self.samplings.append(sampling)
        return [[generation] for generation in self.generate(prompts, max_new_tokens=max_new_tokens)]


def local(sampler: EchoSampler) -> LocalChat:
    return LocalChat(
        "ours",
        sampler=sampler,  # type: ignore[arg-type]
        prompt_ids=lambda talk: np.zeros(len(talk[-1].content or ""), np.int32),
    )


def test_a_model_of_ours_answers_greedily_or_by_draws() -> None:
    sampler = EchoSampler()
    assert local(sampler).reply(asked("a", "bbb"), max_new_tokens=4) == ["1", "3"] and not sampler.samplings
    assert local(sampler).reply(asked("a", "bbb"), max_new_tokens=4, temperature=0.7, seed=9) == ["1", "3"]
    assert sampler.samplings == [Sampling(num_return_sequences=1, temperature=0.7, top_p=1.0, seed=9)]


def test_a_conversation_that_does_not_fit_is_told() -> None:
    with pytest.raises(WorkError, match="1 of 2 conversations") as error:
        local(EchoSampler()).reply(asked("a", "far too long"), max_new_tokens=4)
    assert error.value.code == "chat-too-long" and "far too long" in str(error.value)
