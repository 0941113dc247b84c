"""What is said of the products that were found where no language model says it, and the words of refusals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from assets.search.material import Shown

Reason = Literal["nothing found", "gone", "beyond the data", "not in the catalogue", "not grounded"]
"""Why a question is refused. beyond the data: it is on stock, delivery or the like; not in the catalogue: the model
says so; not grounded: what it said did not hold."""
NAMED = 5
"""At most so many products."""

_FOUND = {
    "en": ("One product of the catalogue comes closest:", "These products of the catalogue come closest:"),
    "pt": ("Um produto do catálogo é o mais próximo:", "Estes produtos do catálogo são os mais próximos:"),
}
_REFUSED: dict[str, dict[Reason, str]] = {
    "en": {
        "nothing found": "I found nothing in the catalogue of {shop} that fits this question. I can only answer from "
        "its products; the catalogue is in {language}.",
        "gone": "What I found for this question is no longer in the catalogue of {shop}.",
        "beyond the data": "I can say what the catalogue of {shop} holds on products and their prices, and nothing on "
        "stock, discounts, delivery, returns, payment or health.",
        "not in the catalogue": "The catalogue of {shop} does not answer this question. What came closest is listed "
        "as sources.",
        "not grounded": "I cannot answer this with what the catalogue of {shop} says. What came closest is listed as "
        "sources.",
    },
    "pt": {
        "nothing found": "Não encontrei no catálogo de {shop} nada que corresponda a esta pergunta. Só posso responder "
        "com base nos produtos; o catálogo está em {language}.",
        "gone": "O que encontrei para esta pergunta já não está no catálogo de {shop}.",
        "beyond the data": "Posso dizer o que o catálogo de {shop} contém sobre produtos e seus preços, e nada sobre "
        "estoque, descontos, entrega, devoluções, pagamento ou saúde.",
        "not in the catalogue": "O catálogo de {shop} não responde a esta pergunta. O que mais se aproxima está nas "
        "fontes.",
        "not grounded": "Não posso responder com o que diz o catálogo de {shop}. O que mais se aproxima está nas "
        "fontes.",
    },
}


def narrate(products: Sequence[Shown], language: str) -> str:
    """The products with their ids and prices, one a line; in English where the language is none that is known here.

    Nothing is said of whether they are what was asked for.
    """
    one, several = _FOUND.get(language, _FOUND["en"])
    lines = [
        f"{product.title} [{product.product_id}]"
        + (f", {product.said_price}." if product.said_price is not None else ".")
        for product in products[:NAMED]
    ]
    return "\n".join([one if len(lines) == 1 else several, *lines])


def refusal(reason: Reason, shop: str, language: str) -> str:
    """Why there is no answer, in words.

    Args:
        shop: its title.
        language: of the shop.
    """
    from babel import Locale, UnknownLocaleError

    said = language if language in _REFUSED else "en"
    try:
        name = Locale.parse(language).get_display_name(said) or language
    except (UnknownLocaleError, ValueError):
        name = language
    return _REFUSED[said][reason].format(shop=shop, language=name)
