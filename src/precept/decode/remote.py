"""A model behind an address that speaks the OpenAI protocol, as a ``ports.Chat``: ``POST {base_url}/chat/completions``.

Servers of vLLM, llama.cpp, Ollama, SGLang and most vendors answer it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import cached_property
from threading import Event
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field

from precept.errors import InputError, WorkError
from precept.settings import Settings
from precept.types import Message

if TYPE_CHECKING:
    import ssl

    import httpx2

BUSY = {408, 409, 429, 500, 502, 503, 504, 529}
"""Statuses that may pass: asked again after a pause."""
LONGEST_PAUSE = 60.0  # seconds, also of what a server asks for by Retry-After
SHOWN = 300  # characters of a server's words in an error
HALF_CHARACTER = re.compile("[\ud800-\udfff]")  # JSON can spell a lone surrogate, which no file can hold
ADVICE = {
    401: "set the API key in the environment variable that the command names",
    403: "set an API key that may use this model",
    404: "check the model's name and the address: most end in /v1",
    429: "wait, or ask for fewer replies at once",
}


class RemoteSettings(Settings):
    """How a server is asked."""

    api_key_env: str = "OPENAI_API_KEY"
    """The environment variable that holds the API key; where it is not set, no key is sent."""
    timeout: Annotated[float, Field(gt=0, le=86_400)] = 120.0
    """Seconds to wait for a reply, a day at most."""
    retries: Annotated[int, Field(ge=0)] = 5
    """How often a busy server or a lost connection is tried again."""
    parallel: Annotated[int, Field(ge=1)] = 8
    """Questions asked at the same time."""


class RemoteChat:
    """Asks a server, ``parallel`` conversations at a time.

    ``api_key`` goes into the request's header and nowhere else. A busy server (429, 5xx) or a lost connection is asked
    again ``retries`` times, after ``first_pause`` seconds, twice that, ... or what ``Retry-After`` says, a minute at
    most. An address where nobody ever answered is told at once. Raises InputError for an address or a key that is none.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        api_key: str | None = None,
        timeout: float = 120.0,
        retries: int = 5,
        parallel: int = 8,
        first_pause: float = 1.0,
    ) -> None:
        assert timeout > 0 and retries >= 0 and parallel >= 1
        self.name = model
        self.base_url = _checked(base_url)
        self._key = None if api_key is None else _checked_key(api_key)
        self._timeout = timeout
        self._retries = retries
        self._parallel = parallel
        self._first_pause = first_pause
        self._limit_key = "max_tokens"
        self._reached = False

    def reply(
        self,
        conversations: Sequence[Sequence[Message]],
        *,
        max_new_tokens: int,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> list[str]:
        """See ``ports.Chat``. The text is '' where a server has nothing to say, its refusal where it states one;
        half a character, where a limit cut one in two, becomes U+FFFD.

        Conversation i is sampled with the seed ``seed + i``; what a server makes of a seed is its own affair. Raises
        WorkError naming address, status and the server's words; replies of the same call are lost with it.
        """
        documents = self._post_all(
            [
                {
                    "messages": [_message(message) for message in conversation],
                    "temperature": temperature,
                    **({"seed": seed + index} if temperature > 0 else {}),  # some servers refuse the key
                    "max_tokens": max_new_tokens,
                }
                for index, conversation in enumerate(conversations)
            ]
        )
        return [self._text(document) for document in documents]

    def letter_logps(
        self, conversations: Sequence[Sequence[Message]], letters: Sequence[str]
    ) -> list[tuple[float | None, ...]]:
        """Log-probability of each letter as the reply's first token; None for one that is not among the five likeliest.

        Raises WorkError as ``reply`` does, and for a server that gives no log-probabilities.
        """
        body = {"temperature": 0.0, "max_tokens": 1, "logprobs": True, "top_logprobs": 5}
        asked = [{"messages": [_message(m) for m in conversation], **body} for conversation in conversations]
        return [self._logps(document, letters) for document in self._post_all(asked)]

    @cached_property
    def _certificates(self) -> ssl.SSLContext:
        """Whom to trust; reading that takes longer than many a reply."""
        import httpx2

        return httpx2.create_ssl_context()

    def _post_all(self, bodies: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        import httpx2

        documents: dict[int, dict[str, Any]] = {}
        headers = {} if self._key is None else {"Authorization": f"Bearer {self._key}"}
        stopped = Event()
        pool = ThreadPoolExecutor(max_workers=self._parallel)
        try:
            with httpx2.Client(timeout=self._timeout, headers=headers, verify=self._certificates) as client:
                waiting = {pool.submit(self._ask, client, body, stopped): index for index, body in enumerate(bodies)}
                for future in as_completed(waiting):
                    documents[waiting[future]] = future.result()
        finally:  # after a failure nothing more is asked, and nobody waits for a pause to end
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
        return [documents[index] for index in range(len(bodies))]

    def _ask(self, client: httpx2.Client, body: Mapping[str, Any], stopped: Event) -> dict[str, Any]:
        """A reply; after the first failure nothing, since nobody will have it."""
        if stopped.is_set():
            return {}
        try:
            return self._post(client, body, stopped)
        except WorkError:
            stopped.set()
            raise

    def _post(self, client: httpx2.Client, body: Mapping[str, Any], stopped: Event) -> dict[str, Any]:
        """The JSON object of one reply. When ``stopped`` is set its result is asked for no more."""
        import httpx2

        address = f"{self.base_url}/chat/completions"
        for left in range(self._retries, -1, -1):
            pause = min(self._first_pause * 2 ** min(self._retries - left, 10), LONGEST_PAUSE)
            try:
                response = client.post(address, json=self._with_limit(body))
                if self._wants_other_limit(response):
                    response = client.post(address, json=self._with_limit(body))
            except httpx2.ConnectError as error:
                if not left or not self._reached:
                    raise self._unreachable(str(error), do="start the server, or check the address") from None
            except httpx2.TimeoutException as error:
                if not left:
                    found = f"{type(error).__name__} after {self._timeout:g} s, tried {self._retries + 1} times"
                    raise self._unreachable(found, do="allow more time, or ask for shorter replies") from None
            except httpx2.TransportError as error:
                if not left:
                    raise self._unreachable(str(error) or type(error).__name__, do="check server and network") from None
            else:
                self._reached = True
                if response.status_code not in BUSY or not left:
                    return self._document(response)
                pause = _retry_after(response.headers.get("retry-after"), pause)
            if stopped.wait(pause):
                break
        return {}

    def _with_limit(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The body with the model's name and the token limit under the key that this server takes."""
        rest = {key: value for key, value in body.items() if key != "max_tokens"}
        return {"model": self.name, **rest, self._limit_key: body["max_tokens"]}

    def _wants_other_limit(self, response: httpx2.Response) -> bool:
        """Whether the server refused ``max_tokens`` for the name that newer OpenAI models want; it is used from now."""
        if response.status_code != 400 or "max_completion_tokens" not in response.text:
            return False
        self._limit_key = "max_completion_tokens"
        return True

    def _document(self, response: httpx2.Response) -> dict[str, Any]:
        if response.is_success:
            try:
                document = response.json()
            except ValueError:  # JSONDecodeError and UnicodeDecodeError
                document = None
            if isinstance(document, dict):
                return document
            raise self._not_a_reply(response.text)
        advice = ADVICE.get(response.status_code, "see what the server says")
        status = f"status {response.status_code} {response.reason_phrase}".rstrip()
        raise WorkError(
            "the server refused",
            code="chat-refused",
            where=f"{self.base_url}, model '{self.name}'",
            found=f"{status}: {self._shown(response.text)}",
            do=advice,
        )

    def _text(self, document: Mapping[str, Any]) -> str:
        try:
            message = document["choices"][0]["message"]
            text = message.get("content")
            text = (message.get("refusal") or "") if text is None else text
        except (KeyError, IndexError, TypeError, AttributeError):
            raise self._not_a_reply(str(document)) from None
        if not isinstance(text, str):
            raise self._not_a_reply(str(document))
        return HALF_CHARACTER.sub("\ufffd", text)

    def _logps(self, document: Mapping[str, Any], letters: Sequence[str]) -> tuple[float | None, ...]:
        try:
            likeliest = document["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
            found = {entry["token"]: float(entry["logprob"]) for entry in reversed(likeliest)}
        except (KeyError, IndexError, TypeError, ValueError):
            raise WorkError(
                "the server gives no log-probabilities",
                code="chat-without-logprobs",
                where=f"{self.base_url}, model '{self.name}'",
                found=self._shown(str(document)),
                do="judge by letters instead (without --weighted), or use a server that gives top_logprobs",
            ) from None
        return tuple(found.get(letter) for letter in letters)

    def _unreachable(self, found: str, *, do: str) -> WorkError:
        return WorkError(
            "the server does not answer", code="chat-unreachable", where=self.base_url, found=self._shown(found), do=do
        )

    def _not_a_reply(self, body: str) -> WorkError:
        return WorkError(
            "the server's answer is no chat completion",
            code="chat-not-a-reply",
            where=self.base_url,
            found=self._shown(body) or "an empty body",
            do="give the address of an OpenAI-compatible server: most end in /v1",
        )

    def _shown(self, text: str) -> str:
        """The begin of what a server says, on one line; the key stays hidden even where the server repeats it."""
        flat = " ".join(text.split())
        if self._key is not None:
            flat = flat.replace(self._key, "***")
        return flat if len(flat) <= SHOWN else f"{flat[:SHOWN]} ..."


def _checked(base_url: str) -> str:
    """The address without a slash at its end. Raises InputError for what is none, and for one that holds a password."""
    import httpx2

    address = base_url.strip().rstrip("/")
    try:
        parts = urlsplit(address)
        sound = parts.scheme in {"http", "https"} and bool(httpx2.URL(address).host) and not re.search(r"\s", address)
    except (ValueError, httpx2.InvalidURL):  # brackets that do not close, a port that is no number
        sound = False
    if not sound:
        raise InputError(
            "not the address of a server",
            code="chat-address",
            found=re.split(r"[?#]", base_url)[0].rpartition("@")[2],
            do="write it as http://localhost:8000/v1 or https://...",
        )
    if "@" in parts.netloc or parts.query:
        raise InputError(
            "an address may hold neither name, password nor query, since it is written to logs and results",
            code="chat-address-with-secret",
            found=f"{parts.scheme}://...@{parts.hostname}" if "@" in parts.netloc else f"{parts.hostname} and a query",
            do="put the key into an environment variable",
        )
    return address.removesuffix("/chat/completions")


def _checked_key(api_key: str) -> str:
    """The key without blanks around it. Raises InputError where it cannot stand in a header, without showing it."""
    key = api_key.strip()
    if not (key.isascii() and key.isprintable()) or not key:
        raise InputError(
            "the API key is empty or holds characters that no key has",
            code="chat-key",
            do="copy it again into its environment variable",
        )
    return key


def _message(message: Message) -> dict[str, str]:
    fault = "images or tool calls" if message.images or message.tool_calls else None
    if HALF_CHARACTER.search(message.content or ""):
        fault = "half a character (a lone surrogate)"
    if fault is not None:
        raise InputError(
            f"only text can be sent to a server, and this message has {fault}",
            code="chat-text-only",
            found=f"a message of the role '{message.role}'",
            do="leave such rows out",
        )
    return {"role": message.role, "content": message.content or ""}


def _retry_after(header: str | None, pause: float) -> float:
    """The seconds that a server asks for; ``pause`` where it names none (a date counts as none)."""
    try:
        asked = float(header) if header is not None else pause
    except ValueError:
        return pause
    return min(max(asked, 0.0), LONGEST_PAUSE) if asked == asked else pause
