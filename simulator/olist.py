"""The simulated Olist marketplace: nine CSV files in the public schema, growing day by day.

What is planted, with the truth in the folder for it:

- Orders per day = weekday x season x trend of +80 % a year (`CALENDAR`), three times as many on the fourth Friday of
  November (`is_black_friday`), with Poisson noise.
- Customers (`customers.parquet`) in four segments (`SEGMENTS`): `bargain` buys cheap goods, `regular`, `premium` buys
  dear goods in many instalments, `loyal` alone buys again (3 % of all customers do). A customer is a
  `customer_unique_id`; each order has a `customer_id` of its own.
- Eight taste groups of unequal size: six of ten orders are of the categories of the customer's group (`truth.json`).
- Products (`products.parquet`) of a category and a price tier, popularity with a long tail, a price that moves by up
  to 6 % every four months. Half of the assortment is there at the start, the rest comes evenly over 760 days and on.
- Promotions, one a month: a third of the categories at 15 to 30 % less for three to five days. A category with a price
  cut by the share c has (1 - c) ** -e times the orders, e as in `truth.json`.
- Scores follow what happened: an order that is late, never comes, or is of a weak seller (`sellers.parquet`) gets
  low ones (`SCORES`). November is late more often.
- The wording of a review follows its score (`reviews.parquet`): positive for 4 and 5, mixed for 3, negative for 1 and
  2; 6 % are neutral and 4 % say the opposite. See `simulator/olist_texts.py`.
- Drift of `DRIFTS`: tastes (each group takes over another's categories), prices (+25 % on four products of ten),
  wording (another vocabulary for reviews created from that day on), volume.

The faults of the public set: 1 % of the orders reach the source one to three days late; 0.8 % have no items; statuses
move on without a change column, some orders are stuck for ever; customers in unknown zip codes; 1.85 % of the products
have no category, two categories no translation; review_id is not unique and some orders have two reviews; payments in
several rows; a quarter of the geolocations are exact duplicates, and city names come with and without accents.

A later file holds the new rows, and orders whose status or dates changed again whole. Reviews appear when they are
answered. Products, sellers and places never change.
"""

from __future__ import annotations

import csv
import hashlib
import json
import unicodedata
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

import numpy as np
from numpy.typing import NDArray

from simulator.olist_texts import POLARITIES, review_text
from simulator.plan import Plan, Say, Written
from simulator.world import (
    Calendar,
    Choice,
    Floats,
    Ints,
    check_drifts,
    days,
    drifted,
    long_tail,
    parquet_file,
    price_shift,
    promotion_of_month,
    promotion_on,
    stream,
    tastes_after_drift,
    uniform,
    volume,
    whole,
)

if TYPE_CHECKING:
    from pyarrow import Table

PUBLIC_DAYS = 760
PUBLIC_ORDERS, PUBLIC_PRODUCTS, PUBLIC_SELLERS = 99_441, 32_951, 3_095
PUBLIC_GEOLOCATIONS, PUBLIC_ZIPS = 1_000_163, 19_015
DRIFTS = ("tastes", "prices", "wording", "volume")

TABLES: dict[str, tuple[str, tuple[str, ...]]] = {
    "orders": (
        "olist_orders_dataset",
        (
            *("order_id", "customer_id", "order_status", "order_purchase_timestamp", "order_approved_at"),
            *("order_delivered_carrier_date", "order_delivered_customer_date", "order_estimated_delivery_date"),
        ),
    ),
    "order_items": (
        "olist_order_items_dataset",
        (
            *("order_id", "order_item_id", "product_id", "seller_id", "shipping_limit_date"),
            *("price", "freight_value"),
        ),
    ),
    "payments": (
        "olist_order_payments_dataset",
        ("order_id", "payment_sequential", "payment_type", "payment_installments", "payment_value"),
    ),
    "reviews": (
        "olist_order_reviews_dataset",
        (
            *("review_id", "order_id", "review_score", "review_comment_title", "review_comment_message"),
            *("review_creation_date", "review_answer_timestamp"),
        ),
    ),
    "customers": (
        "olist_customers_dataset",
        ("customer_id", "customer_unique_id", "customer_zip_code_prefix", "customer_city", "customer_state"),
    ),
    "products": (
        "olist_products_dataset",
        (
            *("product_id", "product_category_name", "product_name_lenght", "product_description_lenght"),
            *("product_photos_qty", "product_weight_g", "product_length_cm", "product_height_cm", "product_width_cm"),
        ),
    ),
    "sellers": ("olist_sellers_dataset", ("seller_id", "seller_zip_code_prefix", "seller_city", "seller_state")),
    "geolocation": (
        "olist_geolocation_dataset",
        (
            *("geolocation_zip_code_prefix", "geolocation_lat", "geolocation_lng", "geolocation_city"),
            "geolocation_state",
        ),
    ),
    "category_translation": (
        "product_category_name_translation",
        ("product_category_name", "product_category_name_english"),
    ),
}
# Files whose header has no quotes.
_BARE_HEADERS = ("reviews", "category_translation")

CALENDAR = Calendar(
    (1.15, 1.14, 1.10, 1.05, 1.00, 0.76, 0.80),
    (0.95, 0.92, 1.00, 0.95, 1.05, 0.93, 1.00, 1.02, 0.90, 0.95, 1.38, 0.95),
    trend=0.8,
)
_BLACK_FRIDAY = 3.0


class Segment(NamedTuple):
    """One kind of customer: share of customers, shares of the cheap, middle and dear tier, mean instalments."""

    share: float
    tiers: tuple[float, float, float]
    instalments: float


SEGMENTS = {
    "bargain": Segment(0.35, (0.78, 0.20, 0.02), 1.8),
    "regular": Segment(0.45, (0.48, 0.40, 0.12), 3.0),
    "loyal": Segment(0.10, (0.48, 0.40, 0.12), 3.0),
    "premium": Segment(0.10, (0.08, 0.34, 0.58), 5.5),
}
_LOYAL = list(SEGMENTS).index("loyal")
_RETURNING = 0.039  # of the orders, by customers who bought before
_TIER_PRICES = (0.5, 1.0, 2.8)
_GROUP_SHARES = (0.22, 0.18, 0.15, 0.13, 0.11, 0.09, 0.07, 0.05)
GROUPS = len(_GROUP_SHARES)
_OWN_TASTE = 0.6

# Shares of the scores 1 to 5 by what happened. Together: .12 .03 .08 .19 .58.
SCORES = {
    "well": (0.054, 0.018, 0.072, 0.204, 0.652),
    "weak seller": (0.24, 0.10, 0.16, 0.20, 0.30),
    "late": (0.46, 0.11, 0.13, 0.12, 0.18),
    "never": (0.68, 0.06, 0.09, 0.06, 0.11),
}
WEAK_SELLERS = 0.08  # of the sellers outside the ten largest
_TEXT_SHARE = (0.76, 0.70, 0.46, 0.33, 0.36)  # by score
_TITLE_SHARE = 0.25  # of the reviews with a text, 2 % of the others
_NEUTRAL, _OPPOSITE = 0.06, 0.04
_SAME_REVIEW, _SECOND_REVIEW, _NO_REVIEW = 0.008, 0.0055, 0.008
_LATE_ROWS = 0.01
_HELD_UP = 0.08  # of the parcels: they take three times as long
_NO_CATEGORY = 610 / PUBLIC_PRODUCTS
_NO_PLACE = 0.01  # of the zip codes, without a geolocation
_DUPLICATE_PLACE = 0.26

# Name, English name, usual price in reals, weight in grams, share in a thousand, nouns.
# The last two have no translation.
_CATEGORIES: tuple[tuple[str, str, float, int, int, tuple[str, ...]], ...] = (
    ("mesa_posta", "table_setting", 75, 1500, 42, ("o jogo de pratos", "a toalha de mesa", "o conjunto de taças")),
    ("roupa_de_cama", "bed_linen", 95, 1600, 60, ("o jogo de lençol", "o edredom", "a colcha", "a fronha")),
    ("banho", "bath", 60, 900, 28, ("a toalha de banho", "o roupão", "o tapete")),
    ("cortinas", "curtains", 88, 1400, 14, ("a cortina", "a persiana", "o varão")),
    ("sala_de_estar", "living_room", 160, 7000, 30, ("a poltrona", "o puff", "a mesa de centro", "o rack")),
    ("quarto_moveis", "bedroom_furniture", 210, 12000, 16, ("a cabeceira", "a cômoda", "o criado-mudo")),
    ("escritorio_moveis", "office_furniture", 190, 10500, 17, ("a cadeira", "a escrivaninha", "a estante")),
    ("organizadores", "organizers", 48, 1200, 20, ("o organizador", "a caixa organizadora", "o cabideiro")),
    ("iluminacao", "lighting", 85, 1000, 15, ("a luminária", "o abajur", "o lustre", "a lâmpada")),
    ("decoracao_parede", "wall_decoration", 65, 900, 27, ("o quadro", "o espelho", "o papel de parede", "o relógio")),
    ("enfeites", "ornaments", 55, 800, 18, ("o vaso", "a vela", "a escultura", "o porta-retrato")),
    ("panelas", "cookware", 120, 2600, 19, ("a panela", "a frigideira", "a caçarola", "o cuscuzeiro")),
    ("utensilios_de_cozinha", "kitchen_tools", 45, 600, 32, ("o ralador", "a faca", "o jogo de facas", "a tábua")),
    ("potes_e_garrafas", "jars_and_bottles", 42, 700, 17, ("o pote", "a garrafa térmica", "o squeeze")),
    ("eletroportateis", "small_appliances", 170, 2500, 20, ("o liquidificador", "a batedeira", "a cafeteira")),
    ("climatizacao", "air_treatment", 210, 5200, 9, ("o ventilador", "o umidificador", "o climatizador")),
    ("limpeza", "cleaning", 58, 1500, 12, ("o mop", "o aspirador", "a vassoura")),
    ("cuidado_do_cabelo", "hair_care", 72, 450, 34, ("o shampoo", "a máscara capilar", "o secador", "a chapinha")),
    ("pele_e_maquiagem", "skin_and_makeup", 66, 300, 30, ("o batom", "a base", "o hidratante", "a paleta")),
    ("fragrancias", "fragrances", 118, 400, 30, ("o perfume", "a colônia", "o kit de perfumes")),
    ("barbearia", "barber", 74, 350, 11, ("o barbeador", "a máquina de cortar cabelo", "o óleo de barba")),
    ("bem_estar", "wellness", 92, 700, 17, ("o massageador", "a balança", "o suplemento")),
    ("fitness", "fitness", 98, 2400, 28, ("o colchonete", "o halter", "a corda", "o elástico de treino")),
    ("ciclismo", "cycling", 105, 1200, 18, ("o capacete", "o selim", "a luva", "o farol de bicicleta")),
    ("camping", "camping", 130, 2800, 12, ("a barraca", "o saco de dormir", "a lanterna", "o colchão inflável")),
    ("pesca", "fishing", 88, 800, 8, ("a vara", "o molinete", "a caixa de iscas")),
    ("futebol", "football", 84, 500, 12, ("a bola", "a chuteira", "a caneleira", "a camisa do time")),
    ("natacao", "swimming", 62, 350, 7, ("o óculos de natação", "a touca", "a sunga")),
    ("celulares", "mobile_phones", 230, 350, 12, ("o celular", "o smartphone", "o aparelho")),
    ("capas_e_peliculas", "phone_cases", 32, 120, 44, ("a capinha", "a película", "o suporte de celular")),
    ("carregadores", "chargers", 45, 180, 22, ("o carregador", "o cabo", "a bateria externa")),
    ("audio", "audio", 125, 500, 16, ("o fone", "a caixa de som", "o headset")),
    ("televisao", "television", 260, 6000, 6, ("a antena", "o suporte de TV", "a televisão", "o conversor")),
    ("fotografia", "photography", 165, 900, 7, ("a câmera", "o tripé", "a lente", "o ring light")),
    ("notebooks_pecas", "notebook_parts", 140, 700, 15, ("a bateria", "a fonte", "o teclado", "a memória")),
    ("impressao", "printing", 110, 1500, 11, ("o cartucho", "o toner", "a impressora")),
    ("redes", "networking", 122, 600, 9, ("o roteador", "o repetidor", "a antena wifi")),
    ("jogos_eletronicos", "video_games", 150, 500, 13, ("o controle", "o jogo", "o console", "a cadeira gamer")),
    ("brinquedos_educativos", "educational_toys", 78, 900, 17, ("o quebra-cabeça", "o jogo de montar", "o tabuleiro")),
    ("bonecas_e_pelucias", "dolls_and_plush", 92, 800, 20, ("a boneca", "a pelúcia", "o ursinho")),
    ("carrinhos", "toy_cars", 85, 1000, 9, ("o carrinho", "a pista", "o controle remoto")),
    ("enxoval_de_bebe", "baby_layette", 82, 900, 17, ("o kit berço", "a manta", "o macacão")),
    ("passeio_de_bebe", "baby_travel", 240, 7500, 8, ("o carrinho de bebê", "a cadeirinha", "o canguru")),
    ("fraldas_e_higiene", "diapers", 58, 1300, 6, ("o pacote de fraldas", "o lenço umedecido")),
    ("moda_feminina", "womens_fashion", 78, 350, 14, ("o vestido", "a blusa", "a saia", "a calça")),
    ("moda_masculina", "mens_fashion", 82, 400, 10, ("a camisa", "a bermuda", "a jaqueta")),
    ("moda_praia", "beachwear", 68, 220, 6, ("o biquíni", "a canga", "o maiô")),
    ("calcados", "shoes", 115, 900, 14, ("o tênis", "a sandália", "o sapato", "a bota")),
    ("bolsas", "handbags", 98, 750, 15, ("a bolsa", "a mochila", "a carteira")),
    ("malas", "luggage", 175, 3800, 9, ("a mala", "a bolsa de viagem", "o kit de malas")),
    ("relogios_de_pulso", "wristwatches", 165, 300, 32, ("o relógio", "o smartwatch", "a pulseira do relógio")),
    ("bijuterias", "costume_jewelry", 46, 100, 11, ("o colar", "o brinco", "a pulseira", "o anel")),
    ("oculos", "eyewear", 108, 200, 7, ("o óculos de sol", "a armação")),
    ("pneus_e_rodas", "tyres_and_wheels", 230, 8500, 5, ("o pneu", "a calota", "a roda")),
    ("som_automotivo", "car_audio", 175, 1500, 10, ("o rádio", "o alto-falante", "a central multimídia")),
    ("acessorios_de_carro", "car_accessories", 78, 1100, 24, ("a capa de banco", "o tapete", "o limpador")),
    ("motos", "motorcycles", 125, 1500, 9, ("o capacete", "o baú", "a capa de chuva")),
    ("ferramentas_manuais", "hand_tools", 72, 1700, 13, ("o alicate", "a chave", "o jogo de chaves", "a trena")),
    ("ferramentas_eletricas", "power_tools", 205, 3000, 9, ("a furadeira", "a parafusadeira", "a serra")),
    ("tintas_e_pintura", "paint", 68, 2500, 5, ("a tinta", "o rolo", "a pistola de pintura")),
    ("hidraulica", "plumbing", 76, 1200, 6, ("a torneira", "o chuveiro", "a ducha")),
    ("seguranca", "security", 145, 900, 9, ("o alarme", "a câmera", "a fechadura")),
    ("jardim", "garden", 88, 2200, 22, ("a mangueira", "o vaso", "a tesoura de poda", "o regador")),
    ("piscina", "pool", 125, 3500, 6, ("a piscina", "o filtro", "a boia")),
    ("cachorros", "dogs", 74, 2000, 17, ("a casinha", "a coleira", "o bebedouro", "a caminha")),
    ("gatos", "cats", 62, 1600, 9, ("o arranhador", "a caixa de areia", "o brinquedo")),
    ("aquarios", "aquariums", 84, 1500, 4, ("o aquário", "a bomba", "o filtro")),
    ("cordas_e_sopros", "strings_and_winds", 180, 2000, 7, ("o violão", "a flauta", "o encordoamento")),
    ("livros", "books", 48, 500, 9, ("o livro", "a coleção", "o box")),
    ("cadernos_e_canetas", "stationery", 42, 500, 19, ("o caderno", "a agenda", "o kit de canetas")),
    ("artesanato", "crafts", 52, 700, 8, ("a linha", "o tecido", "a máquina de costura")),
    ("festas", "party", 46, 800, 8, ("o kit festa", "a fantasia", "o balão")),
    ("computador_gamer", "", 320, 6500, 4, ("o computador", "a placa de vídeo", "o gabinete")),
    ("marmitas_termicas", "", 52, 700, 4, ("a marmita", "a lancheira")),
)
CATEGORIES = tuple(name for name, *_ in _CATEGORIES)

# State: share of the customers in a thousand, first and last zip prefix, mean days of transport, places.
_STATES: dict[str, tuple[int, int, int, float, tuple[tuple[str, float, float], ...]]] = {
    "SP": (418, 1001, 19999, 5.0, (
        ("São Paulo", -23.55, -46.63), ("Campinas", -22.91, -47.06), ("Guarulhos", -23.46, -46.53),
        ("Santos", -23.96, -46.33), ("Ribeirão Preto", -21.18, -47.81), ("Sorocaba", -23.50, -47.46),
        ("São José dos Campos", -23.18, -45.88), ("Bauru", -22.31, -49.06), ("Osasco", -23.53, -46.79),
    )),
    "RJ": (129, 20001, 28999, 8.5, (
        ("Rio de Janeiro", -22.91, -43.20), ("Niterói", -22.88, -43.10), ("Nova Iguaçu", -22.76, -43.45),
        ("Petrópolis", -22.51, -43.18), ("Volta Redonda", -22.52, -44.10),
    )),
    "MG": (117, 30001, 39999, 7.0, (
        ("Belo Horizonte", -19.92, -43.94), ("Uberlândia", -18.92, -48.28), ("Juiz de Fora", -21.76, -43.35),
        ("Contagem", -19.93, -44.05), ("Montes Claros", -16.73, -43.86),
    )),
    "RS": (55, 90001, 99999, 9.0, (
        ("Porto Alegre", -30.03, -51.22), ("Caxias do Sul", -29.17, -51.18), ("Pelotas", -31.77, -52.34),
    )),
    "PR": (51, 80001, 87999, 7.0, (
        ("Curitiba", -25.43, -49.27), ("Londrina", -23.31, -51.16), ("Maringá", -23.42, -51.94),
    )),
    "SC": (37, 88001, 89999, 8.5, (
        ("Florianópolis", -27.60, -48.55), ("Joinville", -26.30, -48.85), ("Blumenau", -26.92, -49.07),
    )),
    "BA": (34, 40001, 48999, 12.0, (
        ("Salvador", -12.97, -38.50), ("Feira de Santana", -12.27, -38.97), ("Ilhéus", -14.79, -39.05),
    )),
    "DF": (22, 70001, 72799, 8.0, (("Brasília", -15.79, -47.88), ("Taguatinga", -15.83, -48.06))),
    "ES": (20, 29001, 29999, 9.0, (("Vitória", -20.32, -40.34), ("Vila Velha", -20.33, -40.29))),
    "GO": (20, 72800, 76799, 9.0, (("Goiânia", -16.69, -49.25), ("Anápolis", -16.33, -48.95))),
    "PE": (17, 50001, 56999, 12.5, (("Recife", -8.05, -34.88), ("Olinda", -8.01, -34.86), ("Caruaru", -8.28, -35.98))),
    "CE": (13, 60001, 63999, 14.0, (("Fortaleza", -3.73, -38.53), ("Sobral", -3.69, -40.35))),
    "PA": (10, 66001, 68899, 16.0, (("Belém", -1.46, -48.50), ("Santarém", -2.44, -54.71))),
    "MT": (9, 78001, 78899, 11.5, (("Cuiabá", -15.60, -56.10), ("Rondonópolis", -16.47, -54.64))),
    "MA": (8, 65001, 65999, 15.0, (("São Luís", -2.53, -44.30), ("Imperatriz", -5.53, -47.48))),
    "MS": (7, 79001, 79999, 10.0, (("Campo Grande", -20.47, -54.62), ("Dourados", -22.22, -54.81))),
    "PB": (5, 58001, 58999, 14.0, (("João Pessoa", -7.12, -34.86), ("Campina Grande", -7.23, -35.88))),
    "PI": (5, 64001, 64999, 13.5, (("Teresina", -5.09, -42.80), ("Parnaíba", -2.90, -41.78))),
    "RN": (5, 59001, 59999, 13.5, (("Natal", -5.79, -35.21), ("Mossoró", -5.19, -37.34))),
    "AL": (4, 57001, 57999, 16.0, (("Maceió", -9.67, -35.74), ("Arapiraca", -9.75, -36.66))),
    "SE": (4, 49001, 49999, 14.5, (("Aracaju", -10.91, -37.07), ("Lagarto", -10.92, -37.65))),
    "TO": (3, 77001, 77999, 12.0, (("Palmas", -10.18, -48.33), ("Araguaína", -7.19, -48.21))),
    "RO": (3, 76801, 76999, 13.0, (("Porto Velho", -8.76, -63.90), ("Ji-Paraná", -10.88, -61.95))),
    "AM": (2, 69001, 69299, 18.0, (("Manaus", -3.12, -60.02), ("Parintins", -2.63, -56.74))),
    "AC": (1, 69901, 69999, 16.0, (("Rio Branco", -9.97, -67.81),)),
    "AP": (1, 68901, 68999, 18.5, (("Macapá", 0.03, -51.07),)),
    "RR": (1, 69301, 69399, 20.0, (("Boa Vista", 2.82, -60.67),)),
}  # fmt: skip
_REGIONS = ("SP RJ MG ES", "RS PR SC", "DF GO MT MS TO", "BA PE CE MA PB PI RN AL SE", "PA RO AM AC AP RR")

STATUSES = ("created", "approved", "invoiced", "processing", "shipped", "delivered", "canceled", "unavailable")
_CANCELED, _UNAVAILABLE = 6, 7
_DAY = 86_400
_NEVER = np.iinfo(np.int64).max // 2  # seconds: an instant that does not come

Texts = Sequence[str]
Bools = NDArray[np.bool_]


def is_black_friday(day: date) -> bool:
    """Whether a day is the fourth Friday of November."""
    return day.month == 11 and day.weekday() == 4 and 22 <= day.day <= 28


def elasticity(category: int) -> float:
    """How strongly the orders of a category answer to its price: 0.6 to 2.6."""
    return 0.6 + 0.2 * (category * 7 % 11)


def _hex(seed: int, kind: str, *numbers: object) -> str:
    """An id of 32 hexadecimal characters that belongs to what the numbers name."""
    return hashlib.blake2b(f"olist/{seed}/{kind}/{numbers}".encode(), digest_size=16).hexdigest()


def _plain(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", text.lower()) if not unicodedata.combining(c))


def _quoted(texts: Iterable[str]) -> list[str]:
    """Texts as the public files have them: in quotes where the first character is a digit."""
    return [f'"{text}"' if text[:1].isdigit() else text for text in texts]


def _times(seconds: Ints) -> list[str]:
    """Local times since 1970 in seconds as `YYYY-MM-DD HH:MM:SS`; empty where the instant never comes."""
    there = seconds < _NEVER
    stamps = np.datetime_as_string(np.where(there, seconds, 0).astype("datetime64[s]")).tolist()
    return [stamp.replace("T", " ") if ok else "" for stamp, ok in zip(stamps, there.tolist(), strict=True)]


def _money(values: Floats) -> list[str]:
    return [f"{value:.2f}" for value in values.tolist()]


def _normal(seed: int, name: str, ids: Ints) -> Floats:
    """A standard normal number for each id, which it keeps for ever (Box and Muller 1958)."""
    first, second = uniform(seed, f"{name} a", ids), uniform(seed, f"{name} b", ids)
    return np.sqrt(-2.0 * np.log(1.0 - first)) * np.cos(2.0 * np.pi * second)


def _midnight(day: date) -> int:
    """Seconds from 1970 to the begin of a day, on the shop's own clock."""
    return (day - date(1970, 1, 1)).days * _DAY


class _Places:
    """The zip codes: each with its state, city and coordinates, and how far from each other states are."""

    def __init__(self, seed: int, scale: float) -> None:
        count = max(600, round(PUBLIC_ZIPS * scale))
        ids = np.arange(count)
        names = list(_STATES)
        shares = Choice([float(_STATES[name][0]) for name in names])
        self.state = shares.pick((ids + 0.5) / count)  # by their shares, with the largest first
        order = np.argsort(uniform(seed, "olist zip order", ids), kind="stable")
        self.state = self.state[order]
        self.prefix = np.zeros(count, dtype=np.int64)
        self.city = np.empty(count, dtype=object)
        self.latitude, self.longitude = np.zeros(count), np.zeros(count)
        for number, name in enumerate(names):
            members = np.flatnonzero(self.state == number)
            _, low, high, _, cities = _STATES[name]
            self.prefix[members] = low + np.arange(len(members)) * (high - low + 1) // max(1, len(members))
            # The first city is the largest.
            sizes = Choice(long_tail(len(cities), shift=0.0))
            chosen = sizes.pick(uniform(seed, "olist city", members))
            for index, (city, latitude, longitude) in enumerate(cities):
                there = members[chosen == index]
                self.city[there] = city
                self.latitude[there] = latitude + 0.12 * _normal(seed, "olist latitude", there)
                self.longitude[there] = longitude + 0.12 * _normal(seed, "olist longitude", there)
        self.names = np.array(names)
        self.plain_city = np.array([_plain(city) for city in self.city], dtype=object)
        self.texts = np.array([f"{prefix:05d}" for prefix in self.prefix.tolist()])
        self.transport = np.array([_STATES[name][3] for name in names])
        self.region = np.array([next(i for i, names_ in enumerate(_REGIONS) if name in names_) for name in names])
        self.popularity = Choice(long_tail(count, exponent=0.5))
        self.is_known = uniform(seed, "olist place known", ids) >= _NO_PLACE

    def distance(self, one: Ints, other: Ints) -> Ints:
        """0 within a state, 1 within a region, 2 beyond; both of states."""
        return np.where(one == other, 0, np.where(self.region[one] == self.region[other], 1, 2))


class _Assortment:
    """The products and their sellers. Product numbers are in the order in which they come."""

    def __init__(self, plan: Plan, places: _Places) -> None:
        seed, kinds = plan.seed, len(CATEGORIES)
        self.seed, self.start = seed, plan.start
        wanted = max(400, round(PUBLIC_PRODUCTS * plan.scale))
        self.first = max(3 * kinds, wanted // 2)
        self.a_day = (wanted - self.first) / PUBLIC_DAYS
        count = self.on(plan.until)
        ids = np.arange(count)
        # One of each category and tier is there first, so that no choice is ever empty.
        by_share = Choice([float(each[4]) for each in _CATEGORIES]).pick(uniform(seed, "olist category", ids))
        self.category = np.where(ids < 3 * kinds, ids // 3 % kinds, by_share)
        by_tier = Choice([0.5, 0.35, 0.15]).pick(uniform(seed, "olist tier", ids))
        self.tier = np.where(ids < 3 * kinds, ids % 3, by_tier)
        usual = np.array([each[2] for each in _CATEGORIES])[self.category] * np.array(_TIER_PRICES)[self.tier]
        price = usual * np.exp(0.3 * _normal(seed, "olist price", ids))
        self.price = np.maximum(4.9, np.floor(price) + np.where(uniform(seed, "olist ending", ids) < 0.6, 0.9, 0.99))
        self.shift = price_shift(seed, "olist", ids)
        self.weight = np.maximum(
            50,
            np.round(
                np.array([each[3] for each in _CATEGORIES])[self.category]
                * np.exp(0.5 * _normal(seed, "olist weight", ids)),
                -1,
            ),
        ).astype(np.int64)
        sellers = max(40, round(PUBLIC_SELLERS * plan.scale))
        self.seller = Choice(long_tail(sellers)).pick(uniform(seed, "olist seller of product", ids))
        # Whole numbers: their sums are exact, and so a day's choice is the same with any number of later products.
        tail = 1_000.0 * (1.0 - uniform(seed, "olist popularity", ids)) ** -0.75
        self.popularity = np.minimum(tail, 400_000.0).astype(np.int64)
        self.ids = np.array([_hex(seed, "product", number) for number in range(count)])

        seller_ids = np.arange(sellers)
        self.seller_ids = np.array([_hex(seed, "seller", number) for number in range(sellers)])
        self.seller_zip = _seller_places(seed, places, seller_ids)
        # Not the largest: one of them alone would move the scores of the whole shop.
        self.is_weak = (uniform(seed, "olist seller weak", seller_ids) < WEAK_SELLERS) & (seller_ids >= 10)

        pool = self.category * 3 + self.tier
        self._order = np.argsort(pool, kind="stable")
        self._keys = pool[self._order] * (count + 1) + self._order
        self._sums = np.concatenate(([0], np.cumsum(self.popularity[self._order])))
        self._stride = count + 1

    def on(self, day: date) -> int:
        """How many products there are on a day."""
        return self.first + int(self.a_day * ((day - self.start).days + 1))

    def pick(self, category: Ints, tier: Ints, there: int, uniforms: Floats) -> Ints:
        """A product of each category and tier, by popularity, among the first `there`."""
        pool = category * 3 + tier
        low = self._sums[np.searchsorted(self._keys, pool * self._stride)]
        high = self._sums[np.searchsorted(self._keys, pool * self._stride + there)]
        target = low + (uniforms * (high - low)).astype(np.int64)
        return self._order[np.searchsorted(self._sums, target, side="right") - 1]

    def prices(self, products: Ints, day: date, cut: Floats, dearer: bool) -> Floats:
        """Prices on a day. Each product's own moves by up to 6 % every four months, or not at all."""
        ordinal = day.toordinal()
        period = (ordinal + (uniform(self.seed, "olist price phase", products) * 120).astype(np.int64)) // 120
        u = uniform(self.seed, "olist price step", products * 10_000 + period)
        step = np.where(u < 0.5, 1.0, 0.94 + 0.24 * (u - 0.5))
        price = self.price[products] * step * (1.0 - cut[self.category[products]])
        return np.round(price * self.shift[products] if dearer else price, 2)


def _seller_places(seed: int, places: _Places, sellers: Ints) -> Ints:
    """The zip code of each seller: six of ten are in the first state."""
    home = np.flatnonzero(places.state == 0)
    u = uniform(seed, "olist seller place", sellers)
    anywhere = places.popularity.pick(uniform(seed, "olist seller zip", sellers))
    return np.where(u < 0.45, home[(u / 0.45 * len(home)).astype(np.int64) % len(home)], anywhere)


class _Tastes:
    """Which categories each taste group buys, and how promotions and drift change that on a day."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        base = np.array([float(each[4]) for each in _CATEGORIES])
        base /= base.sum()
        order = np.argsort(-base, kind="stable")
        self.home = np.zeros(len(base), dtype=np.int64)  # the group of each category
        self.home[order] = np.arange(len(base)) % GROUPS
        self.weights = np.zeros((GROUPS, len(base)))
        for group in range(GROUPS):
            own = np.where(self.home == group, base, 0.0)
            self.weights[group] = _OWN_TASTE * own / own.sum() + (1.0 - _OWN_TASTE) * base
        self.elasticity = np.array([elasticity(number) for number in range(len(base))])

    def on(self, day: date) -> tuple[list[Choice], Floats, Floats]:
        """The groups' choices, the share taken off each category's prices, and how much each group buys, usually 1."""
        cut = np.zeros(len(self.elasticity))
        promotion = promotion_on(self.plan.seed, "olist", day, len(cut))
        if promotion is not None:
            cut[list(promotion.categories)] = promotion.cut
        pull = (1.0 - cut) ** -self.elasticity
        groups = np.arange(GROUPS)
        taste = tastes_after_drift(groups, GROUPS) if drifted(self.plan.drifts, "tastes", day) else groups
        weights = self.weights[taste] * pull
        return [Choice(each) for each in weights], cut, weights.sum(axis=1)


class _People:
    """The customers, numbered as they come. Only those who may come back are kept."""

    def __init__(self, plan: Plan, places: _Places) -> None:
        self.seed, self.places, self.count = plan.seed, places, 0
        self._loyal: list[int] = []
        self._segments = Choice([segment.share for segment in SEGMENTS.values()])
        self._groups = Choice(_GROUP_SHARES)

    def come(self, draw: np.random.Generator, visits: int, buys: Floats) -> Ints:
        """The customer of each order of a day: a new one, or a loyal one who was there on an earlier day.

        Of `visits` people so many buy that each group's share is in proportion to `buys`.
        """
        returns = (draw.random(visits) < _RETURNING) & bool(self._loyal)
        which, decides = draw.random(visits), draw.random(visits)
        fresh = ~returns
        people = np.zeros(visits, dtype=np.int64)
        people[fresh] = self.count + np.arange(int(fresh.sum()))
        if self._loyal:
            known = np.array(self._loyal, dtype=np.int64)
            people[returns] = known[(which[returns] * len(known)).astype(np.int64)]
        self.count += int(fresh.sum())
        stays = decides < (buys / buys.max())[self.group(people)]
        new = people[fresh & stays]
        self._loyal += new[self.segment(new) == _LOYAL].tolist()
        return people[stays]

    def segment(self, people: Ints) -> Ints:
        return self._segments.pick(uniform(self.seed, "olist segment", people))

    def group(self, people: Ints) -> Ints:
        return self._groups.pick(uniform(self.seed, "olist taste", people))

    def zip(self, people: Ints) -> Ints:
        return self.places.popularity.pick(uniform(self.seed, "olist home", people))


class _Orders(NamedTuple):
    """The orders of one day. Instants are local seconds since 1970, `_NEVER` where one does not come."""

    day: date
    ids: list[str]
    customer_ids: list[str]
    people: Ints
    arrives: Ints  # days after the purchase at which the source has it
    purchase: Ints
    approved: Ints
    invoiced: Ints
    processing: Ints
    carrier: Ints
    delivered: Ints
    ended: Ints  # canceled or unavailable
    end_status: Ints
    estimated: Ints
    instalments: Ints
    payment: Ints
    # Items, flat.
    item_order: Ints
    item_number: Ints
    product: Ints
    price: Floats
    freight: Floats
    limit: Ints

    def status(self, until: int) -> Ints:
        """The number of each order's status just before an instant, in `STATUSES`."""
        moves = (self.approved, self.invoiced, self.processing, self.carrier, self.delivered)
        reached = np.sum([move < until for move in moves], axis=0).astype(np.int64)
        return np.where(self.ended < until, self.end_status, reached)


_PAYMENTS = ("credit_card", "boleto", "voucher", "debit_card")


class _Market:
    """Makes the orders of one day after the other."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.places = _Places(plan.seed, plan.scale)
        self.goods = _Assortment(plan, self.places)
        self.tastes = _Tastes(plan)
        self.people = _People(plan, self.places)
        horizon = days(plan.start, plan.start + timedelta(days=PUBLIC_DAYS - 1))
        self.unit = plan.scale * PUBLIC_ORDERS / sum(map(self._ordinary, horizon))
        self._tiers = [Choice(segment.tiers) for segment in SEGMENTS.values()]
        self._instalments = np.array([segment.instalments for segment in SEGMENTS.values()])

    def _ordinary(self, day: date) -> float:
        return CALENDAR.factor(day, self.plan.start) * (_BLACK_FRIDAY if is_black_friday(day) else 1.0)

    def day(self, day: date) -> _Orders:
        """The orders of one day; days must be asked for in order."""
        plan, draw = self.plan, stream(self.plan.seed, "olist", "orders", day)
        choices, cut, buys = self.tastes.on(day)
        visits = self.unit * self._ordinary(day) * volume(plan.drifts, day) * float(buys.max())
        people = self.people.come(draw, int(draw.poisson(visits)), buys)
        count = len(people)
        segment, group, home = self.people.segment(people), self.people.group(people), self.people.zip(people)

        # What is bought.
        u = draw.random(count)
        category = np.zeros(count, dtype=np.int64)
        for number, choice in enumerate(choices):
            category[group == number] = choice.pick(u[group == number])
        u = draw.random(count)
        tier = np.zeros(count, dtype=np.int64)
        for number, tiers in enumerate(self._tiers):
            tier[segment == number] = tiers.pick(u[segment == number])
        lines = 1 + np.searchsorted([0.8985, 0.975, 0.9885, 0.9935, 0.9955, 0.9975, 0.9985], draw.random(count))
        fate = draw.random(count)
        # Delivered, stuck as shipped, canceled, unavailable, stuck as invoiced, stuck as processing.
        kind = np.searchsorted([0.9702, 0.9813, 0.9876, 0.9937, 0.9969], fate)
        lines[(kind == 3) | ((kind == 2) & (draw.random(count) < 0.3))] = 0
        item_order = np.repeat(np.arange(count), lines)
        begins = np.cumsum(lines) - lines
        item_number = np.arange(len(item_order)) - np.repeat(begins, lines)
        there = self.goods.on(day)
        other = draw.random(len(item_order))
        product = self.goods.pick(category[item_order], tier[item_order], there, draw.random(len(item_order)))
        same = (item_number > 0) & (other < 0.7)
        product = np.where(same, product[np.repeat(begins, lines)] if len(product) else product, product)
        price = self.goods.prices(product, day, cut, drifted(plan.drifts, "prices", day))

        # How it travels.
        state = self.places.state[home]
        seller_state = self.places.state[self.goods.seller_zip[self.goods.seller[product]]]
        far = self.places.distance(state[item_order], seller_state)
        freight = (9.0 + 3.2 * np.sqrt(self.goods.weight[product] / 1000.0)) * np.array([0.9, 1.3, 1.9])[far]
        freight = np.round(freight * (0.9 + 0.2 * draw.random(len(product))), 2)
        transport = self.places.transport[state]
        midnight = _midnight(day)
        hour = Choice(_HOURS).pick(draw.random(count))
        purchase = midnight + hour * 3_600 + (draw.random(count) * 3_600).astype(np.int64)
        payment = Choice([0.765, 0.199, 0.0205, 0.0155]).pick(draw.random(count))
        quick = np.where(draw.random(count) < 0.88, draw.exponential(1_500.0, count), draw.exponential(40_000.0, count))
        slow = 30_000.0 + draw.exponential(75_000.0, count)
        approved = purchase + 300 + np.where(payment == 1, slow, quick).astype(np.int64)
        invoiced = approved + 3_600 + draw.exponential(20_000.0, count).astype(np.int64)
        processing = invoiced + 1_800 + draw.exponential(20_000.0, count).astype(np.int64)
        carrier = processing + 7_200 + draw.gamma(1.6, 90_000.0, count).astype(np.int64)
        crowded = 1.35 if (11, 15) <= (day.month, day.day) <= (12, 15) else 1.0
        held_up = np.where(draw.random(count) < _HELD_UP, 3.0, 1.0)
        on_the_way = transport * crowded * held_up * np.exp(0.45 * draw.standard_normal(count) - 0.1)
        delivered = carrier + (np.minimum(on_the_way, 90.0) * _DAY).astype(np.int64) + 3_600
        estimated = midnight + (8.0 + 1.3 * transport + 5.0 * draw.random(count)).astype(np.int64) * _DAY

        ended = np.full(count, _NEVER)
        end = draw.random(count)
        ended = np.where(kind == 2, purchase + 3_600 + (end * 9.0 * _DAY).astype(np.int64), ended)
        ended = np.where(kind == 3, approved + 3_600 + (end * 5.0 * _DAY).astype(np.int64), ended)
        for stop, moves in ((4, (carrier, delivered, processing)), (5, (carrier, delivered)), (1, (delivered,))):
            for move in moves:
                move[kind == stop] = _NEVER
        for move in (approved, invoiced, processing, carrier, delivered):
            move[move >= ended] = _NEVER
        lag = draw.random(count)
        return _Orders(
            day,
            [_hex(plan.seed, "order", day, number) for number in range(count)],
            [_hex(plan.seed, "customer", day, number) for number in range(count)],
            people,
            np.where(lag < _LATE_ROWS, 1 + (lag / _LATE_ROWS * 3).astype(np.int64), 0),
            purchase,
            approved,
            invoiced,
            processing,
            carrier,
            delivered,
            ended,
            np.where(kind == 2, _CANCELED, _UNAVAILABLE),
            estimated,
            np.where(payment == 0, 1 + draw.poisson(np.maximum(0.0, self._instalments[segment] - 1.0)), 1),
            payment,
            item_order,
            item_number + 1,
            product,
            price,
            freight,
            purchase[item_order] + (4 + (draw.random(count) * 5).astype(np.int64))[item_order] * _DAY,
        )


_HOURS = (
    2.4, 1.2, 0.5, 0.3, 0.2, 0.2, 0.5, 1.2, 3.0, 4.8, 6.2, 6.6, 6.0, 6.5, 6.6, 6.5, 6.7, 6.2, 5.8, 6.0, 6.2, 6.2, 5.8,
    4.1,
)  # fmt: skip


class _Reviews(NamedTuple):
    """The reviews of the orders of one day."""

    ids: list[str]
    order: Ints  # its number within the day
    score: Ints
    created: Ints
    answered: Ints
    what: list[str]  # happened: a key of `SCORES`
    missing: Bools  # not received when the review was written
    polarity: Ints
    has_text: Bools
    has_title: Bools
    source: Ints  # the number of the review whose text it has: its own, or that of the one it shares


def _reviews(market: _Market, orders: _Orders) -> _Reviews:
    """One review for nearly every order; now and then a second, or one that two orders share."""
    seed, count = market.plan.seed, len(orders.ids)
    draw = stream(seed, "olist", "reviews", orders.day)
    weak_line = market.goods.is_weak[market.goods.seller[orders.product]]
    is_weak = np.zeros(count, dtype=np.bool_)
    is_weak[orders.item_order[weak_line]] = True
    u, second = draw.random(count), draw.random(count)
    numbers = np.concatenate((np.flatnonzero(u >= _NO_REVIEW), np.flatnonzero(second < _SECOND_REVIEW)))
    is_second = np.arange(len(numbers)) >= int((u >= _NO_REVIEW).sum())
    delivered, estimated = orders.delivered[numbers], orders.estimated[numbers]
    # The form is sent on the day after the delivery, or two days after the promised day.
    due = np.minimum(np.where(delivered < _NEVER, delivered // _DAY * _DAY + _DAY, _NEVER), estimated + 2 * _DAY)
    created = due + np.where(is_second, (1 + (draw.random(len(numbers)) * 9).astype(np.int64)) * _DAY, 0)
    answered = created + 3_600 + (draw.gamma(1.3, 1.6 * _DAY, len(numbers))).astype(np.int64)
    missing = delivered > answered
    late = delivered // _DAY * _DAY > estimated
    kind = np.where(
        delivered >= _NEVER, 3, np.where(late | missing, 2, np.where(is_weak[numbers], 1, 0))
    )  # in the order of SCORES
    names = list(SCORES)
    u = draw.random(len(numbers))
    score = np.zeros(len(numbers), dtype=np.int64)
    for number, shares in enumerate(SCORES.values()):
        score[kind == number] = 1 + Choice(shares).pick(u[kind == number])
    usual = np.array([0, 0, 1, 3, 3])[score - 1]
    u = draw.random(len(numbers))
    polarity = np.where(
        u < _NEUTRAL, 2, np.where(u < _NEUTRAL + _OPPOSITE, np.array([3, 3, 3, 0, 0])[score - 1], usual)
    )
    has_text = draw.random(len(numbers)) < np.array(_TEXT_SHARE)[score - 1]
    has_title = draw.random(len(numbers)) < np.where(has_text, _TITLE_SHARE, 0.02)
    ids = [_hex(seed, "review", orders.day, number) for number in range(len(numbers))]
    source = np.arange(len(numbers))

    # Two orders of one day whose deliveries are through share one review.
    shared = np.flatnonzero(draw.random(len(numbers)) < _SAME_REVIEW)
    for at in shared.tolist():
        if at == 0 or is_second[at] or kind[at] > 1 or kind[at - 1] > 1 or at - 1 in shared:
            continue
        later = at if answered[at] > answered[at - 1] else at - 1
        for column in (created, answered):
            column[at] = column[at - 1] = column[later]
        for column in (score, polarity, has_text, has_title):
            column[at] = column[at - 1]
        ids[at], source[at] = ids[at - 1], at - 1
    return _Reviews(
        ids, numbers, score, created, answered, [names[k] for k in kind.tolist()], missing, polarity, has_text,
        has_title, source,
    )  # fmt: skip


class _Files:
    """The CSV files of one write. Each takes its name at the end; a later write has only those with rows."""

    def __init__(self, folder: Path, until: date | None, stack: ExitStack) -> None:
        self._folder, self._until, self._stack = folder, until, stack
        self._open: dict[str, tuple[TextIO, Path]] = {}
        self.rows: dict[str, int] = {}

    def _file(self, table: str) -> TextIO:
        if table not in self._open:
            base, columns = TABLES[table]
            path = self._folder / (f"{base}.csv" if self._until is None else f"{base}_{self._until}.csv")
            part = self._stack.enter_context(whole(path))
            encoding = "utf-8-sig" if table == "category_translation" else "utf-8"
            out = self._stack.enter_context(part.open("w", encoding=encoding, newline=""))
            names = columns if table in _BARE_HEADERS else [f'"{column}"' for column in columns]
            out.write(",".join(names) + "\n")
            self._open[table], self.rows[table] = (out, path), 0
        return self._open[table][0]

    def add(self, table: str, columns: Sequence[Iterable[str]]) -> None:
        """Append rows given as columns of texts that are as they stand in the file."""
        lines = [",".join(fields) for fields in zip(*columns, strict=True)]
        if lines or self._until is None:
            self._file(table).write("".join(f"{line}\n" for line in lines))
            self.rows[table] += len(lines)

    def add_records(self, table: str, records: Sequence[Sequence[object]]) -> None:
        """Append rows that are quoted where they need it."""
        if records or self._until is None:
            csv.writer(self._file(table), lineterminator="\n").writerows(records)
            self.rows[table] += len(records)

    def written(self) -> list[Written]:
        return [Written(table, path, self.rows[table]) for table, (_, path) in self._open.items()]


def write(folder: Path, truth: Path, plan: Plan, after: date | None, say: Say) -> list[Written]:
    """Write the nine files as they are at the end of `plan.until`, or what came or changed after `after`.

    Raises ValueError for a drift that is not in `DRIFTS`, and a scale that is not above 0.
    """
    check_drifts("olist", plan.drifts, DRIFTS)
    if not plan.scale > 0.0:
        raise ValueError(f"the scale must be above 0, not {plan.scale}")
    market = _Market(plan)
    with ExitStack() as stack:
        files = _Files(folder, None if after is None else plan.until, stack)
        truths = _Truth(truth, market, stack)
        if after is None:
            _add_translation(files)
            _add_sellers(files, market)
            _add_geolocation(files, market)
        _add_products(files, market, 0 if after is None else market.goods.on(after), market.goods.on(plan.until))
        for day in days(plan.start, plan.until):
            orders = market.day(day)
            reviews = _reviews(market, orders)
            _add_day(files, market, orders, reviews, after)
            truths.add_day(orders, reviews)
            if day.day == 1 and day.month in (1, 7):
                say(f"olist: at {day}")
        truths.end()
    written = files.written()
    for each in written:
        say(f"{each.path.name}: {each.rows:,} rows")
    return written


def _add_day(files: _Files, market: _Market, orders: _Orders, reviews: _Reviews, after: date | None) -> None:
    """Write what the source holds at the end of the plan of one day's orders, and did not at the end of `after`."""
    plan, count = market.plan, len(orders.ids)
    now = _midnight(plan.until) + _DAY
    ordinal = orders.day.toordinal() + orders.arrives
    is_there = ordinal <= plan.until.toordinal()
    status = orders.status(now)
    steps = (orders.approved, orders.carrier, orders.delivered)
    was_there = np.zeros(count, dtype=np.bool_)
    changed = np.zeros(count, dtype=np.bool_)
    before = 0
    if after is not None:
        before = _midnight(after) + _DAY
        was_there = ordinal <= after.toordinal()
        changed = status != orders.status(before)  # no date comes without a new status
    new = is_there & ~was_there
    shown = np.flatnonzero(new | (was_there & changed))
    ids, customers = np.array(orders.ids), np.array(orders.customer_ids)
    if len(shown) or after is None:
        moves = [np.where(step < now, step, _NEVER)[shown] for step in steps]
        files.add(
            "orders",
            [
                _quoted(ids[shown].tolist()),
                _quoted(customers[shown].tolist()),
                [STATUSES[number] for number in status[shown].tolist()],
                *(_times(column) for column in (orders.purchase[shown], *moves, orders.estimated[shown])),
            ],
        )
    _add_new(files, market, orders, new, ids, customers)
    _add_reviews(files, market, orders, reviews, ids, is_there, was_there, (now, before))


def _add_new(files: _Files, market: _Market, orders: _Orders, new: Bools, ids: Any, customers: Any) -> None:
    """Write customers, items and payments of orders that are new."""
    places, goods = market.places, market.goods
    chosen = np.flatnonzero(new)
    people = orders.people[chosen]
    home = market.people.zip(people)
    files.add(
        "customers",
        [
            _quoted(customers[chosen].tolist()),
            _quoted(_person_id(market.plan.seed, person) for person in people.tolist()),
            _quoted(places.texts[home].tolist()),
            places.plain_city[home].tolist(),
            places.names[places.state[home]].tolist(),
        ],
    )
    items = np.flatnonzero(new[orders.item_order])
    product = orders.product[items]
    files.add(
        "order_items",
        [
            _quoted(ids[orders.item_order[items]].tolist()),
            map(str, orders.item_number[items].tolist()),
            _quoted(goods.ids[product].tolist()),
            _quoted(goods.seller_ids[goods.seller[product]].tolist()),
            _times(orders.limit[items]),
            _money(orders.price[items]),
            _money(orders.freight[items]),
        ],
    )
    # An order without items was paid too: for goods that were not to be had.
    total = np.bincount(orders.item_order, orders.price + orders.freight, minlength=len(orders.ids))
    u = uniform(market.plan.seed, "olist payment", orders.day.toordinal() * 1_000_000 + np.arange(len(orders.ids)))
    total = np.where(total > 0.0, total, np.round(40.0 + 200.0 * u, 2))
    rows: list[tuple[str, str, str, str, str]] = []
    for number in chosen.tolist():
        order_id = f'"{ids[number]}"' if ids[number][0].isdigit() else str(ids[number])
        cents = round(float(total[number]) * 100)
        kind = _PAYMENTS[int(orders.payment[number])]
        parts = [(kind, int(orders.instalments[number]), cents)]
        if u[number] < 0.03 and cents > 1_000:
            # Vouchers pay a part, in up to four pieces.
            pieces = 1 + int(u[number] / 0.03 * 2.4)
            piece = int(cents * 0.2)
            parts = [(kind, parts[0][1], cents - pieces * piece), *[("voucher", 1, piece)] * pieces]
        rows += [
            (order_id, str(at), name, str(instalments), f"{value / 100:.2f}")
            for at, (name, instalments, value) in enumerate(parts, start=1)
        ]
    files.add("payments", list(zip(*rows, strict=True)) if rows else [[]] * 5)


def _add_reviews(
    files: _Files,
    market: _Market,
    orders: _Orders,
    reviews: _Reviews,
    ids: Any,
    is_there: Bools,
    was_there: Bools,
    instants: tuple[int, int],
) -> None:
    now, before = instants
    here = is_there[reviews.order] & (reviews.answered < now)
    earlier = was_there[reviews.order] & (reviews.answered < before)
    chosen = np.flatnonzero(here & ~earlier)
    wording = [_midnight(drift.start) for drift in market.plan.drifts if drift.kind == "wording"]
    # The category of the first line; an order without lines has any.
    nouns = np.zeros(len(orders.ids), dtype=np.int64)
    nouns[orders.item_order[::-1]] = market.goods.category[orders.product[::-1]]
    created, answered = _times(reviews.created[chosen]), _times(reviews.answered[chosen])
    records = []
    for at, review in enumerate(chosen.tolist()):
        order = int(reviews.order[review])
        title = message = ""
        if reviews.has_text[review] or reviews.has_title[review]:
            source = int(reviews.source[review])
            title, message = review_text(
                Random(reviews.ids[review]),
                _CATEGORIES[int(nouns[int(reviews.order[source])])][5],
                POLARITIES[int(reviews.polarity[review])],
                bool(reviews.missing[source]),
                reviews.what[source] == "late",
                any(int(reviews.created[review]) >= start for start in wording),
            )
            title = title if reviews.has_title[review] else ""
            message = message if reviews.has_text[review] else ""
        records.append(
            (
                *(reviews.ids[review], ids[order], int(reviews.score[review]), title, message),
                *(created[at], answered[at]),
            )
        )
    files.add_records("reviews", records)


def _person_id(seed: int, person: int) -> str:
    return _hex(seed, "person", person)


def _add_translation(files: _Files) -> None:
    known = [(name, english) for name, english, *_ in _CATEGORIES if english]
    files.add("category_translation", [[name for name, _ in known], [english for _, english in known]])


def _add_sellers(files: _Files, market: _Market) -> None:
    places, zips = market.places, market.goods.seller_zip
    files.add(
        "sellers",
        [
            _quoted(market.goods.seller_ids.tolist()),
            _quoted(places.texts[zips].tolist()),
            places.plain_city[zips].tolist(),
            places.names[places.state[zips]].tolist(),
        ],
    )


def _add_products(files: _Files, market: _Market, first: int, last: int) -> None:
    goods, seed = market.goods, market.plan.seed
    chosen = np.arange(first, last)
    has_category = uniform(seed, "olist has category", chosen) >= _NO_CATEGORY
    has_size = uniform(seed, "olist has size", chosen) >= 2 / PUBLIC_PRODUCTS

    def numbers(name: str, low: float, high: float, power: float, there: Bools) -> list[str]:
        values = (low + (high - low) * uniform(seed, f"olist {name}", chosen) ** power).astype(np.int64)
        return [str(value) if ok else "" for value, ok in zip(values.tolist(), there.tolist(), strict=True)]

    weights = zip(goods.weight[chosen].tolist(), has_size.tolist(), strict=True)
    names = zip(goods.category[chosen].tolist(), has_category.tolist(), strict=True)
    files.add(
        "products",
        [
            _quoted(goods.ids[chosen].tolist()),
            [CATEGORIES[number] if ok else "" for number, ok in names],
            numbers("name length", 12, 64, 0.5, has_category),
            numbers("description length", 40, 3_900, 3.0, has_category),
            numbers("photos", 1, 9, 3.0, has_category),
            [str(weight) if ok else "" for weight, ok in weights],
            numbers("length", 16, 90, 2.0, has_size),
            numbers("height", 2, 70, 2.0, has_size),
            numbers("width", 11, 70, 2.0, has_size),
        ],
    )


def _add_geolocation(files: _Files, market: _Market) -> None:
    places, seed = market.places, market.plan.seed
    wanted, chunk = round(PUBLIC_GEOLOCATIONS * market.plan.scale), 50_000
    known = np.flatnonzero(places.is_known)
    sizes = Choice(long_tail(len(known), exponent=0.5))
    for number, begin in enumerate(range(0, wanted, chunk)):
        count = min(chunk, wanted - begin)
        draw = stream(seed, "olist", "geolocation", number)
        place = known[sizes.draw(draw, count)]
        latitude = np.round(places.latitude[place] + 0.01 * draw.standard_normal(count), 14)
        longitude = np.round(places.longitude[place] + 0.01 * draw.standard_normal(count), 14)
        is_copy = draw.random(count) < _DUPLICATE_PLACE
        source = np.maximum.accumulate(np.where(is_copy, 0, np.arange(count)))  # the last row that is none
        accented = (draw.random(count) < 0.15)[source].tolist()
        place = place[source]
        cities = zip(places.city[place].tolist(), places.plain_city[place].tolist(), accented, strict=True)
        files.add(
            "geolocation",
            [
                [f'"{text}"' for text in places.texts[place].tolist()],
                map(repr, latitude[source].tolist()),
                map(repr, longitude[source].tolist()),
                [city.lower() if with_accent else plain for city, plain, with_accent in cities],
                places.names[places.state[place]].tolist(),
            ],
        )


class _Truth:
    """What is planted, as files for tests: streamed by day where it grows with the orders."""

    def __init__(self, folder: Path, market: _Market, stack: ExitStack) -> None:
        import pyarrow as pa

        self._folder, self._market, self._pa = folder, market, pa
        texts = pa.string()
        self._customers = stack.enter_context(
            parquet_file(
                folder / "customers.parquet",
                pa.schema({"customer_unique_id": texts, "segment": texts, "taste_group": pa.int64(), "state": texts}),
            )
        )
        self._reviews = stack.enter_context(
            parquet_file(
                folder / "reviews.parquet",
                pa.schema(
                    {
                        "review_id": texts,
                        "order_id": texts,
                        "score": pa.int64(),
                        "what": texts,
                        "polarity": texts,
                        "missing": pa.bool_(),
                        "has_text": pa.bool_(),
                    }
                ),
            )
        )
        self._seen = 0
        self._waiting: dict[str, list[Table]] = {"customers": [], "reviews": []}

    def _keep(self, name: str, table: Table | None) -> None:
        """Hand on the tables of sixty days as one: a day makes a poor row group. None hands on what is left."""
        waiting = self._waiting[name]
        if table is not None:
            waiting.append(table)
        if waiting and (table is None or len(waiting) == 60):
            (self._customers if name == "customers" else self._reviews)(self._pa.concat_tables(waiting))
            waiting.clear()

    def add_day(self, orders: _Orders, reviews: _Reviews) -> None:
        """Note the customers who are new and the reviews of one day's orders, also those not yet written."""
        market, pa = self._market, self._pa
        new = orders.people[orders.people >= self._seen]
        self._seen = market.people.count
        segments, groups = list(SEGMENTS), market.people.group(new)
        homes = market.places.state[market.people.zip(new)]
        self._keep(
            "customers",
            pa.table(
                {
                    "customer_unique_id": pa.array(
                        [_person_id(market.plan.seed, n) for n in new.tolist()], pa.string()
                    ),
                    "segment": pa.array([segments[n] for n in market.people.segment(new).tolist()], pa.string()),
                    "taste_group": groups,
                    "state": pa.array(market.places.names[homes].tolist(), pa.string()),
                }
            ),
        )
        self._keep(
            "reviews",
            pa.table(
                {
                    "review_id": pa.array(reviews.ids, pa.string()),
                    "order_id": pa.array([orders.ids[n] for n in reviews.order.tolist()], pa.string()),
                    "score": reviews.score,
                    "what": pa.array(reviews.what, pa.string()),
                    "polarity": pa.array([POLARITIES[n] for n in reviews.polarity.tolist()], pa.string()),
                    "missing": reviews.missing,
                    "has_text": reviews.has_text,
                }
            ),
        )

    def end(self) -> None:
        """Write products, sellers and the figures of the whole."""
        from pyarrow import parquet

        for name in self._waiting:
            self._keep(name, None)
        market, pa = self._market, self._pa
        goods, tastes, plan = market.goods, market.tastes, market.plan
        tables: dict[str, Table] = {
            "products": pa.table(
                {
                    "product_id": pa.array(goods.ids.tolist()),
                    "category": pa.array([CATEGORIES[number] for number in goods.category.tolist()]),
                    "tier": goods.tier,
                    "price": goods.price,
                    "price_shift": goods.shift,
                    "popularity": goods.popularity,
                    "seller_id": pa.array(goods.seller_ids[goods.seller].tolist()),
                }
            ),
            "sellers": pa.table({"seller_id": pa.array(goods.seller_ids.tolist()), "is_weak": goods.is_weak}),
        }
        for name, table in tables.items():
            with whole(self._folder / f"{name}.parquet") as part:
                parquet.write_table(table, part)
        months = sorted({day.replace(day=1) for day in days(plan.start, plan.until)})
        promotions = [promotion_of_month(plan.seed, "olist", month, len(CATEGORIES)) for month in months]
        figures = {
            "weekdays": CALENDAR.weekdays,
            "months": CALENDAR.months,
            "trend": CALENDAR.trend,
            "black_friday": _BLACK_FRIDAY,
            "orders_a_day": market.unit,
            "segments": {name: segment._asdict() for name, segment in SEGMENTS.items()},
            "taste_groups": {
                str(group): {
                    "share": share,
                    "categories": [CATEGORIES[n] for n in np.flatnonzero(tastes.home == group).tolist()],
                    "after_drift": int(tastes_after_drift(np.array([group]), GROUPS)[0]),
                }
                for group, share in enumerate(_GROUP_SHARES)
            },
            "own_taste": _OWN_TASTE,
            "elasticity": {name: elasticity(number) for number, name in enumerate(CATEGORIES)},
            "promotions": [
                {
                    "first": each.first.isoformat(),
                    "last": each.last.isoformat(),
                    "cut": each.cut,
                    "categories": [CATEGORIES[n] for n in each.categories],
                }
                for each in promotions
            ],
            "scores": SCORES,
            "drifts": [{"kind": drift.kind, "start": drift.start.isoformat()} for drift in plan.drifts],
        }
        with whole(self._folder / "truth.json") as part:
            part.write_text(json.dumps(figures, indent=1, ensure_ascii=False))
