"""BM25 as sparse vectors, the same for both engines, whose part is the inverse document frequency."""

from __future__ import annotations

from collections.abc import Sequence

LANGUAGES = {
    "ar": "arabic",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "es": "spanish",
    "fi": "finnish",
    "fr": "french",
    "hu": "hungarian",
    "it": "italian",
    "nl": "dutch",
    "no": "norwegian",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sv": "swedish",
    "tr": "turkish",
}
"""Languages with stop words and a stemmer, by the code that config/shops.yaml uses."""

Sparse = tuple[Sequence[int], Sequence[float]]


class Bm25:
    """Texts and queries as indices and weights of words (Robertson and Zaragoza, 2009).

    Args:
        language: one of `LANGUAGES`' values, or `none`: then words are taken as they stand.
        average_length: words of a text in the collection; longer texts count less a word.
    """

    def __init__(self, language: str, average_length: float) -> None:
        import qdrant_edge as edge

        length = max(1.0, average_length)
        if language == "none":
            config = edge.Bm25Config(
                avg_len=length,
                ascii_folding=True,
                stopwords=edge.StopwordsSet(custom=set()),
                stemmer=edge.DisabledStemmer(),
            )
        else:
            config = edge.Bm25Config(avg_len=length, ascii_folding=True, language=language)
        self._model = edge.Bm25(config)

    def document(self, text: str) -> Sparse:
        made = self._model.embed_document(text)
        return made.indices, made.values

    def query(self, text: str) -> Sparse:
        made = self._model.embed_query(text)
        return made.indices, made.values


def language_of(code: str) -> str:
    """The language of a shop as the stemmer calls it; `none` where there is none for it."""
    return LANGUAGES.get(code, "none")


def average_length(texts: Sequence[str]) -> float:
    """Words of a text, on average; 1 where there is no text."""
    return sum(len(text.split()) for text in texts) / len(texts) if texts else 1.0
