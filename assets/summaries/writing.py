"""Writing one day's summary: a model writes, the checker judges, and at last the narrator's text is published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import monotonic

from assets.summaries.checker import check, rules_version
from assets.summaries.claims import Fault
from assets.summaries.facts import DayFacts, Fact
from assets.summaries.formatting import render
from assets.summaries.narration import narrate, written_in
from resources.llm.client import Completion, Llm, LlmError, Message, Request
from resources.llm.narrator import MODEL as NARRATOR

PURPOSE = "summary"
"""The name of the prompt, and what the calls are recorded as."""
STAND_IN = "narrator"
"""Who wrote a text where no model's passed."""
_ENDS = (".", "!", "?")
_DIRECTIONS = {1: "up", 0: "unchanged", -1: "down"}


@dataclass(frozen=True)
class Refused:
    """A text that a model wrote and that was not published."""

    text: str
    entry: str
    model: str
    faults: tuple[Fault, ...]

    @property
    def said(self) -> list[str]:
        """What was wrong with it, each with the words that are meant."""
        return [f"{fault.said} ({fault.at})" if fault.at else fault.said for fault in self.faults]

    @property
    def kinds(self) -> list[str]:
        return [fault.kind for fault in self.faults]


@dataclass(frozen=True)
class Written:
    """A day's summary and how it came to be.

    Attributes:
        text: with the ids of facts in braces.
        rendered: with the facts.
        language: in which it is written.
        entry, model: what wrote it.
        asked: the model that was to write it.
        cost: of all attempts, in dollars; None where no price is known.
        attempts: texts that models wrote for it.
        rules_version: of the checker and the narrator.
        is_grounded: False where no model's text passed, and the narrator's stands in its place.
        failure: why no model answered.
    """

    facts: DayFacts
    text: str
    rendered: str
    language: str
    entry: str
    model: str
    asked: str
    prompt_version: str
    rules_version: str
    tokens_in: int
    tokens_out: int
    cost: float | None
    seconds: float
    attempts: int
    is_cached: bool
    is_grounded: bool
    refused: tuple[Refused, ...]
    failure: str | None


def asked_of(llm: Llm, shop: str) -> str:
    """The model that is to write a shop's summaries: the first of those in use."""
    config = llm.config(shop)
    return config.entries[config.use[0]].model


def write(llm: Llm, facts: DayFacts, attempts: int = 2, run_id: str | None = None) -> Written:
    """The summary of a day: a model's text that the checker passes, else the narrator's.

    Args:
        attempts: so often a model is asked; each time after the first with what was wrong.

    Raises:
        ValueError: no metric of the day is known.
        ModelsError, PromptError: the settings or the prompt cannot be used.
    """
    began, prompt = monotonic(), llm.prompt(PURPOSE)
    language = written_in(facts.language)
    # What is written, checked and shown is in one language, whatever the shop's is.
    spoken = replace(facts, language=language)
    narrated = narrate(spoken)
    messages = [Message("user", _question(spoken))]
    answers: list[Completion] = []
    refused: list[Refused] = []
    passed, failure = False, None
    while not passed and len(answers) < attempts:
        request = Request(PURPOSE, facts.shop, prompt, tuple(messages), lambda: narrated, _is_whole, run_id)
        try:
            answer = llm.complete(request)
        except LlmError as error:
            failure = str(error)
            break
        answers.append(answer)
        if answer.model == NARRATOR:
            # It is one of the entries in use. Its text is published in any case, and holds what the facts say.
            failure = "; ".join(answer.failures) or None
            passed = failure is None
            break
        faults = check(answer.text, spoken)
        passed = not faults
        if faults:
            refused.append(Refused(_storable(answer.text), answer.entry, answer.model, tuple(faults)))
            messages += [Message("assistant", answer.text), Message("user", _again(refused[-1]))]
    costs = [answer.cost for answer in answers if answer.cost is not None]
    text = answers[-1].text.strip() if passed else narrated
    return Written(
        facts=facts,
        text=text,
        rendered=render(text, spoken),
        language=language,
        entry=answers[-1].entry if passed else STAND_IN,
        model=answers[-1].model if passed else NARRATOR,
        asked=asked_of(llm, facts.shop),
        prompt_version=prompt.version,
        rules_version=rules_version(language),
        tokens_in=sum(answer.tokens_in for answer in answers),
        tokens_out=sum(answer.tokens_out for answer in answers),
        cost=sum(costs) if costs else None,
        seconds=monotonic() - began,
        attempts=len(answers),
        is_cached=bool(answers) and all(answer.is_cached for answer in answers),
        is_grounded=passed,
        refused=tuple(refused),
        failure=failure,
    )


def _question(facts: DayFacts) -> str:
    """What a model is asked: no value and no title is in it, for what is not there can be neither copied nor obeyed."""
    from babel import Locale

    language = Locale("en").languages[facts.language]
    lines = [f"{{{fact.id}}} | {fact.said} | {_direction(fact)}" for fact in facts.facts.values()]
    return "\n".join(["The facts:", "", *lines, "", f"Write the summary in {language}."])


def _storable(text: str) -> str:
    """A text without what Postgres cannot hold."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _direction(fact: Fact) -> str:
    if fact.anomaly is not None:
        return f"unusually {fact.anomaly}"
    if fact.is_change:
        return _DIRECTIONS[fact.sign]
    is_none = fact.kind == "count" and fact.value == 0
    return "none at all" if is_none else ""


def _again(refused: Refused) -> str:
    lines: Sequence[str] = [f"- {said}" for said in refused.said]
    return "\n".join(
        ["The summary cannot be published:", *lines, "", "Write the whole of it again without these faults."]
    )


def _is_whole(text: str) -> bool:
    """Whether a text ends as a sentence does: a stream that was cut ends anywhere."""
    return text.rstrip().rstrip("\"'”’»*)").endswith(_ENDS)
