"""The wording of Olist's simulated reviews: Portuguese sentences by aspect and polarity, spelt as people write."""

from __future__ import annotations

import unicodedata
from random import Random

POLARITIES = ("negative", "mixed", "neutral", "positive")
_LONGEST = 200  # characters, as the form of the public set takes

# {prod} is a noun of the category with its article, {Prod} the same at the start of a sentence, {item} the noun alone.
# `@` becomes o or a by the gender of that noun.
_OLD: dict[str, tuple[str, ...]] = {
    "product+": (
        "{Prod} é {good}", "{Prod} chegou {whole} e é {good}", "Gostei muito d{prod}",
        "{Prod} superou o que eu esperava",
        "{item} de {fine} qualidade", "{Prod} é igual à foto do anúncio", "{fine_c} aparência, {good}",
        "Adorei, {prod} ficou {good} aqui em casa", "Estou usando há {days} dias e está funcionando muito bem",
        "Comprei para {who} e ela amou", "Comprei para {who}, que ficou muito feliz", "{Prod} é {good} e {good}",
        "Vale cada centavo", "{fine_c} relação de custo e benefício", "{Prod} atendeu às minhas expectativas",
        "{item} conforme a descrição, {good}", "Produto original e {good}", "{Prod} funciona perfeitamente",
        "Tamanho certo e cor linda", "O material é de {fine} qualidade", "Muito {good}, era o que eu procurava",
    ),
    "delivery+": (
        "Chegou antes do prazo", "Entrega rápida", "Chegou {days} dias antes do combinado",
        "A entrega foi muito rápida",
        "Recebi tudo certinho e bem embalado", "Veio muito bem embalado", "Entregue dentro do prazo",
        "A transportadora foi pontual", "Em {few} dias já estava na minha casa", "O frete foi barato e a entrega ágil",
        "Prazo cumprido", "Embalagem caprichada, nada quebrado", "Rastreio sempre atualizado e entrega em dia",
    ),
    "seller+": (
        "Vendedor atencioso", "A loja respondeu minhas dúvidas na hora", "Loja de confiança",
        "Atenção {fine}", "Vendedor está de parabéns", "Nota fiscal veio junto, tudo correto",
        "O pessoal da loja é muito educado", "Já é a {nth} vez que compro aqui",
    ),
    "end+": (
        "Recomendo", "Recomendo a todos", "Super recomendo", "Voltarei a comprar", "Parabéns", "Nota dez", "Obrigada",
        "Muito satisfeito", "Muito satisfeita", "Com certeza compro de novo", "Pode comprar sem medo", "Estou feliz",
    ),
    "product-": (
        "{Prod} veio com defeito", "{Prod} quebrou em {few} dias", "{Prod} é {bad}", "{item} de {poor} qualidade",
        "O material é {bad}", "Veio {item} de outra cor", "Veio tamanho errado", "Não é igual ao anúncio",
        "{Prod} não funciona", "Faltou uma peça", "Comprei {two} e só veio {one}", "{Prod} chegou arranhad@ e {bad}",
        "Parece usad@, {bad}", "Aparência {poor}", "{Prod} parou de funcionar no {nth} dia", "Produto falsificado",
        "{Prod} descolou tod@", "Não serve para nada", "Mandaram produto trocado", "A foto engana, {prod} é {bad}",
    ),
    "delivery-": (
        "Entrega atrasada", "Atrasou {days} dias", "Demorou demais para chegar", "Passou do prazo e ninguém avisa",
        "A transportadora é péssima", "Chegou com a caixa amassada", "Prazo não foi cumprido",
        "Chegou depois da data prometida", "Tive que buscar nos correios", "O rastreio não atualiza há {days} dias",
        "Frete caro e entrega lenta",
    ),
    "missing": (
        "Ainda não recebi {prod}", "Não recebi o produto", "Já passou o prazo e nada do meu pedido",
        "Até hoje não chegou", "O produto não foi entregue", "Consta como entregue mas eu não recebi",
        "Cadê o meu pedido", "Estou esperando há {days} dias", "Pedido cancelado sem explicação",
        "Comprei, paguei e não recebi {prod}", "Nada de entrega até o momento",
    ),
    "seller-": (
        "O vendedor não responde", "Ninguém resolve meu problema", "Mandei {few} e-mails e nada", "Comunicação {poor}",
        "Loja sem compromisso com o cliente", "Estou tentando trocar e não consigo", "Veio sem nota fiscal",
        "Liguei {few} vezes e não tive retorno", "Não querem devolver o dinheiro", "Falta de respeito com o consumidor",
    ),
    "end-": (
        "Não recomendo", "Não compro mais", "Quero meu dinheiro de volta", "Decepcionada", "Decepcionado",
        "Péssima experiência", "Quero uma solução", "Vou procurar os meus direitos", "Nunca mais", "Muito insatisfeito",
        "Aguardo retorno", "Que decepção", "Não caiam nessa",
    ),
    "neutral": (
        "Ainda não testei {prod}", "Recebi hoje", "Produto entregue", "Não usei ainda", "Ok", "É um presente, não abri",
        "Comprei {prod} para {who}", "Recebi {prod}, vou usar no fim de semana", "Dentro do esperado", "Normal",
        "Pedido de {two}", "Produto simples", "Sem comentários", "Avalio depois de usar", "Chegou",
    ),
    "half": (
        "{Prod} é bom, mas esperava mais", "Razoável pelo preço", "Poderia ser melhor", "{Prod} é mais ou menos",
        "Bom, mas a cor é diferente da foto", "Entrega boa, {prod} nem tanto", "Cumpre o que promete, nada além",
        "Esperava {item} maior", "Podia vir mais bem embalado", "O prazo podia ser menor", "Não é ruim nem ótimo",
    ),
    "title+": (
        "Recomendo", "Muito bom", "Excelente", "Ótimo", "Adorei", "Perfeito", "Gostei muito", "Super recomendo",
        "Nota 10",
        "Ótima compra", "Bom produto", "Amei", "{item} {good}", "Satisfeita", "Entrega rápida", "Vale a pena",
    ),
    "title-": (
        "Não recebi", "Não recomendo", "Péssimo", "Ruim", "Decepção", "Produto errado", "Com defeito", "Atraso",
        "Muito ruim", "Insatisfeito", "Cadê meu produto", "{item} {bad}", "Horrível", "Produto incompleto",
    ),
    "title~": ("Bom", "Regular", "Razoável", "Ok", "Mais ou menos", "Esperava mais", "Médio", "Produto", "{item}"),
    "good": (
        "bonit@", "perfeit@", "ótim@", "excelente", "lind@", "maravilhos@", "muito bo@", "confortável", "prátic@",
        "resistente", "delicad@", "muito útil", "de primeira", "bem feit@", "caprichad@",
    ),
    "bad": (
        "horrível", "péssim@", "muito frac@", "frágil", "fei@", "ruim", "muito pequen@", "mal acabad@", "tort@",
        "pequen@ demais", "de plástico barato", "mal feit@", "inútil",
    ),
    "fine": ("ótima", "excelente", "boa", "muito boa"),
    "poor": ("péssima", "má", "terrível", "horrível"),
}  # fmt: skip
# Another vocabulary for the same: what the drift `wording` puts in its place.
_NEW: dict[str, tuple[str, ...]] = {
    "product+": (
        "{Prod} é top", "Curti demais {prod}", "{Prod} é show de bola", "Pensa num{a} {item} {good}",
        "{Prod} mandou bem", "Tô apaixonada n{prod}", "{Prod} é sensacional, sem palavras", "Bom demais da conta",
        "{Prod} é {good}, pode ir na fé", "Mega {good}", "Arrasou, {prod} é {good}", "Nunca vi {item} tão {good}",
        "Tá funcionando redondinho", "Presentão para {who}", "Que achado, {prod} é {good}",
    ),
    "delivery+": (
        "Voou, em {few} dias estava aqui", "Despacho relâmpago", "Logística nota mil",
        "Pintou aqui em casa num instante",
        "Mandaram super rapidinho", "O correio surpreendeu", "Embalaram com o maior carinho", "Foi vapt-vupt",
    ),
    "seller+": (
        "Galera da loja é fera", "Time atencioso no chat", "Lojista gente boa", "Equipe {fine}", "Loja parceira demais",
    ),
    "end+": (
        "Tá de parabéns", "Fecho com essa loja", "Bora comprar de novo", "Indico de olhos fechados", "Aprovadíssimo",
        "Cinco estrelas", "Gratidão", "Só alegria", "Pode ir sem susto", "Virei fã",
    ),
    "product-": (
        "{Prod} é uma cilada", "Furada total", "{Prod} pifou com {few} dias", "Que porcaria de {item}",
        "{Prod} é uma gambiarra", "Joguei dinheiro fora", "{Prod} é {bad}, puro lixo", "Propaganda mentirosa",
        "Me mandaram {item} zoad@", "{Prod} já era, pifou", "Bagulho {bad}", "Uma tranqueira, {bad}",
    ),
    "delivery-": (
        "Enrolaram {days} dias", "Que lerdeza", "Logística uma vergonha", "A encomenda ficou parada no galpão",
        "Levou uma eternidade", "Caixa toda detonada", "Perdi a data da festa pela demora",
    ),
    "missing": (
        "Tomei um calote", "Sumiram com a minha encomenda", "Nem sinal d{prod}", "A encomenda evaporou",
        "Tô até agora no aguardo d{prod}", "Extraviaram tudo e fica por isso mesmo", "Golpe, nunca mandaram",
    ),
    "seller-": (
        "Lojista fez pouco caso", "Me deixaram no vácuo", "Chat só tem robô", "Equipe {poor}", "Empurram com a barriga",
        "Bloquearam meu contato", "Um jogo de empurra danado",
    ),
    "end-": (
        "Fujam", "Tô revoltada", "Tô revoltado", "Vou acionar o Procon", "Caí no conto", "Zero estrelas", "Vergonha",
        "Passem longe", "Me senti lesada", "Roubada",
    ),
    "neutral": (
        "Nem abri a caixa", "Vou dar para {who}", "Pintou aqui ontem", "Depois conto como foi", "Tá na caixa",
        "Peguei {two}", "Sem opinião por ora", "Tanto faz",
    ),
    "half": (
        "Dá pro gasto", "Quebra um galho", "Meia-boca, mas serve", "Nada de mais", "Uns altos e baixos",
        "{Prod} é ok, só achei carinh@", "Metade boa, metade nem tanto",
    ),
    "title+": ("Top", "Show", "Show de bola", "Aprovado", "Sensacional", "Curti", "Nota mil", "Mandou bem", "Arrasou"),
    "title-": ("Furada", "Cilada", "Fujam", "Calote", "Lixo", "Vergonha", "Roubada", "Golpe", "Porcaria"),
    "title~": ("Dá pro gasto", "Meia-boca", "Quebra galho", "Tanto faz", "Nada de mais", "{item}"),
    "good": (
        "sensacional", "fantástic@", "incrível", "dez", "show", "um espetáculo", "bacana", "top de linha", "um luxo",
        "impecável",
    ),
    "bad": ("fuleir@", "vagabund@", "meia-boca", "de quinta", "um lixo", "fajut@", "uma piada", "uma porcaria"),
    "fine": ("sensacional", "fera", "impecável", "nota mil"),
    "poor": ("vergonhosa", "fuleira", "ridícula", "lamentável"),
}  # fmt: skip
_FEW = ("dois", "três", "quatro", "2", "3", "4", "5", "cinco")
_DAYS = ("5", "7", "8", "10", "12", "15", "20", "25", "dez", "quinze", "vinte", "6", "30")
_WHO = (
    "minha mãe", "minha filha", "minha esposa", "minha sogra", "minha avó", "minha irmã", "minha amiga", "minha neta",
)  # fmt: skip
_NTH = ("segunda", "terceira", "quarta", "quinta")
_SHORT = {
    "você": "vc", "que": "q", "não": "n", "também": "tb", "muito": "mto", "para": "pra", "porque": "pq", "está": "ta",
    "produto": "prod", "com": "c", "demais": "d+", "tudo": "td", "beleza": "blz",
}  # fmt: skip


def review_text(
    draw: Random, nouns: tuple[str, ...], polarity: str, missing: bool, late: bool, is_new: bool
) -> tuple[str, str]:
    """A review's title and message.

    Args:
        draw: of this review alone.
        nouns: of the product's category, each as `o vestido` or `a mochila`.
        polarity: one of `POLARITIES`.
        missing: the customer has not received the order.
        late: it came after the promised day.
        is_new: the drift `wording` holds.
    """
    words = _NEW if is_new else _OLD
    article, _, noun = nouns[int(draw.random() * len(nouns))].partition(" ")
    plan = _aspects(draw, polarity, missing, late)
    sentences = [_filled(draw, words, _one(draw, words[aspect]), article, noun) for aspect in plan]
    sentences = list(dict.fromkeys(sentences))
    titles = {"positive": "title+", "negative": "title-"}.get(polarity, "title~")
    title = _filled(draw, words, _one(draw, words[titles]), article, noun)
    message = _joined(draw, sentences)
    while len(message) > _LONGEST and len(sentences) > 1:
        sentences.pop()
        message = _joined(draw, sentences)
    if draw.random() < 0.012:
        message = message.replace(noun, f'"{noun}"', 1)
    style = draw.random()
    return _spelled(draw, title, style)[:26].strip(), _spelled(draw, message, style)[:_LONGEST]


def _aspects(draw: Random, polarity: str, missing: bool, late: bool) -> list[str]:
    """What the review speaks of, in order."""
    u, v = draw.random(), draw.random()
    if polarity == "positive":
        first = ["product+"] if u < 0.45 else ["delivery+"] if u < 0.65 else ["product+", "delivery+"]
        if u > 0.93:
            first = ["end+"]
        return first + (["seller+"] if v < 0.15 else []) + (["end+"] if v > 0.55 else [])
    if polarity == "negative":
        if missing:
            first = ["missing"]
        elif late:
            first = ["delivery-"] if u < 0.7 else ["delivery-", "product-"]
        else:
            first = ["product-"] if u < 0.7 else ["product-", "product-"] if u < 0.85 else ["seller-"]
        return first + (["seller-"] if v < 0.3 else []) + (["end-"] if v > 0.5 else [])
    if polarity == "mixed":
        if late and u < 0.6:
            return ["product+", "delivery-"]
        return ["half"] if u < 0.4 else ["delivery+", "product-"] if u < 0.7 else ["half", "neutral"]
    return ["neutral"] if u < 0.7 else ["neutral", "neutral"]


def _one(draw: Random, texts: tuple[str, ...]) -> str:
    return texts[int(draw.random() * len(texts))]


def _filled(draw: Random, words: dict[str, tuple[str, ...]], text: str, article: str, noun: str) -> str:
    """A template with its slots filled, the first letter a capital."""
    while "{good}" in text:
        text = text.replace("{good}", _one(draw, words["good"]), 1)
    while "{bad}" in text:
        text = text.replace("{bad}", _one(draw, words["bad"]), 1)
    fine = _one(draw, words["fine"])
    for slot, value in (
        ("{Prod}", f"{article} {noun}"),
        ("{prod}", f"{article} {noun}"),
        ("{item}", noun),
        ("{a}", "a" if article == "a" else ""),
        ("{fine_c}", fine),
        ("{fine}", fine),
        ("{poor}", _one(draw, words["poor"])),
        ("{whole}", "inteir@"),
        ("{few}", _one(draw, _FEW)),
        ("{days}", _one(draw, _DAYS)),
        ("{who}", _one(draw, _WHO)),
        ("{nth}", _one(draw, _NTH)),
        ("{two}", "duas" if article == "a" else "dois"),
        ("{one}", "uma" if article == "a" else "um"),
    ):
        text = text.replace(slot, value)
    text = text.replace("muito bo@", "muito boa" if article == "a" else "muito bom")
    text = text.replace("@", "a" if article == "a" else "o")
    return text[:1].upper() + text[1:]


def _joined(draw: Random, sentences: list[str]) -> str:
    u = draw.random()
    if u < 0.09 and len(sentences) > 1:
        return "\r\n".join(f"{sentence}." for sentence in sentences)
    if u < 0.30:
        rest = [sentence[:1].lower() + sentence[1:] for sentence in sentences[1:]]
        return ", ".join([sentences[0], *rest])
    end = "" if u < 0.5 else "!" if u < 0.62 else "!!!" if u < 0.66 else "..." if u < 0.69 else "."
    return ". ".join(sentences) + end


def _spelled(draw: Random, text: str, style: float) -> str:
    """The text as somebody in a hurry writes it: no accents, all small or all capitals, abbreviations, slips."""
    if style < 0.38:
        text = _plain(text)
    if 0.25 < style < 0.50:
        text = text.lower()
    elif style > 0.94:
        text = text.upper()
    if 0.30 < style < 0.42:
        text = " ".join(_SHORT.get(word, word) for word in text.split(" "))
    if draw.random() < 0.16 and len(text) > 8:
        at = 1 + int(draw.random() * (len(text) - 3))
        if text[at].isalpha() and text[at + 1].isalpha():
            kind = draw.random()
            if kind < 0.4:
                text = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
            elif kind < 0.7:
                text = text[:at] + text[at + 1 :]
            else:
                text = text[:at] + text[at] + text[at:]
    if draw.random() < 0.08:
        text += " "
    return text


def _plain(text: str) -> str:
    return "".join(letter for letter in unicodedata.normalize("NFD", text) if not unicodedata.combining(letter))
