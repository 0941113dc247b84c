"""Asking language models: entry after entry, within a deadline and a budget, each call cached and recorded."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from resources.llm import engine
from resources.llm.circuits import Circuits, Open
from resources.llm.config import Entry, LlmConfig, api_key, missing_key
from resources.llm.engine import Asker, EngineError, LeftError, Tried
from resources.llm.prompts import PROMPTS_DIR, Prompt
from resources.llm.records import Asked, BudgetError, Cached, Ledger, MemoryLedger, Outcome, TableLedger
from resources.llm.think import Cutter
from resources.llm.watched import Watched
from resources.models import MODELS_FILE
from resources.settings import Settings
from resources.warehouse import Warehouse, WarehouseError

_BACK_OFF_SECONDS = 0.25
"""Before an entry is asked again; twice as long each time."""


class LlmError(RuntimeError):
    """Nobody has answered; the message names each entry that was tried, and why it did not."""


class EnoughError(Exception):
    """Thrown into a stream by whoever hears it and has no use for it: it ends the call."""


@dataclass(frozen=True)
class Message:
    role: Literal["user", "assistant"]
    content: str


@dataclass(frozen=True)
class Request:
    """What a model is to say, for which shop and to which end."""

    purpose: str
    """What it is for, as it stands in the records: `summary`."""
    shop: str
    prompt: Prompt
    messages: tuple[Message, ...]
    narrate: Callable[[], str]
    """What the narrator says to this."""
    is_whole: Callable[[str], bool] = bool
    """Whether a text ends as was asked for; one that does not counts as a failure."""
    run_id: str | None = None
    """Of the Dagster run that asks."""
    asker: Asker = field(default_factory=Asker)
    """Whose leaving ends the request."""


@dataclass(frozen=True)
class Completion:
    """What was said, by whom, and what it took."""

    text: str
    """Without what was thought, stripped."""
    entry: str
    model: str
    prompt_version: str
    input_hash: str
    tokens_in: int
    """Of all attempts at the entry that answered; of one that is cached, what it took when it was made."""
    tokens_out: int
    cost: float | None
    """In dollars; None where nobody knows the price."""
    seconds: float
    """From the request to here, with all that failed before."""
    first_token_seconds: float | None
    """Of the last attempt; None where it is cached."""
    attempts: int
    """At the entry that answered; 0 where it is cached."""
    is_cached: bool
    failures: tuple[str, ...]
    """Of the entries before it, each with its reason."""


@dataclass(frozen=True)
class Piece:
    """The next piece of a text. All of them since the last Restart, stripped at the end, are the completion's text."""

    text: str


@dataclass(frozen=True)
class Restart:
    """All pieces before are void: what follows begins anew."""

    reason: str


Event = Piece | Restart | Completion


def prepare(entries: Iterable[Entry]) -> None:
    """What entries need before they are asked: their libraries, and their prices; without a price the log says so."""
    given = list(entries)
    engine.ready(entry.model for entry in given)
    for entry in given:
        engine.cost_of(entry.model, entry.prices, engine.Usage(0, 0))


class _NextError(Exception):
    """An entry does not answer; the message says why."""

    def __init__(self, message: str, outcome: engine.Outcome) -> None:
        super().__init__(message)
        self.outcome = outcome


class Llm:
    """The language models of `config/models.yaml`. Making one does nothing; the first request imports litellm.

    Any thread may ask. Settings and prompts are those of the files as they are when a request begins.

    Args:
        warehouse: where calls are recorded and cached, and the budget is kept over all processes; None: nothing is
            recorded, and this object alone keeps the budget.
    """

    def __init__(
        self,
        settings: Settings,
        models_file: Path = MODELS_FILE,
        prompts_dir: Path = PROMPTS_DIR,
        warehouse: Warehouse | None = None,
    ) -> None:
        self.settings = settings
        self.watched = Watched(models_file, prompts_dir)
        self._ledger: Ledger = MemoryLedger() if warehouse is None else TableLedger(warehouse)
        self._circuits = Circuits()

    def prompt(self, name: str) -> Prompt:
        """The prompt in `config/prompts/<name>.md` as it is now.

        Raises:
            PromptError: the file cannot be used, and there was no good one before.
        """
        return self.watched.prompt(name)

    def config(self, shop: str) -> LlmConfig:
        """The settings for a shop as they are now.

        Raises:
            ModelsError: the file cannot be used, and there was no good one before.
        """
        return self.watched.config("llm", LlmConfig, shop)

    def standing(self, name: str, entry: Entry) -> Open | None:
        """How long an entry has not answered in this process, and why; None where it may be asked."""
        return self._circuits.standing(name, entry)

    def complete(self, request: Request, is_fresh: bool = False) -> Completion:
        """What the first entry says that answers, or what it has said to the same input under the same prompt before.

        Args:
            is_fresh: ask, whatever is cached.

        Raises:
            LlmError: nobody has answered.
            LeftError: whoever asked has left.
            ModelsError: the settings cannot be used.
        """
        for event in self._events(request, reads_cache=not is_fresh, writes_cache=True):
            if isinstance(event, Completion):
                return event
        raise AssertionError("the events of a request end with its completion or with an error")

    def stream(self, request: Request) -> Generator[Event, None, None]:
        """The same, piece by piece, with a Completion at the end; never from the cache.

        Where an entry breaks off after pieces were given, a Restart follows, and then what another one says. Closing
        the iterator ends the call; throwing an EnoughError into it does too, and gives a Completion of what it took.

        Raises:
            LlmError: nobody has answered; pieces that were given are void.
            LeftError: whoever asked has left.
            ModelsError: the settings cannot be used.
        """
        return self._events(request, reads_cache=False, writes_cache=False)

    def _events(self, request: Request, reads_cache: bool, writes_cache: bool) -> Generator[Event, None, None]:
        config = self.config(request.shop)
        engine.ready(config.entries[name].model for name in config.use)
        began = time.monotonic()
        failures: list[str] = []
        for name in config.use:
            if request.asker.has_left:
                raise LeftError
            asking = _Asking(self._ledger, self._circuits, request, config, name, began)

            def tell(outcome: engine.Outcome, reason: str | None = None, name: str = name) -> None:
                request.asker.tried.append(Tried(request.purpose, name, outcome, reason))

            try:
                completion = None
                if reads_cache:
                    completion = asking.cached()
                if completion is None:
                    completion = yield from asking.answered()
                    if writes_cache:
                        asking.keep(completion)
            except _NextError as error:
                tell(error.outcome, str(error))
                failures.append(f"{name}: {error}")
            except (GeneratorExit, LeftError):
                tell("left")
                raise
            else:
                tell("cached" if completion.is_cached else "stopped" if asking.is_stopped else "answered")
                yield replace(completion, failures=tuple(failures), seconds=time.monotonic() - began)
                return
        raise LlmError(
            f"no language model has answered ({request.purpose}, {request.shop}). {'; '.join(failures)}. Which ones are"
            " asked stands in config/models.yaml, section llm, under `use`."
        )


class _Asking:
    """One entry that is asked for one request."""

    def __init__(
        self, ledger: Ledger, circuits: Circuits, request: Request, config: LlmConfig, name: str, began: float
    ) -> None:
        self.ledger, self.circuits, self.request, self.config, self.name = ledger, circuits, request, config, name
        self.entry = config.entries[name]
        self.max_tokens = self.entry.max_tokens or config.max_tokens
        self.silence = self.entry.timeout_seconds or config.timeout_seconds
        self.deadline = began + config.deadline_seconds
        if self.entry.is_narrator:
            # It takes no time, and is asked when others have used it up.
            self.deadline = max(self.deadline, time.monotonic() + self.silence)
        self.messages = [
            {"role": "system", "content": request.prompt.text},
            *({"role": message.role, "content": message.content} for message in request.messages),
        ]
        self.asked = Asked(
            shop=request.shop,
            purpose=request.purpose,
            entry=name,
            model=self.entry.model,
            prompt_name=request.prompt.name,
            prompt_version=request.prompt.version,
            input_hash=self._input_hash(),
            run_id=request.run_id,
        )
        self.stream: engine.Stream | None = None
        self.tokens_in = self.tokens_out = self.attempts = 0
        self.has_shown = self.is_stopped = False

    def _input_hash(self) -> str:
        """Of all that the answer depends on, besides the prompt's version and the model."""
        given = [
            self.request.shop,
            self.messages[1:],
            self.config.temperature,
            self.max_tokens,
            self.entry.api_base,
        ]
        return hashlib.sha256(json.dumps(given).encode()).hexdigest()[:32]

    def cached(self) -> Completion | None:
        """What the model has said before; the narrator is faster than a look."""
        if self.entry.is_narrator:
            return None
        began = time.monotonic()
        try:
            found = self.ledger.cached(self.asked)
        except WarehouseError as error:
            raise _NextError(str(error), "unasked") from error
        if found is None or not self.request.is_whole(found.text):
            return None
        self.ledger.write(
            self.asked,
            Outcome(
                "ok",
                tokens_in=found.tokens_in,
                tokens_out=found.tokens_out,
                cost=found.cost,
                seconds=time.monotonic() - began,
                is_cached=True,
            ),
        )
        return self._completion(found, is_cached=True)

    def keep(self, completion: Completion) -> None:
        if not self.entry.is_narrator:
            self.ledger.keep(
                self.asked, Cached(completion.text, completion.tokens_in, completion.tokens_out, completion.cost)
            )

    def answered(self) -> Generator[Event, None, Completion]:
        """Ask, again where that may help, and write down what came of it."""
        key = api_key(self.entry)
        if key is None and self.entry.api_key_variable is not None:
            raise _NextError(missing_key(self.entry.api_key_variable), "unasked")
        if time.monotonic() >= self.deadline:
            raise _NextError(f"no time is left of {self.config.deadline_seconds:g} s", "unasked")
        paused = self.circuits.paused(self.name, self.entry, self.silence)
        if paused is not None:
            raise _NextError(paused, "paused")
        call = engine.Call(
            model=self.entry.model,
            messages=self.messages,
            api_base=self.entry.api_base,
            api_key=None if key is None else key.get_secret_value(),
            temperature=self.config.temperature,
            max_tokens=self.max_tokens,
            silence_seconds=self.silence,
            narrate=self.request.narrate,
        )
        try:
            number = self._reserve()
        except _NextError:
            self.circuits.undecided(self.name, self.entry)
            raise
        began = time.monotonic()

        def settle(status: Literal["ok", "failed"], error: str | None) -> None:
            outcome = self._outcome(status, error, time.monotonic() - began)
            if number is None:
                self.ledger.write(self.asked, outcome)
            else:
                self.ledger.settle(number, self.asked, outcome)

        try:
            text = yield from self._attempts(call)
        except EngineError as error:
            # The narrator is code of ours: it is always there.
            if error.is_down and not self.entry.is_narrator:
                pause = max(self.config.pause_seconds, error.pause or 0.0)
                self.circuits.failed(self.name, self.entry, str(error), pause)
            else:
                self.circuits.answered(self.name, self.entry)
            settle("failed", str(error))
            raise _NextError(str(error), "down" if error.is_down else "unusable") from error
        except EnoughError:
            self.is_stopped = True
            self.circuits.answered(self.name, self.entry)
            settle("failed", "stopped: what it said is of no use")
            return self._completion(self._taken(""))
        except (GeneratorExit, LeftError):
            self.circuits.undecided(self.name, self.entry)
            settle("failed", "whoever asked has left")
            raise
        except BaseException as error:
            self.circuits.undecided(self.name, self.entry)
            settle("failed", type(error).__name__)
            raise
        self.circuits.answered(self.name, self.entry)
        settle("ok", None)
        return self._completion(self._taken(text))

    def _reserve(self) -> int | None:
        """Set aside the most that all attempts may take; the narrator takes nothing."""
        if self.entry.is_narrator:
            return None
        times = self.config.retries + 1
        # Tokens of some languages have two characters.
        usage = engine.Usage(
            times * (sum(len(message["content"]) for message in self.messages) // 2), times * self.max_tokens
        )
        most = Outcome(
            "asked",
            tokens_in=usage.tokens_in,
            tokens_out=usage.tokens_out,
            cost=engine.cost_of(self.entry.model, self.entry.prices, usage),
        )
        try:
            return self.ledger.reserve(self.asked, most, self.config.budget)
        except (BudgetError, WarehouseError) as error:
            raise _NextError(str(error), "unasked") from error

    def _attempts(self, call: engine.Call) -> Generator[Event, None, str]:
        while True:
            self.attempts += 1
            try:
                return (yield from self._attempt(call))
            except EngineError as error:
                if self.has_shown:
                    self.has_shown = False
                    yield Restart(str(error))
                # Where another entry can be asked, that is faster than to wait for the same silence again.
                may_pass = error.may_pass or (error.is_slow and self.name == self.config.use[-1])
                wait = _BACK_OFF_SECONDS * 2 ** (self.attempts - 1) if error.pause is None else error.pause
                if (
                    not may_pass
                    or self.attempts > self.config.retries
                    or wait > self.config.patience_seconds
                    or time.monotonic() + wait >= self.deadline
                ):
                    raise
            self.request.asker.pause(wait)

    def _attempt(self, call: engine.Call) -> Generator[Event, None, str]:
        """One stream; gives its text.

        Raises:
            EngineError: it is not one, or not whole.
        """
        cutter, said, voided = Cutter(), "", 0
        self.stream = stream = engine.Stream(call, self.deadline, self.request.asker)
        try:
            for raw in stream:
                piece = cutter.feed(raw)
                if cutter.voided > voided:
                    voided, said = cutter.voided, ""
                    if self.has_shown:
                        self.has_shown = False
                        yield Restart("what was said before was thought")
                piece = piece if said else piece.lstrip()
                if piece:
                    said += piece
                    self.has_shown = True
                    yield Piece(piece)
            last = cutter.end()
            if last:
                said += last
                self.has_shown = True
                yield Piece(last)
        finally:
            stream.close()
            self.tokens_in += stream.usage.tokens_in
            self.tokens_out += stream.usage.tokens_out
        text = said.strip()
        if not text:
            raise EngineError("said nothing", may_pass=True)
        if not self.request.is_whole(text):
            raise EngineError("the answer does not end as it should", may_pass=True)
        return text

    def _taken(self, text: str) -> Cached:
        """A text, and what it took."""
        usage = engine.Usage(self.tokens_in, self.tokens_out)
        cost = engine.cost_of(self.entry.model, self.entry.prices, usage)
        return Cached(text, self.tokens_in, self.tokens_out, cost)

    def _outcome(self, status: Literal["ok", "failed"], error: str | None, seconds: float) -> Outcome:
        stream = self.stream
        rate = None
        if status == "ok" and stream is not None and stream.first_token_seconds is not None and self.tokens_out:
            rate = stream.usage.tokens_out / max(stream.seconds - stream.first_token_seconds, 1e-3)
        return Outcome(
            status,
            error,
            self.attempts,
            *self._taken("")[1:],
            seconds=seconds,
            first_token_seconds=None if stream is None else stream.first_token_seconds,
            tokens_per_second=rate,
        )

    def _completion(self, said: Cached, is_cached: bool = False) -> Completion:
        return Completion(
            text=said.text,
            entry=self.name,
            model=self.entry.model,
            prompt_version=self.asked.prompt_version,
            input_hash=self.asked.input_hash,
            tokens_in=said.tokens_in,
            tokens_out=said.tokens_out,
            cost=said.cost,
            seconds=0.0,
            first_token_seconds=None if self.stream is None else self.stream.first_token_seconds,
            attempts=self.attempts,
            is_cached=is_cached,
            failures=(),
        )
