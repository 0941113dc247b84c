"""Answers to customers' questions: from the products that a search finds, each sentence checked before it is shown."""

from __future__ import annotations

import logging
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from assets.search.answering import AnswersConfig
from assets.search.fresh import Fresh, read_fresh
from assets.search.grounding import Grounding, Sentences, cleaned, stems_of
from assets.search.material import Shown, shown_of
from assets.search.narration import Reason, narrate, refusal
from assets.search.relevance import Order, Relevant, Wish, find, is_beyond, wish_of
from assets.search.retrieve import Searcher
from assets.search.rewriting import Turn, is_usable, joined, tidy
from assets.search.stages import Record, Records
from assets.search.untrusted import data, impersonal, plain
from assets.search.vocabulary import known
from resources.llm.client import Completion, EnoughError, Llm, LlmError, Message, Piece, Request, Restart
from resources.llm.engine import Asker, LeftError
from resources.warehouse import WarehouseError

if TYPE_CHECKING:
    from resources.shops import Shop
    from resources.warehouse import Warehouse

__all__ = ["Answer", "AnswerError", "Answerer", "Done", "Event", "Replaced", "Said", "Source", "Sources", "Turn"]

LONGEST_QUESTION = 2000
"""Characters."""
SHOWN_TURN = 1000
"""So many characters of what was asked or answered before are shown to a model."""
PRICED = 500
"""Where an order of prices is asked for, so many products that fit best are looked at."""
NEAR = 0.75
"""Of them, what fits less than such a share of what fits best is left out."""
NARRATOR = "narrator/v1"
"""What is named as the model where no language model has answered."""

_NO_ANSWER = re.compile(r"\W*NO[_ ]ANSWER\W*")
_WHOLE = re.compile(r"(?:[.!?…:\]][\"'’”)\]*]*|NO[_ ]ANSWER)\s*$")
_log = logging.getLogger("cartograph.answers")


class AnswerError(ValueError):
    """A question cannot be taken as it was asked; the message says why."""


@dataclass(frozen=True)
class Source:
    """A product that an answer may speak of, with its price at this moment.

    Attributes:
        score: how well it fits the question, comparable between questions.
        price: None where it has none, or where it could not be read.
    """

    product_id: str
    title: str
    score: float
    price: Decimal | None
    currency: str | None


@dataclass(frozen=True)
class Sources:
    """The products that were found, those with the highest score first; none where nothing fits."""

    products: tuple[Source, ...]


@dataclass(frozen=True)
class Said:
    """The next part of the answer: whole sentences, checked. All since the last `Replaced` together are its text."""

    text: str


@dataclass(frozen=True)
class Replaced:
    """What was said so far is void; the answer begins anew."""

    reason: str


@dataclass(frozen=True)
class Answer:
    """The whole answer.

    Attributes:
        reason: why it was refused; None where it was answered.
        cited: the products that the text cites, in its order.
        model: who wrote it; None where nobody was asked.
        query: what was searched for.
        seconds: of each stage: rewrite, retrieve, fresh, write; `first` until something was said; `total`.
    """

    text: str
    refused: bool
    reason: str | None
    cited: tuple[str, ...]
    model: str | None
    prompt_version: str | None
    query: str
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Done:
    """The end of an answer."""

    answer: Answer


Event = Sources | Said | Replaced | Done


class Answerer:
    """Answers questions on the products of one shop. Any thread may ask."""

    def __init__(
        self,
        llm: Llm,
        searcher: Searcher,
        shop: Shop,
        warehouse: Warehouse | None,
        config: AnswersConfig,
        log_file: Path | None,
    ) -> None:
        """
        Args:
            searcher: of the shop's collection.
            warehouse: where prices are read and answers are recorded; without it, or where it is away, no price is
                said, and a product that is gone since the collection was published is not noticed.
            log_file: takes one line of JSON for each question; None: none is written.
        """
        self.llm, self.searcher, self.shop, self.config = llm, searcher, shop, config
        self._warehouse = warehouse
        self._records = Records(warehouse, log_file)
        self._stems = stems_of(searcher.reader.manifest.language)

    def answer(
        self, question: str, history: Sequence[Turn] = (), asker: Asker | None = None
    ) -> Generator[Event, None, None]:
        """Answer a question: `Sources` once, then `Said`, with `Replaced` between them, and `Done` at the end.

        Whoever has heard enough closes the iterator, which ends the work.

        Args:
            history: what was said before, the last at the end. It is a customer's word, and no evidence of anything.
            asker: who may leave while the iterator waits for a model.

        Raises:
            AnswerError: the question is empty, or longer than 2,000 characters.
            CollectionError: the collection cannot be read.
            LeftError: the asker has left.
        """
        if len(question) > LONGEST_QUESTION:
            raise AnswerError(
                f"the question has {len(question):,} characters, and may have {LONGEST_QUESTION:,}; shorten it"
            )
        asked = plain(impersonal(question), LONGEST_QUESTION)
        if not asked:
            raise AnswerError("the question is empty; ask something")
        turns = [
            Turn(plain(impersonal(turn.question), SHOWN_TURN), plain(impersonal(turn.answer), SHOWN_TURN))
            for turn in history[max(0, len(history) - self.config.turns) :]
        ]
        return _Answering(self, asked, turns, asker or Asker()).events()


class _Answering:
    """One question."""

    def __init__(self, by: Answerer, question: str, turns: list[Turn], asker: Asker) -> None:
        self.by, self.question, self.turns, self.asker = by, question, turns, asker
        self.record = Record.of(by.shop.name, question, len(turns))
        self.shown: list[Shown] = []
        self.order: Order | None = None
        self.reason: Reason | None = None
        self.said: list[str] = []
        self.is_line_ended = False
        self._begin()

    def events(self) -> Generator[Event, None, None]:
        try:
            yield from self._stages()
        except (GeneratorExit, LeftError):
            self.record.outcome = "left"
            raise
        except BaseException as error:
            self.record.reason = f"{type(error).__name__}: {error}"[:500]
            raise
        finally:
            self.record.since("total")
            self.by._records.write(self.record)
        yield Done(self.answer)

    def _stages(self) -> Iterator[Event]:
        record, by = self.record, self.by
        with record.stage("rewrite"):
            query = self._query()
        wish = self._wish(query)
        record.query = wish.text
        with record.stage("retrieve"):
            found, fitting = self._found(wish)
        with record.stage("fresh"):
            fresh = self._fresh(fitting)
        self.shown, self.order = self._wished(shown_of(fitting, fresh), wish), wish.order
        ids = {one.product_id for one in self.shown}
        record.retrieved = [
            {
                "product_id": one.product_id,
                "score": round(one.score, 6),
                "relevance": round(one.relevance, 6),
                "is_shown": one.product_id in ids,
            }
            for one in found
            if wish.order is None or one.product_id in ids
        ]
        relevance = {one.product_id: one.relevance for one in found}
        yield Sources(
            tuple(
                Source(one.product_id, one.title, relevance[one.product_id], one.price, one.currency)
                for one in sorted(self.shown, key=lambda one: -relevance[one.product_id])
            )
        )
        if is_beyond(self.question, [one.text for one in self.shown], by._stems):
            yield from self._refused("beyond the data")
        elif self.shown:
            with record.stage("write"):
                yield from self._written()
        else:
            is_gone = bool(fitting) and fresh is not None and not fresh
            yield from self._refused("gone" if is_gone else "nothing found")

    # Before the model

    def _query(self) -> str:
        """What to search with: the question, or what a model makes of it where something was said before."""
        by, stems = self.by, self.by._stems
        fallback = joined(self.question, self.turns, stems)
        if not self.turns or is_beyond(self.question, (), stems):
            return fallback
        prompt = by.llm.prompt("rewrite")
        said = {"conversation": [vars(turn) for turn in self.turns], "question": self.question}
        request = Request(
            purpose="rewrite",
            shop=by.shop.name,
            prompt=prompt,
            messages=(Message("user", data("conversation", said)),),
            narrate=lambda: fallback,
            asker=self.asker,
        )
        self.record.rewrite_prompt_version = prompt.version
        try:
            made = by.llm.complete(request)
        except LlmError as error:
            _log.warning(f"{by.shop.name}: a question was searched for as it was asked: {error}")
            return fallback
        self.record.spend(made.tokens_in, made.tokens_out, made.cost)
        query = tidy(made.text)
        if not is_usable(query, self.question, self.turns, stems):
            return fallback
        self.record.is_rewritten = query != self.question
        return query

    def _wish(self, query: str) -> Wish:
        """What a query asks for; a bound of the question stands before one that was asked for earlier."""
        currency = self.by.shop.currency
        made, asked = wish_of(query, currency), wish_of(self.question, currency)
        return Wish(made.text, asked.within(made), asked.order or made.order)

    def _found(self, wish: Wish) -> tuple[list[Relevant], list[Relevant]]:
        """What a search finds, and what of it is to be answered from."""
        by = self.by
        if wish.order is None:
            found = find(by.searcher, wish.text, by.config.products, wish.where)
            return found, [one for one in found if one.relevance >= by.config.threshold]
        found = find(by.searcher, wish.text, PRICED, wish.where)
        # The lowest price is looked for among what fits about as well as the best.
        least = max((by.config.threshold, *(NEAR * one.relevance for one in found)))
        found = [one for one in found if one.relevance >= least]
        return found, found

    def _wished(self, shown: list[Shown], wish: Wish) -> list[Shown]:
        """The products whose price of this moment is what was asked for, in the order that was asked for."""
        priced = [one for one in shown if one.price is not None and one.currency == self.by.shop.currency]
        if wish.bounds:
            shown = priced = [one for one in priced if one.price is not None and wish.is_met(one.price)]
        if priced and wish.order:
            shown = sorted(priced, key=lambda one: one.price or 0, reverse=wish.order == "highest")
        return shown[: self.by.config.products]

    def _fresh(self, found: Sequence[Relevant]) -> dict[str, Fresh] | None:
        if self.by._warehouse is None or not found:
            return None
        import psycopg

        try:
            return read_fresh(self.by._warehouse, self.by.shop.name, [one.product_id for one in found])
        except (WarehouseError, psycopg.Error) as error:
            _log.warning(f"{self.by.shop.name}: an answer does without prices: {error}")
            return None

    # The model

    def _begin(self) -> None:
        self.said, self.is_line_ended, self.record.left_out = [], False, 0
        self.sentences = Sentences(self.shown)
        self.is_grave = self.is_unanswered = False

    def _grounding(self) -> Grounding:
        # What was found without an order of prices is not all that there is: nothing is the cheapest.
        return Grounding(self.shown, self.by.shop.language, [self.order] if self.order else [])

    def _written(self) -> Iterator[Event]:
        by, record = self.by, self.record
        prompt = by.llm.prompt("answer")
        record.prompt_version = prompt.version
        narrated = narrate(self.shown, by.shop.language)
        request = Request(
            purpose="answer",
            shop=by.shop.name,
            prompt=prompt,
            messages=(Message("user", self._told()),),
            narrate=lambda: narrated,
            is_whole=lambda text: bool(_WHOLE.search(text)),
            asker=self.asker,
        )
        self._begin()
        self.grounding = self._grounding()
        stream = by.llm.stream(request)
        try:
            for event in stream:
                match event:
                    case Piece(text):
                        yield from self._checked(self.sentences.feed(text))
                        if self.is_grave:
                            self._note(stream.throw(EnoughError()))
                            break
                    case Restart():
                        yield from self._void("the model broke off, and the answer begins anew")
                        self.grounding = self._grounding()
                    case Completion():
                        self._note(event)
                        yield from self._checked(self.sentences.end())
        except LlmError as error:
            _log.warning(f"{by.shop.name}: an answer is the narrator's: {error}")
            record.reason = str(error)[:500]
            record.model = NARRATOR
            yield from self._void("no language model has answered")
            self.grounding = self._grounding()
            yield from self._checked([*self.sentences.feed(narrated), *self.sentences.end()])
        finally:
            stream.close()
        yield from self._ended()

    def _note(self, event: object) -> None:
        """Write down who wrote the answer, and what it took."""
        assert isinstance(event, Completion), "what ends a stream"
        self.record.entry, self.record.model = event.entry, event.model
        self.record.spend(event.tokens_in, event.tokens_out, event.cost)

    def _told(self) -> str:
        said = {
            "said before": [vars(turn) for turn in self.turns],
            "question": self.question,
            "language of the answer": _name_of(known(self.by.shop.language)),
        }
        return "\n\n".join(
            (
                data("products", [one.to_data() for one in self.shown]),
                data("question", {name: value for name, value in said.items() if value}),
            )
        )

    def _checked(self, sentences: Sequence[str]) -> Iterator[Said]:
        """Say the sentences that hold, up to the first that makes all of them doubtful."""
        for sentence in sentences:
            if _NO_ANSWER.fullmatch(sentence):
                self.is_unanswered = True
                continue
            text = cleaned(sentence)
            if not any(mark.isalnum() for mark in text):
                continue
            faults = self.grounding.check(text)
            if faults:
                self.record.blame(faults)
                self.record.left_out += 1
                if any(fault.is_grave for fault in faults):
                    self.is_grave = True
                    return
            else:
                is_new_line = self.is_line_ended or sentence.lstrip(" ").startswith("\n")
                yield self._say(("" if not self.said else "\n" if is_new_line else " ") + text)
            self.is_line_ended = sentence.endswith("\n")

    def _say(self, text: str) -> Said:
        self.record.since("first")
        self.said.append(text)
        return Said(text)

    def _void(self, reason: str) -> Iterator[Replaced]:
        if self.said:
            yield Replaced(reason)
        self._begin()

    # The end

    def _ended(self) -> Iterator[Event]:
        if self.is_unanswered and not self.is_grave:
            yield from self._refused("not in the catalogue")
        elif self.is_grave or not self.grounding.cited:
            yield from self._refused("not grounded")
        else:
            self._done(None, self.grounding.cited)

    def _refused(self, reason: Reason) -> Iterator[Event]:
        left_out = self.record.left_out
        yield from self._void(reason)
        self.record.left_out = left_out
        yield self._say(refusal(reason, self.by.shop.title, self.by.shop.language))
        self._done(reason, [])

    def _done(self, reason: Reason | None, cited: Sequence[str]) -> None:
        record = self.record
        record.outcome = "answered" if reason is None else "refused"
        record.reason = reason or record.reason
        record.cited = list(cited)
        self.reason = reason

    @property
    def answer(self) -> Answer:
        record = self.record
        return Answer(
            "".join(self.said),
            record.outcome == "refused",
            self.reason,
            tuple(record.cited),
            record.model,
            record.prompt_version,
            record.query,
            dict(record.seconds),
        )


def _name_of(language: str) -> str:
    """A language by its English name."""
    from babel import Locale, UnknownLocaleError

    try:
        return Locale.parse(language).get_display_name("en") or language
    except (UnknownLocaleError, ValueError):
        return language
