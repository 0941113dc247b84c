"""Whether a text about a day may be published: its form, its words, and what it claims by the facts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from assets.summaries.claims import Context, Fault, Reader
from assets.summaries.facts import DayFacts
from assets.summaries.formatting import PLACEHOLDER
from assets.summaries.lexicon import Lexicon, lexicon_of
from assets.summaries.reading import Sentence, read, sentences
from assets.summaries.vocabulary import Names, countries

LONGEST = 2_000
"""So many characters a text may have."""
MOST_SENTENCES = 6
FEWEST_WORDS = 4
_MARKUP = re.compile(
    r"https?:|www\.|\b[\w-]+\.(?:com|net|org|io|html?|example|br|shop)\b|[\w.]+@\w|[<>`*#|\[\]\\^~=_$€£¥%@§]"
    r"|^\s*[-•+]\s",
    re.IGNORECASE | re.MULTILINE,
)
_LETTERS = re.compile(r"[^\W\d_]")
_FORBIDDEN = {
    "advice": "Give no advice and no judgement of what matters.",
    "anomaly": "Say nothing of what is usual but where a metric left its usual range.",
    "cause": "State no causes and no assumptions: the facts do not hold them.",
    "circumstance": "Speak only of what the facts hold, not of circumstances around them.",
    "comparison": "Do not compare one change with another.",
    "forecast": "State nothing about the future.",
    "instruction": "Write the summary alone.",
    "negation": "Say what was so, not what was not.",
    "number_word": "Write no numbers or quantities in words: every number stands as its id in braces.",
    "other_shops": "Speak of no other shops.",
    "strength": "Leave out words that judge or say how large a figure or a change is.",
    "superlative": "Rank nothing, and compare the day only with the references of the facts.",
    "vague": "Name the metrics that you mean.",
    "wrong_date": "Name no times but those of the facts, as their ids.",
}
"""What a text may not say whatever the facts: the kind of a forbidden word -> what is told to who wrote it."""


def check(text: str, facts: DayFacts, names: Names) -> list[Fault]:
    """What is wrong in a text with `{id}`s; empty where it may be published.

    English and Portuguese are judged. In other languages only the narrator's own text passes, for no word of
    them is understood here.
    """
    lexicon = lexicon_of(facts.language)
    if lexicon is None:
        return _only_the_narrator(text, facts)
    faults = list(_form(text, facts))
    if faults:
        return faults
    faults += _names(text, names, lexicon)
    read_sentences = read(text, facts, lexicon)
    context = Context()
    for sentence in read_sentences:
        faults += _words(sentence, lexicon)
        faults += Reader(facts, lexicon, context).read(sentence)
    return faults


def _only_the_narrator(text: str, facts: DayFacts) -> list[Fault]:
    from assets.summaries.narration import narrate

    if text == narrate(facts):
        return []
    return [Fault("language", f"No text in {facts.language!r} can be judged: the narrator writes it.", text[:60])]


def _form(text: str, facts: DayFacts) -> Iterator[Fault]:
    """What needs no understanding: length, digits, ids, markup."""
    if not _LETTERS.search(PLACEHOLDER.sub(" ", text)) or len(PLACEHOLDER.sub("x", text).split()) < FEWEST_WORDS:
        yield Fault("length", "Write whole sentences about the day.", text[:60])
        return
    if len(text) > LONGEST or len(sentences(text)) > MOST_SENTENCES:
        yield Fault("length", "Write 3 to 6 sentences.", text[-60:])
        return
    found = PLACEHOLDER.findall(text)
    for identifier in found:
        if identifier not in facts.facts:
            said = f"{{{identifier}}} is no fact of this day: use only the ids that are listed."
            yield Fault("unknown_id", said, f"{{{identifier}}}")
    if not found:
        yield Fault("length", "Write the figures of the day by their ids in braces.", text[:60])
    elif found[0] != "date":
        yield Fault("wrong_date", "Begin with the day, {date}.", text[:60])
    bare = PLACEHOLDER.sub(" ", text)
    if re.search(r"[{}]", bare):
        yield Fault("unknown_id", "Write an id in one pair of braces and nothing else in braces.", text[:60])
    if markup := _MARKUP.search(bare):
        yield Fault("markup", "Write plain text without markup, symbols or addresses.", markup[0])
    for letter in bare:
        category = unicodedata.category(letter)
        if category[0] == "N":
            yield Fault("digit", "Write no digits: every number stands as its id in braces.", letter)
            return
        if category in ("Cc", "Cf", "Co", "Cs", "Cn", "So") and letter not in "\n\u200b":
            yield Fault("markup", "Write plain letters and punctuation.", repr(letter))
            return
        if category[0] == "L" and not unicodedata.name(letter, "").startswith(("LATIN", "FEMININE", "MASCULINE")):
            yield Fault("language", f"Write in the language {facts.language!r} with Latin letters.", letter)
            return


def _words(sentence: Sentence, lexicon: Lexicon) -> Iterator[Fault]:
    """Words that a summary may not have whatever the facts, and those of which nothing is known: they may name a
    product or a circumstance, or say a direction."""
    for item in sentence.items:
        if item.tag == "forbidden":
            yield Fault(item.value, _FORBIDDEN[item.value], item.said)
        elif item.tag == "bound":
            yield Fault("strength", "The facts are exact: write no over, under or more than before them.", item.said)
        elif item.tag == "word" and not lexicon.is_plain(item.value):
            yield Fault("unknown_word", "Write plain words about the figures of the facts alone.", item.said)


def _names(text: str, names: Names, lexicon: Lexicon) -> Iterator[Fault]:
    """Products, categories and countries in clear text, and words with a large letter that begin no sentence."""
    for sentence in sentences(text):
        bare = PLACEHOLDER.sub(" . ", sentence)
        if place := countries(lexicon.language).found(bare):
            yield Fault("name", "Write a country only by its id in braces, and none that has no id.", place)
        if name := names.found(bare):
            yield Fault("name", "Write a product or category only by its id in braces, and none that has no id.", name)
        for found in re.finditer(r"[^\W\d_]+(?:['’-][^\W\d_]+)*", sentence):
            word = found[0]
            if PLACEHOLDER.search(sentence, max(0, found.start() - 1)) and _in_braces(sentence, found.start()):
                continue
            is_first = not _LETTERS.search(sentence[: found.start()]) and "{" not in sentence[: found.start()]
            if (word[0].isupper() and not is_first) or (is_first and len(word) > 1 and word[1:].isupper()):
                yield Fault("name", "Write no names of your own; products and countries stand as ids.", word)


def _in_braces(sentence: str, at: int) -> bool:
    return sentence.rfind("{", 0, at) > sentence.rfind("}", 0, at)
