"""The one place that calls litellm: a call as a stream with a deadline, its errors as ours, its tokens and its cost."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import queue
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, Literal

from resources.llm import narrator
from resources.llm.config import Prices

CONNECT_SECONDS = 1.5
"""Whoever does not take a connection in so long is not there. Providers whose client in litellm knows only one time-out
have `silence_seconds` for it."""
CHARACTERS_PER_TOKEN = 10
"""No language has more to a token: a model that says more than this beyond its limit was told none."""
_REPEATS = "repeating the same chunk"
"""Said by litellm where a model gives one piece a hundred times in a row."""
_GRACE_SECONDS = 2.0
"""So long after a deadline the caller waits for the loop to say so itself."""
_log = logging.getLogger("cartograph.llm")


@dataclass(frozen=True)
class Call:
    """What one model is asked once."""

    model: str
    messages: Sequence[Mapping[str, str]]
    api_base: str | None
    api_key: str | None = field(repr=False)
    temperature: float
    max_tokens: int
    silence_seconds: float
    narrate: Callable[[], str]


@dataclass(frozen=True)
class Usage:
    """The tokens of a call, as the provider counts them, or guessed where the call broke off."""

    tokens_in: int
    tokens_out: int


class EngineError(Exception):
    """A model did not answer as asked; the message says what went wrong, and holds no key.

    Args:
        may_pass: whether asking again soon may help.
        is_slow: whether it was time that ran out.
        is_down: whether the entry is at fault and not what it was asked: the next request, whatever it is, would fare
            no better, so that the entry is left out for a while. One customer's text must not do that to all others.
        is_charged: whether the provider may have counted tokens.
        pause: seconds that the provider asks for.
    """

    def __init__(
        self,
        message: str,
        *,
        may_pass: bool = False,
        is_slow: bool = False,
        is_down: bool = False,
        is_charged: bool = False,
        pause: float | None = None,
    ) -> None:
        super().__init__(message)
        self.may_pass, self.is_slow, self.is_down = may_pass, is_slow, is_down
        self.is_charged, self.pause = is_charged, pause


class LeftError(Exception):
    """Whoever asked has left; nobody waits for an answer."""


Outcome = Literal["answered", "cached", "stopped", "down", "unusable", "paused", "unasked", "left"]
"""stopped: what it said was of no use to whoever asked; down: it does not answer anyone; unusable: what it said is no
answer; paused: it is left out for a while; unasked: there is no key, no time or no budget; left: nobody waited."""
FAILED: frozenset[Outcome] = frozenset(("down", "unusable", "paused", "unasked"))
"""Behind these the next entry is asked."""


@dataclass(frozen=True)
class Tried:
    """One entry, and what came of one request to it."""

    purpose: str
    entry: str
    outcome: Outcome
    reason: str | None = None
    """Why it failed."""


class Asker:
    """Whoever waits for an answer. Any thread may say that they have left, which ends the calls made for them."""

    def __init__(self) -> None:
        self.tried: list[Tried] = []
        """The entries that their requests came to, in turn."""
        self._left: Future[None] = Future()

    @property
    def has_left(self) -> bool:
        return self._left.done()

    def leave(self) -> None:
        with suppress(InvalidStateError):  # they had left before
            self._left.set_result(None)

    def when_left(self, act: Callable[[], None]) -> None:
        """Have something done when they leave, in the thread that says so; at once where they have left."""
        self._left.add_done_callback(lambda _: act())

    def pause(self, seconds: float) -> None:
        """Wait so long.

        Raises:
            LeftError: they have left meanwhile.
        """
        with suppress(TimeoutError):
            self._left.result(seconds)
            raise LeftError


class Stream:
    """What a model says to one call: iterate over its pieces, once; close it where that ends early.

    Iterating raises EngineError, at the latest when `deadline` (of `time.monotonic`) has passed, and LeftError as soon
    as the asker has left.
    """

    def __init__(self, call: Call, deadline: float, asker: Asker) -> None:
        self.call = call
        self.usage = Usage(0, 0)
        self.first_token_seconds: float | None = None
        self.seconds = 0.0
        """To the end of the stream."""
        self._deadline = deadline
        self._began = time.monotonic()
        self._characters = 0
        self._is_ended = False
        self._items: queue.SimpleQueue[str | Usage | BaseException] = queue.SimpleQueue()
        self._task = asyncio.run_coroutine_threadsafe(self._run(), _loop(os.getpid()))
        asker.when_left(lambda: self._items.put(LeftError()))

    def __iter__(self) -> Iterator[str]:
        while True:
            try:
                item = self._items.get(timeout=max(0.0, self._deadline - time.monotonic()) + _GRACE_SECONDS)
            except queue.Empty:
                # It is this process that hangs.
                raise EngineError("not done within the deadline, and cannot be stopped", is_slow=True) from None
            if isinstance(item, str):
                yield item
                continue
            if isinstance(item, LeftError):
                raise item
            self._is_ended, self.seconds = True, time.monotonic() - self._began
            if isinstance(item, Usage):
                self.usage = item
                return
            error = _explained(item, self.call, is_begun=self._characters > 0)
            if error.is_charged:
                self._guess()
            raise error from None

    def close(self) -> None:
        """End the call, if it has not ended: the provider is told by the connection's end."""
        if not self._is_ended:
            self._guess()
            self._task.cancel()

    def _guess(self) -> None:
        asked = sum(len(message["content"]) for message in self.call.messages)
        self.usage = Usage(asked // 4, self._characters // 4)

    async def _run(self) -> None:
        """In the loop's thread: put the pieces, then the usage or what went wrong."""
        try:
            usage = await self._said()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # whatever it is, the thread that waits is told
            self._items.put(error)
        else:
            self._items.put(usage)

    async def _said(self) -> Usage:
        import httpx
        import litellm

        call, loop = self.call, asyncio.get_running_loop()
        narrator.NARRATION.set(call.narrate)
        began = loop.time()
        end = began + self._deadline - time.monotonic()
        usage: Usage | None = None
        try:
            async with asyncio.timeout(None) as silence:
                silence.reschedule(min(end, loop.time() + call.silence_seconds))
                stream: Any = await litellm.acompletion(
                    model=call.model,
                    messages=list(call.messages),
                    api_base=call.api_base,
                    api_key=call.api_key,
                    temperature=call.temperature,
                    max_tokens=call.max_tokens,
                    stream=True,
                    stream_options={"include_usage": True},
                    # The time-outs are ours; litellm's own only have to be no shorter.
                    timeout=httpx.Timeout(call.silence_seconds + _GRACE_SECONDS, connect=CONNECT_SECONDS),
                    num_retries=0,
                    max_retries=0,
                    drop_params=True,
                )
                try:
                    async for chunk in stream:
                        silence.reschedule(min(end, loop.time() + call.silence_seconds))
                        usage = self._take(chunk) or usage
                    finish = stream.received_finish_reason or stream.intermittent_finish_reason
                finally:
                    with suppress(Exception):  # of two errors, the first tells more
                        await stream.aclose()
        except TimeoutError:
            if silence.expired():
                is_mute = self._characters == 0
                if loop.time() >= end:
                    # Others may have used up the deadline before: a short wait says nothing of this one.
                    is_long = loop.time() - began >= call.silence_seconds / 2
                    reason = "not done within the deadline"
                    raise EngineError(reason, is_down=is_mute and is_long, is_charged=True) from None
                reason = f"silent for {call.silence_seconds:g} s"
                raise EngineError(reason, is_slow=True, is_down=is_mute, is_charged=True) from None
            raise
        if finish is None:
            # litellm calls this a stop.
            raise EngineError("the stream ended before the answer did", may_pass=True, is_charged=True)
        if finish == "length":
            raise EngineError(f"not done with {call.max_tokens} tokens", is_charged=True)
        if finish == "content_filter":
            raise EngineError("the provider's filter withheld the answer", is_charged=True)
        return usage or Usage(0, 0)

    def _take(self, chunk: Any) -> Usage | None:
        delta = chunk.choices[0].delta if chunk.choices else None
        text = (getattr(delta, "content", None) or "") if delta is not None else ""
        thought = (getattr(delta, "reasoning_content", None) or "") if delta is not None else ""
        if (text or thought) and self.first_token_seconds is None:
            self.first_token_seconds = time.monotonic() - self._began
        self._characters += len(text) + len(thought)
        if self._characters > self.call.max_tokens * CHARACTERS_PER_TOKEN:
            raise EngineError(f"does not stop: {self._characters} characters", is_charged=True)
        if text:
            self._items.put(text)
        usage = getattr(chunk, "usage", None)
        return Usage(usage.prompt_tokens or 0, usage.completion_tokens or 0) if usage is not None else None


def ready(models: Iterable[str] | None = None) -> None:
    """Import what these models need, which takes seconds, if that was not done: so that no deadline counts it.

    Args:
        models: as litellm names them; None: any.
    """
    _loop(os.getpid())
    if models is None or any(not model.startswith(f"{narrator.PROVIDER}/") for model in models):
        # litellm speaks to most providers through it, and imports it at their first call.
        import openai.resources  # noqa: F401


def cost_of(model: str, prices: Prices | None, usage: Usage) -> float | None:
    """What a call costs in dollars; None where nobody knows the model's price."""
    if prices is not None:
        return (usage.tokens_in * prices.input + usage.tokens_out * prices.output) / 1e6
    if model.startswith(f"{narrator.PROVIDER}/"):
        return 0.0
    per_token = _listed_prices(model)
    return None if per_token is None else usage.tokens_in * per_token[0] + usage.tokens_out * per_token[1]


@cache
def _listed_prices(model: str) -> tuple[float, float] | None:
    _loop(os.getpid())
    import litellm

    try:
        return litellm.cost_per_token(model=model, prompt_tokens=1, completion_tokens=1)
    except Exception:  # litellm has a class of its own for each provider that it knows no price of
        _log.warning(
            "no price is known of %s: the budget's dollars do not bound it, only the budget's tokens. "
            "Give its entry in config/models.yaml `prices`.",
            model,
        )
        return None


_starting = threading.Lock()
_loops: dict[int, asyncio.AbstractEventLoop] = {}


def _loop(process: int) -> asyncio.AbstractEventLoop:
    """The loop in which all calls of this process run, in a thread of its own; a forked process needs another."""
    with _starting:
        if process not in _loops:
            _import_litellm()
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=_serve, args=(loop,), name="language models", daemon=True)
            thread.start()
            atexit.register(_stop, loop, thread)
            _loops[process] = loop
        return _loops[process]


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    for task in asyncio.all_tasks(loop):
        task.cancel()
    # Once round, so that what was cancelled ends and its connections with it.
    loop.run_until_complete(asyncio.sleep(0))


def _stop(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    """At the end of the process: a thread that is still at work then would end it with an abort."""
    loop.call_soon_threadsafe(loop.stop)
    thread.join(_GRACE_SECONDS)


def _import_litellm() -> None:
    # At its import, litellm would fetch a list of prices, and put all of .env into the environment.
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    os.environ["LITELLM_MODE"] = "PRODUCTION"
    import litellm

    for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    # httpx tells a connection that cannot be made from one that breaks.
    litellm.disable_aiohttp_transport = True
    narrator.register()


def _explained(error: BaseException, call: Call, is_begun: bool) -> EngineError:
    """An error of litellm, or of what is under it, as ours."""
    if isinstance(error, EngineError):
        return error
    import httpx

    chain = _chain(error)
    if any(isinstance(link, httpx.ConnectError | httpx.ConnectTimeout | ConnectionRefusedError) for link in chain):
        return EngineError(f"nobody answers at {call.api_base or 'its address'}", is_down=True)
    status = next((code for link in chain if isinstance(code := getattr(link, "status_code", None), int)), None)
    said = _said_by(error, call)
    if is_begun and _REPEATS in said:
        return EngineError("repeats itself", is_charged=True)
    if is_begun:
        # It answers; what breaks it may be this answer.
        return EngineError(f"the stream broke off: {said}", may_pass=True, is_charged=True)
    if status == 429:
        return EngineError(f"429, too many requests: {said}", may_pass=True, is_down=True, pause=_retry_after(chain))
    if status in (401, 403):
        # What the provider says of a key may hold the key. Some answer 403 to a text that they do not like.
        return EngineError(f"{status}, the provider does not accept the key", is_down=status == 401)
    if status == 404:
        return EngineError(f"404, no such model or address: {said}", is_down=True)
    if status is not None and 400 <= status < 500 and status != 408:
        return EngineError(f"{status}, the request is refused: {said}")
    # litellm gives a status of its own, 500, to an answer that it cannot read: behind a provider's, and behind a
    # connection that breaks, there is an error of HTTP.
    is_down = any(isinstance(link, httpx.HTTPError) for link in chain)
    return EngineError(f"{status or type(error).__name__}: {said}", may_pass=True, is_down=is_down)


def _chain(error: BaseException) -> list[BaseException]:
    """An error with what caused it, the outermost first."""
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        original = getattr(link, "original_exception", None)
        link = original if isinstance(original, BaseException) else link.__cause__ or link.__context__
    return chain


def _retry_after(chain: Sequence[BaseException]) -> float | None:
    """Seconds that a provider asks to wait for (RFC 9110, 10.2.3: seconds or a date)."""
    for link in chain:
        given = (getattr(getattr(link, "response", None), "headers", None) or {}).get("retry-after")
        if given is None:
            continue
        with suppress(ValueError):
            return max(0.0, float(given))
        with suppress(ValueError):
            return max(0.0, (parsedate_to_datetime(given) - datetime.now(UTC)).total_seconds())
    return None


def _said_by(error: BaseException, call: Call) -> str:
    """The first line of an error, without litellm's prefixes and without the key."""
    text = str(error).strip().partition("\n")[0].partition(" Original exception: ")[0]
    text = re.sub(r"^(?:(?:litellm\.)?\w+: )*(?:\w+ - )?", "", text)
    if call.api_key:
        text = text.replace(call.api_key, "...")
    return text[:200] or type(error).__name__
