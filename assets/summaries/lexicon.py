"""What words mean in a summary, by language: metrics, references, directions, and what may not be said at all."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

Tag = Literal[
    "metric",  # value: the metrics that are meant, joined by blanks
    "reference",  # value: what a day is compared with
    "verb",  # directions, value: their sign; as verbs and adverbs
    "more",  # as comparatives, which may be followed by what they compare
    "rise",  # as nouns
    "place",  # as places: above, below
    "level",  # no direction: unchanged
    "height",  # high and low, which only what is unusual may be
    "reach",  # a verb that claims a level where what is compared with follows
    "comparator",  # what comes next is the reference
    "time",  # what comes next is a time: on, in
    "break",  # a new clause begins
    "and",
    "anomaly",
    "band",
    "yields",  # a verb whose object is another metric
    "bound",  # beside a value: it says that the value is not exact
    "none",  # before a metric: it is zero
    "forbidden",  # value: the kind of the fault
    "known",
]

Entries = Mapping[Tag, Mapping[str, str]]
Scanner = tuple[Tag, str, re.Pattern[str]]
"""A tag, a value and what they stand for, as a pattern over text in small letters."""


@dataclass(frozen=True)
class Lexicon:
    """The words of one language.

    Attributes:
        by_letter: the scanners of what begins with a letter; behind the empty one those that may begin with any.
        plain: words that claim nothing.
        pronouns: words that may stand before a direction whose subject was named earlier.
    """

    language: str
    scanners: Sequence[Scanner]
    by_letter: Mapping[str, Sequence[Scanner]]
    plain: frozenset[str]
    pronouns: frozenset[str]

    def longest(self, text: str, start: int, without: Tag | None = None) -> tuple[Tag, str, int] | None:
        """The tag and value of the longest entry that begins at a position, and its end; the first of equally long."""
        best: tuple[Tag, str, int] | None = None
        for tag, value, pattern in self.by_letter.get(text[start], self.by_letter[""]):
            if tag == without:
                continue
            found = pattern.match(text, start)
            if found and (best is None or found.end() > best[2]):
                best = tag, value, found.end()
        return best

    def is_plain(self, word: str) -> bool:
        """Whether a word without a meaning here claims nothing."""
        return all(part in self.plain or self._is_inflected(part) for part in re.split(r"['-]", word))

    def _is_inflected(self, word: str) -> bool:
        """Whether it is an English form of a word that claims nothing."""
        if self.language != "en":
            return False
        stems = [word[: -len(ending)] for ending in ("s", "es", "d", "ed", "ing") if word.endswith(ending)]
        return any(stem in self.plain or f"{stem}e" in self.plain for stem in stems if len(stem) > 2)

    def value_of(self, tag: Tag, word: str) -> str | None:
        """What a word means where it has a tag; None where it cannot have it."""
        for other, value, pattern in self.scanners:
            if other == tag and pattern.fullmatch(word):
                return value
        return None


def lexicon_of(language: str) -> Lexicon | None:
    """The words of a language by its ISO 639-1 code; None where the checker has none."""
    return _lexicon(language) if language in _ENTRIES else None


@cache
def _lexicon(language: str) -> Lexicon:
    scanners: list[Scanner] = []
    by_letter: dict[str, list[Scanner]] = {}
    for tag, values in _ENTRIES[language].items():
        for value, words in values.items():
            # Entries end with a comma or a line, but for a line that ends within alternatives; a blank stands for any
            # white space.
            entries = [" ".join(entry.split()) for entry in re.split(r"[,\n]", re.sub(r"\|\n\s*", "|", words))]
            fragments = sorted({_inflected(entry) for entry in entries if entry}, key=len, reverse=True)
            scanners.append((tag, value, _pattern(fragments)))
            for first in {_first(fragment) for fragment in fragments}:
                beginning = [fragment for fragment in fragments if _first(fragment) in (first, "")]
                by_letter.setdefault(first, []).append((tag, value, _pattern(beginning)))
    for letter, held in by_letter.items():
        if letter:
            found = {(tag, value) for tag, value, _ in held}
            held += [each for each in by_letter.get("", []) if each[:2] not in found]
    return Lexicon(
        language, scanners, by_letter, frozenset(_PLAIN[language].split()), frozenset(_PRONOUNS[language].split())
    )


def _pattern(fragments: Sequence[str]) -> re.Pattern[str]:
    joined = "|".join(fragment.replace(" ", r"\s+") for fragment in fragments)
    return re.compile(rf"(?<![\w'-])(?:{joined})(?!\w)")


def _first(fragment: str) -> str:
    """The letter that all texts of a fragment begin with; empty where that is not told by its first sign."""
    return fragment[0] if fragment[0].isalpha() and fragment[1:2] not in ("?", "|") else ""


_ENGLISH: Entries = {
    "metric": {
        "orders": r"""
            orders?, number of orders, order (?:count|numbers|volume|intake|total), purchase orders""",
        "revenue": r"""
            revenues?, turnover, takings?, income, sales revenue, sales value, order value in total
            (?:total )?sales value, total order value, proceeds, earnings, value of (?:all |the )?orders, receipts""",
        "revenue orders units": r"sales",
        "customers": r"""
            customers?, (?:number of )?(?:known )?customers, buyers?, purchasers?, clients?
            customer (?:count|numbers|base|total)""",
        "basket": r"""
            average order(?: values?)?, average basket(?: values?| size)?, order values?, basket(?: values?| size)?s?
            average order size, average value (?:of an|per|of each|of the|of) orders?
            (?:average |value |revenue |spend(?:ing)? )+per order, aov, average spend(?:ing)?, average ticket
            mean order(?: value)?, mean basket(?: value)?, baskets?, order size, average purchase value, average value
            average order of, revenue per order, value per order, each order, spend(?:ing)? per order, per order
            average (?:customer )?spend per order""",
        "units": r"""
            units(?: sold)?, items(?: sold)?, (?:number of )?(?:units|items) sold, unit (?:sales|count|volume)
            pieces(?: sold)?, unit""",
        "products_sold": r"""
            (?:number of )?(?:different|distinct|individual|separate|various) (?:products|items|articles|
            titles)(?: sold)?
            products sold, range of products(?: sold)?, assortment sold, product variety
            variety of products(?: sold)?
            (?:different|distinct) products(?: that)? (?:were )?sold, breadth of products(?: sold)?""",
        "sessions": r"""
            sessions?, visits?, visitors?, number of (?:sessions|visits), session (?:count|numbers)""",
        "sessions views": r"traffic, site traffic, footfall, shop traffic",
        "views": r"""
            (?:product |page |item )?views?(?: of products?)?, pageviews?, number of (?:product )?views
            looks at products, browsing""",
        "carts": r"""
            (?:cart|basket) (?:additions?|adds|events), additions? to (?:the |a )?(?:carts?|baskets?)
            add-to-cart (?:events|actions), add-to-carts, adds to (?:the |a )?cart, carts, additions
            products? (?:put|placed|added) (?:in|into|to) (?:the |a )?(?:carts?|baskets?)
            items? (?:put|placed|added) (?:in|into|to) (?:the |a )?(?:carts?|baskets?)""",
        "purchases orders": r"""
            purchases?, completed purchases, number of purchases, checkouts, transactions?""",
        "view_to_cart": r"""
            view-to-cart(?: rate| conversion| ratio| share)*, views?-to-carts?(?: rate| conversion)*
            (?:rate|conversion|step|share) from (?:product )?views? to (?:a )?carts?
            (?:share|percentage|proportion|part) of (?:product |the )?views (?:that )?(?:led|went|turned|made it|
            became|ended|moved)(?: on)? (?:to|in|into) (?:a |the )?carts?
            cart rate, conversion (?:from|of) (?:product )?views (?:to|into) (?:the )?carts?
            (?:of )?(?:product )?views (?:led|went|turned)(?: on)? (?:to|into) (?:a |the )?cart
            (?:view|views) to cart(?: rate| conversion)*""",
        "cart_to_purchase": r"""
            cart-to-purchase(?: rate| conversion| ratio| share)*, carts?-to-purchases?(?: rate| conversion)*
            (?:rate|conversion|step|share) from carts? to (?:a )?purchases?
            (?:share|percentage|proportion|part) of (?:the )?carts (?:that )?(?:led|went|turned|made it|became|ended|
            moved)(?: on)? (?:to|in|into) (?:a |the )?purchases?
            purchase rate, checkout rate, conversion (?:from|of) carts? (?:to|into) (?:a )?purchases?
            (?:of )?carts (?:led|went|turned|ended)(?: on)? (?:to|into|in) (?:a |the )?purchases?
            carts? to purchases?(?: rate| conversion)*""",
        "view_to_cart cart_to_purchase": r"conversion(?: rates?)?, funnel, rates?",
        "reviews": r"""
            (?:customer |product |new )?reviews?, number of reviews, review (?:count|numbers), feedback""",
        "rating": r"""
            (?:average|mean) (?:review )?(?:ratings?|scores?|marks?)(?: of (?:the |these |all )?reviews)?, ratings?
            (?:review )?scores?, average review, satisfaction""",
    },
    "reference": {
        "day_before": r"""
            (?:the |its |their )?(?:day before|day earlier|previous day|preceding day|prior day)(?:'s (?:level|figure|
            figures|number|total|result|value|mark|sum))?
            a day earlier, a day before, one day earlier, one day before, day[- ]on[- ]day, day[- ]over[- ]day
            day[- ]to[- ]day, (?:the )?daily comparison""",
        "week_before": r"""
            (?:the )?same (?:weekday|day)(?: of the week)? (?:a|one|the) week (?:earlier|before|ago)
            (?:the )?same (?:weekday|day) (?:last|of last|of the previous|of the week before|the previous|
            of the preceding|in the previous|in the preceding|the preceding|of the prior|the) week(?: before| earlier)?
            (?:the )?same weekday(?: before| earlier)?, (?:a|one) week (?:earlier|before|ago|prior), the week before
            the previous week, week[- ](?:on|over)[- ]week, last week, the preceding week, (?:the )?week earlier
            (?:the )?prior week, (?:the )?weekly comparison
            (?:the )?corresponding (?:weekday|day) (?:a|one|the|of the) (?:previous )?week(?: earlier| before)?
            (?:the )?comparable (?:weekday|day) (?:a|one) week (?:earlier|before)
            (?:the )?(?:weekday|same day) (?:a|one) week (?:earlier|before), seven days (?:earlier|before)""",
        "trend": r"""
            (?:the |its |their |a )?expected (?:level|levels|value|values|figure|figures|number|amount|result|
            total|mark|count|one|ones)
            (?:the |its |their )?(?:recent |expected )?trend(?: line| value| level)?, trendline
            (?:the |its |their )?expectations?, (?:an )?expected, than trend, on trend, trend (?:estimate|figure)
            what (?:was|is|were|had been|has been) (?:to be )?expected, as expected, (?:was|were) (?:to be )?expected
            what would be expected, expected by the trend, what could be expected
            what the trend (?:suggested|implied|called for|had suggested|indicated)""",
    },
    "verb": {
        "+": r"""
            rise, rises, rose, risen, rising, increase[ds]?, increasing, grow, grows, grew, grown, growing, gain
            gains
            gained, gaining, climb, climbs, climbed, climbing, up, upwards?, improve[ds]?, improving, advance[ds]?
            advancing, expand, expands, expanded, expanding, picked up, pick up, picking up, picks up, add, adds
            added
            adding, went up, go up, going up, goes up, moved (?:up|higher), moving (?:up|higher), strengthened
            strengthen, strengthening, ticked up, lifted, lift, put on, puts on
            putting on, came up, outperformed, outperform, outdid, exceed, exceeds, exceeded, exceeding, surpass
            surpasses, surpassed, surpassing, beat, beats, beating, topped, topping, overtook
            swelled, swelling, mounted, ascended, widened, was raised, bettered, bettering
            saw a (?:\w+ )?lift, pushed up, pulled up
            heading up, headed up, trended up, improved on, clear of, heightened
            broadened, firmed, was boosted, overshot, overshooting""",
        "-": r"""
            fall, falls, fell, fallen, falling, decrease[ds]?, decreasing, decline[ds]?, declining, drop, drops
            dropped, dropping, shrink, shrinks, shrank, shrunk, shrinking, down, downwards?, lose, loses, lost, losing
            went down, go down, going down, goes down, slip, slips, slipped, slipping, slid, slide, slides, sliding
            dip, dips, dipped, dipping, retreat, retreats, retreated, retreating, contract, contracts, contracted
            contracting, weaken, weakens, weakened, weakening, soften, softens, softened, softening, eased, ease
            easing, eases, receded, receding, recede, worsened, worsening, worsen, deteriorated, deteriorating, sank
            sink, sinking, sunk, subsided, moved (?:down|lower), moving (?:down|lower), ticked down, miss, missed
            missing, trailed, trail, trailing, trails, lagged, lag, lags, lagging, undershot, undershooting
            undershoot
            fell short, fall short, falling short, falls short, came short, came up short, short, coming up short
            underperformed, underperform, cooled, cooling, slowed, slowing, slow, slows, dwindled, dwindling, waned
            waning, diminished, diminishing, reduced, was cut, gave up, give up, giving up, gave back, shed, sheds
            shedding, gave way, lowered, backed off, pulled back
            (?:took|taking|suffered) a (?:\w+ )?(?:hit|beating|knock|tumble|dive|plunge|fall|dip|blow), gave ground
            lost ground, narrowed, thinned, thinned out, backtracked, tailed off, fell away, fell back, fell off
            stepped back, faded, fading, sagged, ebbed, slackened, depressed, suffered, suffering, suffers
            yielded ground, tapered, faltered""",
    },
    "more": {
        "+": r"""
            more, higher, greater, larger, bigger, stronger, better, above-average, richer, busier, livelier, brisker
            improved, rising, growing, increased, healthier, fuller, firmer, heavier, wider, broader, denser
            additional, extra, further up, superior, elevated""",
        "-": r"""
            fewer, less, lower, smaller, weaker, worse, below-average, quieter, poorer, thinner, slower, declining
            falling, reduced, decreased, shrinking, leaner, lighter, softer, narrower, inferior, calmer, slimmer
            sparser, duller, diminished""",
    },
    "rise": {
        "+": r"""
            rise, rises, increases?, growth, gains?, upturn, improvements?, advance, advances, climb, uptick, upswing
            expansion, plus, increment, uplift, upward (?:move|movement|trend|drift), strengthening
            surplus, gaining, risers?, pick-up, upside, gainers?, climbers?, improvers?
            advancers?""",
        "-": r"""
            falls?, drops?, decreases?, declines?, loss, losses, downturn, dip, dips, shrinkage, contraction
            reductions?, setbacks?, minus, shortfall, deficit, retreat, slide, weakening
            downward (?:move|movement|trend|drift), slowdown, deterioration, gap, lag, fallers?, losers?, decliners?
            slippage, pullback, downtick, easing, sinkers?, laggards?""",
    },
    "place": {
        "+": r"""
            above, ahead, ahead of, beyond, in excess of, past, on top of, north of, in front of""",
        "-": r"""
            below, behind, under, beneath, short of, south of, shy of, underneath, lower down""",
    },
    "level": {
        "": r"""
            unchanged, the same as, same level as, no change, without change, without any change, did not change
            didn't change
            not change, the very same, flat, steady, stable, constant, level with, at the same level as""",
    },
    "height": {
        "+": r"high",
        "-": r"low",
    },
    "reach": {
        "": r"""
            reach, reached, reaching, live up to, lived up to, keep up(?: with)?, keep pace(?: with)?
            come up to, came up to, make it to, get to, attain, attained, meet, met
            hold (?:the|its|their) (?:level|ground), be repeated, repeat, measure up to, regain, come close to
            came close to, manage to match""",
    },
    "comparator": {
        "": r"""
            over, than(?: on| in| for| at)?, against(?: that on)?
            compared (?:with|to)(?: that of| that on| those of)?
            versus, vs\.?, relative to, in relation to, in comparison (?:with|to), by comparison with, from
            with respect to, as opposed to, as against, set against, next to, measured against, beside
            in contrast (?:to|with), by contrast with, contrasted with, as compared (?:with|to), from that of, that of
            those of, in comparison, compared, when compared (?:with|to), vis-à-vis, after, away from
            up to, put next to, instead of, rather than, placed beside
            held against, for comparison""",
    },
    "known": {
        "neutral": r"""
            in total, in all, the day, the shop, the store, shop, store, there is no earlier day
            in terms of, all told, in short, in sum, in brief, to sum up""",
        "article": r"the, an?, its, their, that, this, these, those, such, it, they, them",
        "of": r"of, by, to, per, with",
        "auxiliary": r"was, were, is, are, had, has, have, been, being, be, did, do, does, there",
    },
    "time": {
        "": r"on, in, for, at, during",
    },
    "break": {
        "": r"""
            but, while, whereas, although, though, even though, even as, yet, despite, in spite of, whilst, even if
            notwithstanding, with the exception of, except, except for, albeit, by contrast, in contrast, unlike
            even with""",
    },
    "and": {
        "": r"""
            and, or, as well as, plus, &, and also, together with, along with, and so did, nor did""",
    },
    "anomaly": {
        "any": r"""
            unusual(?:ly)?, abnormal(?:ly)?, exceptional(?:ly)?, extraordinar(?:y|ily), atypical(?:ly)?
            anomal(?:y|ies|ous|ously), outliers?, out of the ordinary, out of line, uncommon(?:ly)?, irregular(?:ly)?
            stands? out, stood out, standing out, remarkabl[ey], surprising(?:ly)?, unexpected(?:ly)?
            out of the usual
            off the chart, off the charts, out of character, freak, strange(?:ly)?, odd(?:ly)?, peculiar(?:ly)?
            noteworthy, rare, rarely, rarely seen, suspicious(?:ly)?, unusual level, flagged, alarm, alarms, warning
            warnings, departure from the norm, outsized, out of the norm, off the norm, deviation, deviated""",
    },
    "band": {
        "": r"""
            (?:the |its |their |a )?(?:usual|normal|seasonal|expected|typical|customary|ordinary|regular|common|
            weekday|habitual) (?:seasonal )?(?:range|band|ranges|bands|limits|bounds|boundaries|corridor|span|spread|
            variation|fluctuation|fluctuations)
            (?:the |its |their )?(?:range|band|bounds|limits|corridor|ranges|bands), lower (?:bound|limit|end|edge)
            upper (?:bound|limit|end|edge), bottom of the (?:band|range), top of the (?:band|range), floor, ceiling
            (?:the |its |their )?(?:lower|upper|top|bottom) (?:end|edge|bound|limit|part) of (?:the |its |
            their )?(?:usual |seasonal |normal |expected )?(?:range|band)
            (?:the |its |their )?range (?:that is |that was )?(?:usual|normal|expected)(?: for (?:the |this |
            such a )?(?:weekday|season|day))?""",
    },
    "yields": {
        "": r"""
            brought(?: in)?, generated, earned, made, worth, producing, produced, bringing(?: in)?, generating
            yielded
            yielding, took, turned over, taking, for a total of, for, with, resulted in, resulting in, led to
            leading to, gave, giving, accounted for, contributed, contributing, spent, spending, paid
            amounted in all to, combined for, delivered, delivering, through, translating into, translated into
            turning into, turned into, adding up to, added up to, valued at, grossed, grossing, together worth, left
            placed, placing, between them, became, made for, rang up, on, in exchange for, across, out of
            of which, ended in, ended with, resulted, opened, saw, recorded, earning, booked""",
    },
    "bound": {
        "": r"""
            over, more than, less than, fewer than, nearly, almost, under, at least, at most, just over
            just under, well over, upwards of, not quite, short of
            no fewer than, no less than, no more than, a full, beyond, above, below""",
    },
    "none": {
        "": r"no, without, without any, zero, without a single",
    },
    "forbidden": {
        "cause": r"""
            because(?: of)?, due to, thanks to, owing to, as a result(?: of)?, the result of, results? from
            resulted from, resulting from, result of, driven (?:by|mainly|largely|mostly|primarily|in part)?, driver
            drivers, drive[ns]?, driving, drove, caused?(?: by)?, causes, causing, reasons?, on the back of, fuell?ed
            fuell?ing, fuels?, prompted, prompting, triggered, triggering, spurred, spurring, attributable
            attributed?
            attribute to, stem(?:s|med|ming)? from, explain(?:s|ed|ing)?, explanation
            account(?:s|ed)? for the (?:rise|fall|change|drop|increase|decline|gain), reflect(?:s|ed|ing)?, thereby
            therefore, hence, consequently, consequence, consequences, as a consequence
            led to (?:a|an|the) (?:rise|fall|drop|increase|decline|growth|gain), helped(?: by| along)?, helping
            helps?
            hurt by, hurt, boosted, boost(?: from)?, boosting, pushed by, lifted by, dragged(?: down)?(?: by)?
            dragging, weighed (?:on|down)(?: by)?, weighing on, propelled, powered by, supported by, underpinned
            sparked, sparking, in response to, response to, responded to, responding to, reacted?, reacting, reaction
            on account of, in the wake of, courtesy of, amid, influenced?, influence, impact(?:ed)?, effect of
            effects?, affected, traced? (?:back )?to, traceable, responsible(?! for\s+\x00)
            behind the (?:rise|fall|change|figures|numbers|drop|growth|decline|result), blame[ds]?, can be put down to
            put down to, owes?, owed, owing, came about, contributed to, contributing to, contributor to
            following (?:a|an|the) (?:campaign|promotion|sale|discount)
            as (?:customers|people|shoppers|buyers|visitors) \w+
            since (?:many|customers|people|shoppers|buyers|visitors|it|there|the), so that, buoyed, hampered, hindered
            dampened, hit by, encouraged, attracted, attracting, lured, enticed, motivated, inspired, offset by
            compensated by, made possible, on the strength of, mainly from, suggest(?:s|ed|ing)? that, suggesting
            suggests?, indicat(?:es?|ed|ing), indication, sign of, signs of, shows that, proves?, proof, evidence
            likely due, perhaps, maybe, possibly, probably, presumably, apparently, evidently, obviously, seems?
            seemed, seemingly, appears?, appeared, must have, may have, might have, could have, would have, thus
            given (?:the|that|its|a), in light of, brought about, came from (?:a|an|the) \w+ (?:campaign|promotion)
            paid off, bearing fruit, bore fruit, left its mark, payoff, worked, the work of, played a (?:part|role)
            a factor, factors?, aided, fed by, feeding, on the heels of
            kept (?:people|customers|shoppers|buyers|visitors) \w+, steered, brought people, brought customers
            shaped by, under the influence, off the back of, in the aftermath, spillover, translat(?:ed|ing) to
            as, since, following, reflecting, in view of, based on, so, accordingly, for that reason, which is why
            why, whereby, given, linked to, related to, accompanied by, aided by, fuelled, carried by""",
        "circumstance": r"""
            weather, rain(?:y|s|fall)?, sun(?:ny|shine)?, snow(?:y|fall)?, storms?, heat ?wave, heat, cold(?: snap)?
            holidays?, christmas, easter, halloween, thanksgiving, black friday, cyber monday, new year'?s?
            valentine'?s?, mother's day, father's day, carnival, campaigns?, promotions?, promotional, promo
            discounts?, discounted, vouchers?, coupons?, price cuts?, price reductions?, price increases?
            price changes?, pricing, prices?, newsletters?, e-?mails?, mailing, mailings
            advert(?:s|ising|isement|isements)?, ads?, marketing, social media, influencers?, tv, television, press
            publicity, relaunch, launch(?:ed)?, redesign, website problems?, outages?, downtime, technical
            glitch(?:es)?, bugs?, server, maintenance, stock(?:ed|s)?(?: up| out| shortage| level| levels)?
            stockouts?
            out of stock, sold out, shortages?, deliver(?:y|ies)(?: problems?| delays?)?, shipping, logistics, supply
            suppliers?, strikes?, returns?, refunds?, refund rate, payday, salary, salaries, loyalty, programme
            program, season(?:al)?(?: demand| effects?| sale| peak)?, seasonality, back-to-school, competitors?
            competition, clearance, flash sale, offers?, bargains?, deals?, inflation, economy, economic, crisis
            pandemic, tourists?, football, festival, event, events, concert, gifts?, gifting, new customers?
            returning customers?, repeat customers?, new collection, collection, new arrivals, restock(?:ed)?, mobile
            desktop, app, search engine, seo, referral, affiliate, organic, paid, wholesale, bulk order, large order
            one large, big order, single order, mood, budgets?, spending habits, consumer confidence, confidence
            taste
            tastes, fashion, trending, viral, word of mouth, free shipping, giveaway, contest, vip, sentiment
            enthusiasm, interest in, appetite, word, hype, buzz, checkout problems?, payment, payments, fraud, tax
            taxes, shop window, school, summer, winter, spring, autumn""",
        "forecast": r"""
            will, won't, shall, going to, gonna, tomorrow
            next (?:day|week|month|year|days|weeks|quarter|season|time)s?, coming (?:day|days|week|weeks|month|months)
            days? (?:to come|ahead), weeks? ahead, upcoming, soon, outlook, forecast(?:s|ed|ing)?
            predict(?:s|ed|ing|ion|ions)?, projec(?:t|ts|ted|tion|tions), likely(?: to)?, unlikely, probable
            expect(?:s)?(?: to| more| another| further| a| an)?, expecting, is expected(?: to)?, are expected(?: to)?
            to be expected (?:next|soon|tomorrow|in), anticipat(?:e|es|ed|ing), on course, on track, set to, looks set
            looking ahead, look ahead, going forward, in the future, future, bodes?, boding, promis(?:e|es|ing)
            points? to(?:wards?)?, pointing to, momentum, continues?(?: to)?, continued to, continuing, is to continue
            (?:more|much) to come, to come, to follow, keeps? (?:growing|rising|falling|on), keep \w+ing, lies? ahead
            lying ahead, from here(?: on)?, poised, head(?:s|ed|ing)? (?:for|into|towards?|to), towards?, on the cards
            in store, on the horizon, prospects?, hopes?, hopeful(?:ly)?
            could (?:rise|fall|grow|see|reach|become|continue|be|mean)
            may (?:rise|fall|grow|see|reach|become|continue|be|well|soon)
            might (?:rise|fall|grow|see|reach|become|continue|be|soon), further ahead, by the end of, for the rest of
            rest of the (?:week|month|year), if this, if the trend, if these, should this, remains to be seen
            time will tell, to go on, eventually, in the long run, stay tuned, the start of, beginning of, early sign
            turning point, trajectory, ahead this, months? ahead, about to, later this, down the road, won t, is due
            are due, bound to, destined, in due course, before long, looms?, looming, awaits?, ambitions?, target for
            potential
            can, could, may(?! be)?, might, would, look forward, looks forward, looking forward, ahead of us
            further (?:rise|fall|growth|gain|drop|increase|decline)s?, next""",
        "advice": r"""
            should(?:n't)?, must(?:n't)?, ought(?: to)?, needs? to, have to, has to, had better
            recommend(?:s|ed|ation|ations|ing)?, suggestion, suggestions, advis(?:e|es|ed|able|ing), advice
            consider(?:s|ed|ing|ation)?, let us, let's
            worth (?:a|the|trying|testing|looking|checking|watching|investigating|considering|reviewing|noting|
            exploring|keeping)
            make sure, ensure, it is time to, time to, high time, calls? for, calling for, requires?, required
            necessary, needed, try(?:ing)? (?:to|a|an|out|bundling)?, review the, check the, look into
            take a (?:closer )?look, closer look, keep an eye, keep a \w+ eye, close eye, eye on, monitor(?:ing|ed)?
            watch(?: out| for| this| the)?, investigat(?:e|es|ed|ing|ion), wise, prudent, sensible
            opportunit(?:y|ies)
            capitali[sz]e, leverage, focus on, focusing on, priorit(?:y|ies|ise|ize), aim(?:s|ed)? to, plan to, act on
            action(?:s)?, management, the team, team, we, our, us, you, your, please, do not, don't, remember
            note that, bear in mind, keep in mind, may want to, might want to, could benefit, would benefit, attention
            concern(?:s|ed|ing)?, worr(?:y|ying|ied|ies|isome), deserves?, merits?, warrants?, warranted, follow up
            step in, intervene, intervention, increase the, reduce the, restock, reorder, replenish, improve the
            optimi[sz]e, lower the, raise the, double down, invest(?:ing|ment)?, hire, extend the
            cut (?:the )?prices?
            rethink, revisit, cause for, no need, there is room, room for, worth it, strategy, strategic, decision
            decide, best practice, i, i'd, my, me, avoid, stop, run a, start a, launch a, target(?:ing)?, explore
            exploring, analyse, analyze, analysis, urgent(?:ly)?, caution, cautious(?:ly)?, alert""",
        "superlative": r"""
            records?(?: high| low| day| level| breaking)?(?= (?:high|low|day|level|for|number|revenue|sales|orders|
            result|figure|sessions|turnover|total))?
            record-breaking, all-time, ever(?: before| seen| recorded| since)?, never before, history
            historic(?:al|ally)?, unprecedented, unparalleled, unmatched, unrivalled, unseen, milestones?
            peak(?:s|ed)?, trough, new highs?, new lows?, new heights?, new depths?, high point, low point
            high-water mark, low-water mark, finest, for the first time, first time
            of the (?:week|month|year|season|quarter|decade)(?! (?:before|earlier)), of all time
            in (?:days|weeks|months|years|recent \w+|living memory|a long time|ages|a while)
            for (?:days|weeks|months|years|a long time), since (?:the )?\w+, so far, to date, yet(?= this)
            (?:best|worst|strongest|weakest|highest|lowest|busiest|quietest|biggest|smallest|slowest|poorest|greatest|
            liveliest|largest|calmest) (?:day|result|level|figure|weekday|value|point|sales day|showing|number|
            performance|revenue|orders|turnover|sales|rating|score|start|week|one|takings)(?:s)?
            busiest, quietest, no other day, second to none, one of (?:the|its|their)
            (?:better|best|good|bad|worse|worst|strong|stronger|weak|weaker|quiet|quieter|busy|busier) days, steadily
            constantly, consistently, continuously, increasingly, progressively, gradually, day by day, step by step
            like never before, never (?:has|have|had|was|were|did|again), once in, second[- ]best, third[- ]best
            run of, streak, kept (?:growing|rising|falling|climbing|its|their|the|on|up its|up their)
            (?:upward|downward) (?:course|path|march|run|streak|spiral), return(?:ed|s|ing)? to, resum(?:e|es|ed|ing)
            in a row, consecutive(?:ly)?, straight days?, again, once again, once more, yet again, broke, breaks?
            breaking, broken, time high, rock bottom, at its (?:highest|lowest|best|worst), as never before, longest
            golden, banner day, red-letter, bumper, outstanding, legendary, always, every day, usually, often
            regularly, personal best, slowest, any other day, any day, phenomenal, sensational, last time, such a day
            a day like this, day of the
            most, most important, biggest, largest, strongest, greatest, highest, main, leading, top, best, steepest
            chief, major, foremost, number one, hardest, heaviest, sharpest, first, worst, weakest, lowest, smallest
            head, principal, star, poorest, deepest, primary, standout, winning, champion, favourite, favorite, prime
            key
            best[- ]?sellers?, top[- ]?sellers?, best[- ]selling(?: products?| items?| articles?| titles?)?
            top[- ]selling(?: products?| items?)?, bestsellers?, topped the (?:list|ranking|sales|chart|charts)
            led (?:the )?(?:sales|ranking|list|way|field|pack|charts?|day), leads (?:the )?(?:sales|ranking|list|way)
            head(?:ed|s|ing)? the (?:list|ranking|sales|pack|field|table), top products?, leading products?
            strongest sellers?, sold (?:the )?(?:most|best), leading the (?:list|sales|way|field), best product
            most sold, most popular, popular, brought in the most(?: revenue)?, earned the most(?: revenue)?
            most revenue, largest revenue, highest revenue, leader, top spot, first place
            the top of the (?:list|ranking|sales), leading (?:the )?(?:sales|seller|sellers)
            led among (?:the )?products, took the lead, top of the (?:list|ranking|sales), in the lead, led
            generated the most(?: revenue)?, contributed the most(?: revenue)?, took in the most
            product with the (?:most|highest|largest) revenue, product by revenue, seller, sellers, main product
            main products, largest contributor, biggest contributor, top earner, biggest earner, top earners
            highest earner, led by, front-runner, crowd-puller, came out on top, on top, came first, finished first
            followed by, ahead of, in front of, then came, behind it came, with second place for
            just ahead of, well ahead of, next came
            leads?, ranked?, ranks?, ranking, second, secondly, runner-up, third-placed, medal, podium, lowest ever
            lead""",
        "strength": r"""
            slight(?:ly)?, marginal(?:ly)?, minor, modest(?:ly)?, small, tiny, minimal(?:ly)?, barely, hardly
            scarcely
            a touch, (?:a )?little, a bit, by a (?:narrow|small|slim|thin|hair's) (?:margin|breadth), a shade
            mild(?:ly)?, gentl[ey], narrow(?:ly)?, fractional(?:ly)?, negligibl[ey], a fraction, a notch, a hair
            a tad
            a trifle, only just, somewhat, light(?:ly)?, faint(?:ly)?, a whisker, insignificant(?:ly)?, limited
            imperceptibl[ey], a sliver, only, a mere, subtle, subtly, muted, merely
            sharp(?:ly)?, steep(?:ly)?, strong(?:ly)?, massive(?:ly)?, huge(?:ly)?, dramatic(?:ally)?
            drastic(?:ally)?
            considerabl[ey], substantial(?:ly)?, significant(?:ly)?, marked(?:ly)?, heav(?:y|ily), enormous(?:ly)?
            vast(?:ly)?, far, much, by far, well, a lot, greatly, big, large, rapid(?:ly)?, clear(?:ly)?
            noticeabl[ey]
            appreciabl[ey], severe(?:ly)?, spectacular(?:ly)?, impressive(?:ly)?, striking(?:ly)?
            by a (?:wide|large|big|clear|comfortable|huge|good|considerable) margin, deep(?:ly)?, hard
            vigorous(?:ly)?
            pronounced, tremendous(?:ly)?, immense(?:ly)?, substantive, notabl[ey], a great deal, badly, hefty
            distinct(?:ly)?, decisive(?:ly)?, way, comfortabl[ey], precipitous(?:ly)?, giant, staggering(?:ly)?
            whopping, solidly, robustly, healthily, powerfully, wildly, violently, like a stone, by leaps and bounds
            brisk(?:ly)?, handsomely, dizzying, stellar, visibl[ey], swift(?:ly)?, a long way, bigly, hugely
            edged (?:up|higher|ahead|past|above), edging (?:up|higher), inched (?:up|higher), inching up
            nudged (?:up|higher), crept up, crept higher, creeping up, drifted (?:up|higher), ticked higher
            edged (?:down|lower|back|below), edging (?:down|lower), inched (?:down|lower), inching down
            nudged (?:down|lower), crept down, drifted (?:down|lower), drifting lower, ticked lower
            soar, soars, soared, soaring, surge, surges, surged, surging, jump, jumps, jumped, jumping, leap, leaps
            leapt, leaped, leaping, shot up, shooting up, skyrocketed, skyrocketing, rocketed, rocketing, exploded
            spiked, spiking, boomed, ballooned, vaulted, took off, mushroomed, shot through the roof
            went through the roof, bounded, catapulted, multiplied, flew up, zoomed, snowballed
            plunge[ds]?, plunging, plummet, plummets, plummeted, plummeting, collapse[ds]?, collapsing, crash, crashes
            crashed, crashing, slump, slumps, slumped, slumping, tumble[ds]?, tumbling, nosedived?, nosediving, tanked
            cratered, dived, dove, sank sharply, imploded, evaporated, fell off a cliff, nose-dived, cratering
            crumbled, slashed, dropped like a stone
            surge, surges, jump, jumps, leap, boom, spike, soaring, explosion
            plunge, slump, collapse, crash, tumble, nosedive, plummet
            strong, solid, healthy, busy, lively, robust, good, brisk, bright, decent, fine, pleasing, satisfying
            rich, buoyant, great
            weak, quiet, dull, poor, bad, soft, slow, calm, thin, subdued, disappointing, meagre, sluggish, muted
            lacklustre, flat-footed, slack
            stably, preserved, held (?:firm|steady|up|level|even|fast)
            (?:held|kept|holds?|holding|keeping|retained|maintained|preserved) (?:on to )?(?:the|its|their) (?:level|
            value|ground|own|position|size|place)
            maintained, repeated, repeating, mirrored, on (?:a )?par with, in line with, matched, matching
            matches, little changed, almost unchanged, nearly unchanged, virtually unchanged, barely changed
            hardly changed, practically unchanged, broadly unchanged, roughly unchanged, more or less unchanged
            largely unchanged, (?:barely|hardly|scarcely) (?:moved|changed|budged|shifted), stood still
            much the same(?: as)?, about the same(?: as)?, roughly the same(?: as)?, nearly the same(?: as)?
            almost the same(?: as)?, similar(?: to)?, close to, near, at the level of
            at (?:its|the same|their|the) level, kept (?:pace|up) with, little change, hardly any change, stagnated?
            stagnant, stagnation, sideways, even with, comparable(?: to| with)?, in keeping with, at about, right at
            stability, consistent with, essentially unchanged, static, plateaued, as on
            next to no change, did not budge, tracked, held at, remained where it was
            just, merely, nearly, almost, approximately, roughly, about, around, circa, virtually, practically
            largely, mostly
            mainly, chiefly, primarily, predominantly, principally, especially, particularly, notably, even, quickly
            slowly, pleasing, satisfying, respectable, disappointing, encouraging, moderate(?:ly)?, sizeable
            sizable, smooth(?:ly)?
            welcome, welcomed, nice, enough, solely, exclusively, purely, very, quite, too, rather, up to
            as many as, as much as
            as few as, as little as, at least, at most, in excess of, exactly, precisely""",
        "comparison": r"""
            faster than, more (?:strongly|sharply|quickly|steeply|markedly) than, steeper than, quicker than
            harder than, sharper than, more than did, grew more than, rose more than, fell more than
            fell further than
            dropped more than, dropped further than, climbed more than
            slower than, less (?:strongly|sharply|quickly|steeply|markedly) than, more slowly than, more gently than
            more mildly than, rose less than, grew less than, fell less than, dropped less than, climbed less than
            faster, slower, steeper, quicker, outpac(?:e|es|ed|ing), outgr(?:ow|ows|ew|own|owing)
            outstrip(?:s|ped|ping)?
            more (?:strongly|sharply|quickly|steeply|markedly|slowly|gently|mildly)
            less (?:strongly|sharply|quickly|steeply|markedly)
            further than, than the (?:rise|fall|increase|decrease|gain|loss|drop|decline|change)s?, outsold, outran
            kept pace
            (?:rose|fell|grew|climbed|dropped|gained|lost|declined|increased|decreased) (?:more|less|further)""",
        "negation": r"""
            not, never, neither, nor, without, cannot, failed to, fail to, fails to, failing to, didn't, wasn't
            weren't, hasn't, haven't, couldn't, hadn't, isn't, aren't, doesn't, don't, nothing, none, nowhere
            no sign of, anything but, far from, no longer, unable to, refused to, could not, did not
            in no way, by no means, denied, lacked, lacking, absence of, hardly did, hardly any""",
        "anomaly": r"""
            normal(?:ly)?, ordinary, typical(?:ly)?, as usual, regular, unremarkable, as normal, customary, routine
            nothing special, unsurprising(?:ly)?, unexceptional, uneventful, average, habitual, run-of-the-mill
            commonplace, standard, in order, business as usual, par for the course
            usual, the norm, norm, as ever, ordinarily, habitual(?:ly)?
            (?:the |its |their |a )?(?:usual|normal|typical|customary) (?:level|levels|value|figure|number|
            amount|pace|course)s?""",
        "vague": r"""
            all (?:the )?(?:figures|metrics|numbers|measures|indicators|key figures|values|counts|main figures|of them)
            every (?:figure|metric|number|measure|indicator|count), everything, across the board, the figures
            the numbers, the metrics, all metrics, each metric, each figure, on all counts, on every (?:count|front)
            on all fronts, all round, all of these, all else, all others, all other (?:figures|metrics|numbers)
            the whole picture, the rest, most figures, most metrics, the others, overall
            business, trade, trading, activity, demand, results?, performance, the day as a whole, day as a whole
            everything
            figures, numbers, averaged, averaging, average of, an average of""",
        "other_shops": r"""
            competitors?, competition, rivals?
            (?:other|similar|comparable|neighbouring|peer|competing) (?:shops?|stores?|retailers?|sellers?|merchants?|
            businesses|sites?|companies|brands?|players?|outlets)
            peers?, industry, industries, sector, market average, the market as, market as a whole, wider market
            overall market, retail trade, market leader, market share, benchmark(?:s|ed)?, elsewhere, e-commerce
            online retail, retailers?, market trend, the market at large, the rest of the market, rest of the industry
            high street, online trade""",
        "number_word": r"""
            two, three, four, five, six, seven, eight, nine, ten, eleven, twelve, thirteen, fourteen, fifteen, sixteen
            seventeen, eighteen, nineteen, twenty(?:-\w+)?, thirty(?:-\w+)?, forty(?:-\w+)?, fifty(?:-\w+)?
            sixty(?:-\w+)?, seventy(?:-\w+)?, eighty(?:-\w+)?, ninety(?:-\w+)?, hundreds?, thousands?, millions?
            billions?, dozens?, half, halves, halved, halving, quarters?, quartered, thirds, a third, one third
            one-third, two-thirds, third of, fourth, fifths?, sixths?, sevenths?, eighths?, ninths?, tenths?, doubled?
            doubling, doubles, twofold, threefold, fourfold, fivefold, tenfold, \w+fold, tripled?, triples, tripling
            treble[ds]?, trebling, quadrupled?, quintupled?, twice, thrice, times (?:as|the|more|higher|larger|that)
            scores? of, several, numerous, a handful(?: of)?, countless, innumerable, a couple(?: of)?, plenty(?: of)?
            lots of, a lot of, loads of, tons of, double-digit, single-digit, digits?, double digits, triple-digit
            single, percent, per cent, percentage, a factor of, factor, majority, minority, everyone, everybody
            anybody, nobody, no one, few (?:days|weeks|times), so (?:much|many)
            (?:nearly|almost|virtually) (?:all|everyone|every)
            (?:all|every|each) (?:of the )?(?:customers?|visitors?|buyers?|shoppers?)(?= \w), the bulk of
            the lion's share, fraction of, most of, pairs?, trio, duo
            one (?:order|customer|session|review|unit|item|product|percent|per cent|in|out|point), zero, nil, many
            multitude, myriad, dozenth, one-\w+, score of, bulk, a good many
            few(?= (?:orders|customers|sessions|reviews|units|items|products|purchases|visitors))
            respectively, in that order, in this order
            both, either, one, ones, once, third, triple, double, pair, paired, each, equal parts, equally, evenly
            whole, entire, entirely, every""",
        "wrong_date": r"""
            mondays?, tuesdays?, wednesdays?, thursdays?, fridays?, saturdays?, sundays?
            january, jan, february, feb, march, april, in may, of may, this may, last may, june, july, august
            september, sept, october, oct, november, nov, december, dec
            yesterday(?:'s)?, weeks?
            last (?:year|month|night|quarter|season|summer|winter|spring|autumn|weekend|christmas|time|evening|decade|
            fortnight)
            (?:a|one|the) (?:month|year|fortnight|quarter|decade) (?:ago|earlier|before)
            (?:the )?previous (?:month|year|quarter|weekend|weeks|days|night|season)
            (?:the )?(?:same )?(?:day|month|week|weekday|period) (?:of )?(?:the )?(?:last|previous|a) (?:year|
            month)(?: earlier| before)?
            year[- ]on[- ]year, year[- ]over[- ]year, month[- ]on[- ]month, month[- ]over[- ]month
            this (?:week|month|year|quarter|season|weekend|morning|evening|afternoon), tonight, weekends?, weekend's
            midweek, mid-week, fortnight
            (?:two|three|several|some|a few) (?:days|weeks|months|years) (?:ago|earlier|before), months? ago
            years? ago, days ago, weeks ago, in the morning, in the afternoon, in the evening, at night, overnight
            morning, afternoon, evening, nights?, noon, midnight, o'clock, hours?, first (?:of|day|half|week) of the
            end of the (?:week|month|year|quarter), start of the (?:week|month|year)
            beginning of the (?:week|month|year), the day after, following day, the next day, recently, lately
            nowadays, currently, now, minutes?, seconds, half-year, seasons?, years?, months?, quarters?
            annual(?:ly)?
            monthly, weekly, the day before yesterday, the other day, decades?, century
            earlier in the (?:week|month|year), bank holiday, workday, working day, ago

            today(?:'s)?, daily, so far today, by then, earlier, later, previously, beforehand, meanwhile
            early, late""",
        "instruction": r"""
            ignore, disregard, as an? (?:ai|language model|assistant), language model, i cannot, i can't, i am, i'm
            here(?:'s| is| are) (?:the|a|your|my), sure, certainly, of course, placeholders?, fact ids?, fact_ids?
            prompt, system, assistant, user, instructions?, the rules, let me know, let me
            feel free, i hope, hope this, in conclusion, to summari[sz]e, click, visit our, visit us, subscribe
            buy now, praise, json, html, hallucinat\w+, as requested, requested, draft, template, todo, asked for
            write to, see more, more at, read more, contact, (?:the )?facts? (?:given|provided|above|list|sheet), note
            here is, rephrase, rewritten, revised version, corrected""",
    },
}

_PORTUGUESE: Entries = {
    "metric": {
        "orders": r"""
            pedidos?, número de pedidos, total de pedidos, volume de pedidos, quantidade de pedidos, encomendas?""",
        "revenue": r"""
            receitas?(?: total| do dia| de vendas)?, faturamento, facturação
            valor (?:das vendas|vendido|total|em vendas|faturado|dos pedidos), arrecadação, total faturado
            valor total dos pedidos""",
        "revenue orders units": r"vendas?",
        "customers": r"""
            (?:número de )?clientes?(?: compradores| conhecidos| identificados)?, (?:número de )?compradore?s?
            consumidores, número de consumidores""",
        "basket": r"""
            cestas?
            (?:valor médio|valor|ticket médio|tíquete médio|gasto médio|média) (?:do|da|por|dos|das|de cada|de um|
            de uma) (?:pedido|encomenda)s?
            cada (?:pedido|encomenda), ticket médio, tíquete médio, valor médio
            valor médio (?:das compras|da compra|por compra|dos pedidos), gasto médio(?: por (?:cliente|pedido))?
            cesta média, carrinho médio, média por pedido, valor da cesta, receita por pedido""",
        "units": r"""
            (?:número de |quantidade de )?(?:unidades?|itens|peças)(?: vendid[oa]s)?, item, volume de unidades""",
        "products_sold": r"""
            (?:número de |variedade de )?produtos (?:diferentes|distintos|vendidos)(?: vendidos)?
            variedade de produtos(?: vendidos)?, (?:número de )?itens (?:diferentes|distintos), sortimento vendido""",
        "sessions": r"""
            (?:número de )?sess(?:ão|ões), (?:número de )?visitas?(?: ao site| à loja)?, (?:número de )?visitantes?
            acessos""",
        "sessions views": r"tráfego, movimento no site, tráfego do site",
        "views": r"""
            (?:número de )?visualizaç(?:ão|ões)(?: de produtos?| de páginas?)?, páginas vistas
            exibições(?: de produtos?)?, produtos vistos, consultas a produtos""",
        "carts": r"""
            (?:adiç(?:ão|ões)|inclus(?:ão|ões)|inserções|acréscimos) (?:ao|no|aos|nos) carrinhos?, carrinhos?
            produtos (?:colocados|postos|adicionados|incluídos) (?:no|ao) carrinho
            itens (?:colocados|postos|adicionados|incluídos) (?:no|ao) carrinho, (?:número de )?adições ao carrinho
            adições, inclusões""",
        "purchases orders": r"""
            (?:número de )?compras?(?: concluídas?| no site| finalizadas?| realizadas?)?, transações, transação""",
        "view_to_cart": r"""
            (?:(?:taxa|conversão|passagem|parcela|proporção|percentual|taxa de conversão|taxa de passagem|
            fração) )?(?:de|da|das) visualizaç(?:ão|ões)(?: de produtos)? (?:para|em|ao|que (?:chegou|chegaram|foi|
            foram|levou|levaram|virou|viraram|seguiu|seguiram|passou|passaram) (?:ao|a|para o|em|no)) (?:o )?carrinhos?
            (?:taxa|parcela|percentual|proporção) (?:das|de) visualizações que \w+ (?:ao|a|para o|em|no|um|
            num) (?:um )?carrinho
            taxa de carrinho, conversão em carrinho, visualização[- ]carrinho, taxa de adição ao carrinho""",
        "cart_to_purchase": r"""
            (?:(?:taxa|conversão|passagem|parcela|proporção|percentual|taxa de conversão|taxa de passagem|
            fração) )?(?:de|do|dos) carrinhos? (?:para|em|à|que (?:chegou|chegaram|foi|foram|levou|levaram|virou|
            viraram|terminou|terminaram|seguiu|seguiram|passou|passaram) (?:à|a|para a|em|na)) (?:a )?compras?
            (?:taxa|parcela|percentual|proporção) (?:dos|de) carrinhos que \w+ (?:à|a|para a|em|na|uma) (?:uma )?compra
            taxa de compra, conversão em compra, carrinho[- ]compra, taxa de finalização
            carrinhos (?:terminaram|viraram|chegaram|resultaram)(?: em| à| na)? compra""",
        "view_to_cart cart_to_purchase": r"conversão, taxas? de conversão, conversões, taxas?, funil",
        "reviews": r"""
            (?:número de )?avaliaç(?:ão|ões)(?: de clientes| recebidas| de produtos)?, comentários
            (?:número de )?resenhas?, opiniões""",
        "rating": r"""
            notas?(?: média)?(?: das avaliações)?, avaliação média, média das (?:avaliações|notas)
            pontuação(?: média)?, média de notas, satisfação, classificação média, score médio""",
    },
    "reference": {
        "day_before": r"""
            dia (?:anterior|precedente|antes|prévio), véspera, um dia antes, dia a dia, dia contra dia
            dia imediatamente anterior, comparação diária, de um dia para o outro, do dia antes""",
        "week_before": r"""
            mesm[oa] (?:dia(?: da semana| útil)?|dia de semana|data) (?:da|na|de|de uma|
            d[ae] semana) (?:semana )?(?:anterior|passada|antes|precedente)
            mesm[oa] dia(?: da semana)? (?:uma|da|na|de uma) semana (?:antes|anterior|passada|atrás|precedente)
            uma semana antes, semana (?:anterior|passada|precedente|antes), semana contra semana, comparação semanal
            mesm[oa] dia da semana
            (?:um )?mesm[oa] dia da semana (?:da|na|de uma) semana (?:anterior|passada|antes|precedente)
            há uma semana
            mesm[oa] dia da semana (?:anterior|passada|precedente), sete dias antes
            dia correspondente da semana (?:anterior|passada|precedente)
            dia equivalente da semana (?:anterior|passada|precedente)""",
        "trend": r"""
            tendências?, (?:nível|valor|patamar|número|volume|resultado|total) (?:esperado|previsto|da tendência)
            (?:o )?(?:que (?:era|seria|se podia|se podia de)|que se) (?:de )?esper(?:ado|ar|ava|avam), esperad[oa]s?
            (?:se )?esperava(?:m)?(?:-se)?, linha de tendência, o que era de se esperar, o que era de esperar
            que era de esperar, que era de se esperar, o que a tendência (?:indicava|sugeria|apontava), expectativas?
            previst[oa]s?, estimad[oa]s?, projetad[oa]s?""",
    },
    "verb": {
        "+": r"""
            sub~ir, sobe, sobem, aument~ar, cresc~er, cresça, ganh~ar, avanç~ar, avance, melhor~ar, acrescent~ar
            adicion~ar, elev~ar, elevou-se, elevaram-se, se elevou, se elevaram, expand~ir, expandiu-se, expandiram-se
            se expandiu, se expandiram, super~ar, exced~er, ultrapass~ar, pass~ar de longe, progred~ir, progride
            fortalec~er, ampli~ar, alarg~ar, venc~er, sobressa~ir, foi além
            foram além, escal~ar, eleve, somou mais, somaram mais
            intensificou-se, ganhou terreno, ganharam terreno, para cima""",
        "-": r"""
            ca~ir, cai, caem, caíram, caiu, caído, caíssem, caísse, diminu~ir, diminuem, recu~ar, reduz~ir, reduziu-se
            reduziram-se, se reduziu, se reduziram, encolh~er, perd~er, baix~ar, baixe, desc~er, desceu, desceram
            decresc~er, retroced~er, ced~er, pior~ar, contra~ir, contraiu-se, contraíram-se, se contraiu
            se contraíram
            retra~ir, retraiu-se, retraíram-se, se retraiu, se retraíram, enfraquec~er, desaceler~ar, mingu~ar
            declin~ar, afund~ar, regred~ir, fic~ar aquém, ficou atrás, ficaram atrás, perdeu terreno, perderam terreno
            perdeu fôlego, perderam fôlego, esfri~ar, arrefec~er, murch~ar, escorreg~ar, desliz~ar, desliza
            para baixo
            abrand~ar, definh~ar, tropeç~ar, deu marcha a ré, afrouxou, afrouxaram, minorou""",
    },
    "more": {
        "+": r"""
            mais, maior, maiores, superior, superiores, melhor, melhores, mais alt[oa]s?, mais fortes?
            mais elevad[oa]s?, mais movimentad[oa]s?, a mais, mais numeros[oa]s, crescentes?, elevad[oa]s?, adicional
            adicionais""",
        "-": r"""
            menos, menor, menores, inferior, inferiores, pior, piores, mais baix[oa]s?, mais frac[oa]s?, a menos
            mais calm[oa]s?, mais modest[oa]s?, mais reduzid[oa]s?, mais magr[oa]s?, mais tranquil[oa]s?
            mais pequen[oa]s?, decrescentes?, mais parad[oa]s?""",
    },
    "rise": {
        "+": r"""
            aumentos?, altas?, crescimento, ganhos?, avanços?, acréscimos?, elevaç(?:ão|ões), melhorias?, melhora
            subidas?, expansão, progresso, recuperação, incrementos?, ascensão, vantagem, folga, sobra""",
        "-": r"""
            quedas?, baixas?, reduç(?:ão|ões), diminuiç(?:ão|ões), recuos?, perdas?, decréscimos?, declínios?
            retração
            retrações, piora, descidas?, contração, encolhimento, decréscimo, retrocesso, desvantagem, enfraquecimento
            desaceleração, déficit""",
    },
    "place": {
        "+": r"acima, à frente, além, por cima, na frente, adiante",
        "-": r"abaixo, atrás, aquém, por baixo, sob",
    },
    "level": {
        "": r"""
            inalterad[oa]s?, sem alteraç(?:ão|ões), sem mudanças?, não mud~ar, não se alter~ar, não se alterou
            não se alteraram, idêntic[oa]s?, igual, iguais, igual~ar, o mesmo que, a mesma que, as mesmas, os mesmos
            o mesmo número, a mesma quantidade, mesmo número, mesma quantidade, mesmo valor, não variou, não variaram
            sem variação, não houve mudança, não houve alteração, no mesmo nível, ao mesmo nível, mesmo nível
            no mesmo patamar, mesmo patamar, empat~ar
            estáve(?:l|is), estabilidade, constantes?
            manteve-se, mantiveram-se, se manteve, se mantiveram
            manteve, mantiveram, mantid[oa]s?""",
    },
    "height": {
        "+": r"alt[oa]s?",
        "-": r"baix[oa]s?",
    },
    "reach": {
        "": r"""
            alcanç~ar, ating~ir, chegou a, chegaram a, chegar a, chegou ao, chegaram ao, chegou à, chegaram à, cheg~ar
            consegu~ir, segur~ar, sustent~ar""",
    },
    "comparator": {
        "": r"""
            que, do que, que (?:no|na|em|os|as|o|a), do que (?:no|na|em|os|as|o|a), contra, ante
            frente (?:ao|à|aos|às|a), em vez de, ao invés de, face (?:ao|à|a), diante (?:do|da|de), perante, versus
            vs\.?, em relação (?:ao|à|aos|às|a|com), em comparação (?:com|ao|à), na comparação com
            comparad[oa]s? (?:com|ao|à|aos|às|a), comparando com, em contraste com, depois (?:de|do|da|dos|das), após
            sobre, relativamente (?:ao|à|a), em face (?:do|da|de), no confronto com, confrontad[oa]s? com
            quando comparad[oa]s?, em confronto com, ao lado (?:do|da), comparativamente (?:ao|à|a), em cotejo com
            para com""",
        "weak": r"de, do, da, dos, das, ao, à, aos, às, com",
    },
    "known": {
        "neutral": r"""
            ao todo, por sua vez, no total, a loja, loja, ao longo do dia, vai de(?=\s+\x00), vão de(?=\s+\x00)
            não há dia anterior
            o dia(?! (?:anterior|precedente|antes|prévio|imediatamente|correspondente|equivalente|seguinte|da semana))
            em suma, em resumo, (?:o )?equivalente a, por outro lado, no mesmo período""",
        "article": r"""
            tanto, o, a, os, as, um, uma, seu, sua, seus, suas
            esse, essa, este, esta, isso, isto, ess[ea]s, est[ea]s""",
        "of": r"por, pel[oa]s?, para, pra",
        "auxiliary": r"""
            foi, foram, é, são, era, eram, tinha, tinham, sido, houve, havia, teve, tiveram, está, estão, estava
            estavam, fic~ar, ficou, ficaram, ter, ser, há""",
    },
    "time": {
        "": r"no, na, nos, nas, em, durante, num, numa",
    },
    "break": {
        "": r"""
            mas, enquanto, embora, porém, contudo, todavia, apesar (?:de|do|da|dos|das), ao passo que, ainda que
            mesmo que, mesmo com, exceto, salvo, em contrapartida, ao contrário, conquanto, se bem que
            sendo que
            entretanto""",
    },
    "and": {
        "": r"""
            e, ou, bem como, assim como, mais os, além (?:de|do|da|dos|das), quanto, junto com, e também""",
    },
    "anomaly": {
        "any": r"""
            incomu(?:m|ns), fora do (?:comum|normal|habitual), fora do padrão, anorma(?:l|is), anormalmente
            atípic[oa]s?, anomalias?, anômal[oa]s?, extraordinári[oa]s?, excepciona(?:l|is), excepcionalmente
            excecional, estranh[oa]s?, inusitad[oa]s?, inesperad[oa]s?, invulgar(?:es)?, raramente, rar[oa]s?, inusual
            pontos? fora da curva, surpreendentes?, surpreendentemente, irregular(?:es)?, destoa, destoam, destoou
            destoaram, chama(?:m)? a atenção, chamou a atenção, chamaram a atenção, alarmes?
            fug~ir (?:do|da|ao|à) (?:normal|comum|padrão|habitual|norma|regra)
            escap~ar (?:do|da|ao|à) (?:normal|comum|padrão|habitual|norma|regra), alertas?, sinalizad[oa]s?, desvios?
            incomumente, insólit[oa]s?, notoriamente, singular(?:es)?
            fora d[aeo] (?:habitual|usual|costume)""",
    },
    "band": {
        "": r"""
            (?:faixa|banda|intervalo|limites|margens|zona|patamares)(?: de valores| de variação)? (?:habitual|usual|
            normal|sazonal|esperad[oa]|típic[oa]|de costume|habituais|normais|usuais|comum)
            faixa, banda, intervalo, limite inferior, limite superior, piso, teto
            (?:extremo|extremidade|limite|ponta) (?:superior|inferior) d[ao] (?:faixa|banda|intervalo)(?: habitual|
            usual| normal| sazonal| esperad[oa])?""",
    },
    "yields": {
        "": r"""
            rend~er, ger~ar, trouxe, trouxeram, traz, trazer, valor de, no valor de, no valor total de, num total de
            no total de, com, de, por, para, somou, somaram, somando, som~ar, totaliz~ar, resultou em, resultaram em
            resultando em, fez, fizeram, fazendo, fizesse, deu, deram, dando, produz~ir, vend~er, fatur~ar, obteve
            obtiveram, valendo, vale, valem, respond~er por, responsáve(?:l|is) por, responderam por, respondeu por
            virou, viraram, virando, recebeu, receberam, que, lev~ar a, levou a, em, tiveram, teve, deix~ar, gast~ar
            renderam à loja, coloc~ar, totalizando, entre, abriu, abriram, termin~ar, conclu~ir, atra~ir, registr~ar
            custou, custaram
            arrecad~ar, angari~ar, apur~ar, embols~ar, acumul~ar, perfez, perfizeram, perfazendo, comput~ar, marcou
            marcaram""",
    },
    "bound": {
        "": r"""
            mais de, menos de, quase, acima de, abaixo de, pelo menos, no mínimo, no máximo, até, pouco mais de
            pouco menos de, cerca de mais de, ao menos, nada menos que, nada menos de, além de, bem mais de, perto de
            por volta de menos de""",
    },
    "none": {
        "": r"""
            não houve
            não teve, não recebeu, não registrou, não vendeu, não houve nenhum, não houve nenhuma""",
    },
    "forbidden": {
        "cause": r"""
            por causa, porque, graças, devido, devida, em razão, em função, em virtude, por conta, em consequência
            consequências?, consequentemente, como resultado, resultado de, fruto, frutos, impulsion~ar, puxad[oa]s?
            pux~ar, motiv~ar, motivos?, provoc~ar, caus~ar, causas?, razão, razões, explic~ar, explicação, reflet~ir
            reflexo, reflexos, deve-se, devem-se, se deve, se devem, deveu-se, deveram-se, por isso, portanto
            assim sendo, atribu~ir, atribuíve(?:l|is), efeito, efeitos, influênci~ar, influência, impact~ar, impacto
            favorec~er, ajud~ar, prejudic~ar, estimul~ar, aliment~ar, decorrente, decorrentes, decorr~er
            originad[oa]s?, gerad[oa]s? (?:por|pel[oa]s?), já que, uma vez que, visto que, pois, dado que, dada
            dado o
            dados os, por trás, reag~ir, reação, em resposta, respost~ar, resposta, fatores?
            responsáve(?:l|is)(?! por\s+\x00), culpa, na esteira, no embalo, em meio, talvez, provavelmente
            possivelmente, aparentemente, parece(?:m|u|ndo)?, parecem, suger~ir, sugere, indica(?:m|ndo|ram)?, indicou
            sinal, sinais, mostra que, prova(?:m)?, alavanc~ar, ancorad[oa]s?, sustentad[oa]s? (?:por|pel[oa]s?)
            apoiad[oa]s?, turbinad[oa]s?, atra~ir, valeu a pena, surtiu, surtiram, contribu~ir, contribuição
            ocasion~ar, derivad[oa]s?, marca, agradou, agradaram, benefici~ar, freado, freada, penaliz~ar, conduz~ir
            evidentemente, certamente, obviamente, aqueceu, aquecid[oa]s?, estimulad[oa]s?, movid[oa]s?, embal~ar
            encoraj~ar, justific~ar, por obra, em decorrência, pesou, pesaram, pressionad[oa]s?, fez cair, fez subir
            fizeram cair, fizeram subir, fez com que, fizeram com que
            como, com isso, com o que, assim, então, desse modo, diante d[aeo]s?, por falta, em função d[aeo]s?
            seguindo, fez com, levou a, levaram a, levando a""",
        "circumstance": r"""
            tempo(?= (?:bom|ruim|chuvoso|frio|quente))?, bom tempo, clima, chuvas?, sol, calor, frio, neve
            tempestades?, feriad(?:o|os|ão), férias, natal, páscoa, carnaval, black friday, dia das mães, dia dos pais
            dia dos namorados, dia do (?:consumidor|pagamento|cliente), ano novo, campanhas?, promoç(?:ão|ões)
            promociona(?:l|is), descontos?, cupo(?:m|ns), vales?(?= desconto)?, cortes? de preços?, preços?
            newsletter
            e-?mails?, publicidade, propagandas?, anúncios?, marketing, redes sociais, influenciador(?:es)?, televisão
            imprensa, lançamento, novo site, nova página, falhas?, problemas?, pane, técnic[oa]s?, servidor
            manutenção
            estoques?, stock, falta de estoque, esgotad[oa]s?, escassez, entregas?, frete(?: grátis)?, logística
            fornecedores?, greves?, devoluç(?:ão|ões), reembolsos?, pagamentos?, salários?, fidelidade, programa
            estação, temporada, sazonalidade, concorrentes?, concorrência, liquidação, liquidações, ofertas?
            barganhas?, inflação, economia, econômic[oa]s?, crise, turistas, futebol, festa, festas, festival
            eventos?
            presentes?, clientes? nov[oa]s?, nov[oa]s clientes, clientes antigos, clientes recorrentes, nova coleção
            coleção, novidades, reposição, aplicativo, celular, buscadores?, humor, confiança, moda, viral
            boca a boca
            entusiasmo, interesse, apetite, vitrine, escola, verão, inverno, primavera, outono, procura por
            volta às aulas, copa, gripe, trânsito, parceria, parcerias""",
        "forecast": r"""
            amanhã, próxim[oa]s? (?:dias?|semanas?|mês|meses|anos?|trimestre|vez), dias? seguintes?, semana que vem
            mês que vem, semana seguinte, em breve, por aí, vem aí, vêm aí, logo mais, perspectivas?, previs(?:ão|ões)
            prevê(?:em|-se)?, prever, projeç(?:ão|ões), projeta(?:m|-se)?, vai, vão, irá, irão, iremos
            deve(?:m)? (?:se|continuar|subir|cair|crescer|aumentar|diminuir|seguir|melhorar|piorar|manter|ser|voltar|
            recuar|chegar|ter|haver|permanecer|render|recuperar|avançar|ficar|repetir)
            deverá, deverão, devem ser, será, serão, haverá, estará, estarão, terá, terão, poderá, poderão
            pode(?:m)? (?:se|continuar|subir|cair|crescer|aumentar|diminuir|seguir|melhorar|piorar|voltar|ser|vir|
            haver|fechar|chegar)
            continua(?:r|rá|rão|m|ndo)?, espera-se, esperamos, é esperad[oa], são esperad[oa]s, seguirá, seguirão
            segue(?:m)? (?:subindo|caindo|crescendo), tende(?:m)?, promet~er, prometem, promete, aponta(?:m)? para
            apontam, caminha(?:m)? para, rumo a, a caminho, futur[oa]s?, daqui para frente, daqui em diante, doravante
            virá, virão, crescerá, crescerão, subirá, subirão, cairá, cairão, aumentará, aumentarão, diminuirá
            melhorará, recuperará, ficará, ficarão, seguir subindo, há de, hão de, hora de, está por vir, por vir
            à vista, no horizonte, em vista, esperanças?, se continuar, se mantiver, se a tendência, em direção a
            potencial, vindour[oa]s?, seguintes?, ainda virá, ritmo aponta, tudo indica, bom sinal, mau sinal
            pode(?:m)?, poderia(?:m)?, deverá, tende, próxim[oa]s?, daqui""",
        "advice": r"""
            deve(?:m)?, deveri(?:a|am), precis~ar, é preciso, é necessário, necessári[oa]s?, recomend~ar, recomendação
            recomenda-se, recomendamos, sugestão, sugerimos, aconselh~ar, aconselhamos, conselho, consider~ar
            considere, convém, conviria
            vale (?:a pena|observar|acompanhar|investigar|notar|rever|revisar|checar|verificar|conferir|ressaltar)
            seria (?:bom|prudente|melhor|útil|interessante|aconselhável|sensato|recomendável), prudente, tente(?:m)?
            experimente(?:m)?, fique(?:m)? de olho, de olho, olho, olhar de perto, atenção, atent[oa]s?, monitor~ar
            monitore, investig~ar, investigue, analis~ar, análise, anális~ar, análises, revis~ar, revise, reveja(?:m)?
            rever, ajust~ar, ajuste, é hora, está na hora, chegou a hora, pede(?:m)?, exige(?:m)?, requer(?:em)?
            merece(?:m)?, oportunidades?, aproveit~ar, aproveite, foc~ar, foque, prioriz~ar, priorize, invist~ir
            invista, investir, equipe, gestão, gerência, nós, nosso, nossa, nossos, nossas, você(?:s)?, seu time
            por favor, é bom, cuidado, cautela, preocup~ar, preocupa, preocupante, preocupação, garanta, garantir
            repor, reponha, reforç~ar, reforce, reduza, aumente(?:m)? (?:o|a|os|as), baixe(?:m)? (?:o|a), lance(?:m)?
            teste(?:m)?, testar, repens~ar, repense, otimiz~ar, otimize, estratégia, decisão, decisões, evit~ar, evite
            urgente, urgência, medidas, agir, aja, temos, podemos, vamos, façam?, mantenha(?:m)?, verifi~car
            verifique
            observe(?:m)?, acompanhe(?:m)?, estude(?:m)?, estudar, avaliem?, reavaliar""",
        "superlative": r"""
            recordes?, históric[oa]s?, história, de todos os tempos, de todos, já vist[oa]s?, já registrad[oa]s?
            nunca antes, nunca houve, jamais vist[oa]s?, inédit[oa]s?, sem precedentes, sem igual, insuperáve(?:l|is)
            pela primeira vez, primeira vez, picos?, ápice, auge, marco, melhor dia, pior dia, melhor resultado
            pior resultado, dia mais \w+, dia menos \w+, nível mais \w+
            (?:maior|menor|melhor|pior) (?:nível|valor|resultado|dia|marca|número|desempenho|patamar|faturamento do|
            receita do|receita da)(?! (?:receita))(?: d[oae]s? (?:dia|mês|semana|ano))?
            (?:do|deste|no) (?:mês|ano|trimestre|semestre)
            da (?:semana|quinzena|década|temporada|história)(?! (?:anterior|passada|antes|precedente))
            em (?:dias|semanas|meses|anos), há (?:dias|semanas|meses|anos|muito), desde, nenhum outro dia
            todas as marcas, outra vez, volt~ar a, retom~ar, mais uma vez, de novo, novamente, sequência
            seguid[oa]s?(?! (?:de|por|pel)), consecutiv[oa]s?, até agora, até hoje, até então, nunca, sempre
            todos os dias, um d[oe]s, uma d[ae]s, constantemente, continuamente, cada vez, aos poucos, gradualmente
            progressivamente, em franca, inigualáve(?:l|is), fenomenal, sensacional, máxim[oa]s?(?: históric[oa]s?)?
            mínim[oa] históric[oa], fundo do poço, inesquecíve(?:l|is), novo patamar, marcas? históric[oa]s?
            excelência, imbatíve(?:l|is), última vez, qualquer outro dia, dia igual, um dia assim, geralmente
            frequentemente, costuma(?:m)?
            a? ?maior(?= (?:mercado|parte|fatia|responsável|destino|país|comprador|participação|contribuição|
            contribuinte|origem|parcela|peso|fonte))?
            que mais, que menos, o mais, a mais(?= \w+[dst][oa])?, os mais, principal, principais, primeir[oa], líder
            líderes, destaque, destaques, campeão, campeã, número um, o melhor, a melhor, o maior, a maior, as maiores
            os maiores, o menor, a menor, o pior, a pior, o que menos, quem mais, mais que qualquer outro, a maioria
            mais vendid[oa]s?, o mais vendido, os mais vendidos, produto mais vendido, produtos mais vendidos
            campe(?:ão|ões) de vendas?, lider~ar, liderança, à frente das vendas
            topo (?:das vendas|da lista|do ranking), primeiro lugar, encabeç~ar, carro-chefe, maior receita
            maior faturamento, mais faturou, mais faturaram, mais vendeu, mais venderam, mais rendeu, mais renderam
            principal produto, produto principal, líder de vendas, líderes de vendas, mais popular(?:es)?
            produto líder, na liderança, na frente, mais procurad[oa]s?, topo, na dianteira
            seguid[oa]s? (?:de|por|pelo|pela), à frente (?:de|do|da), na frente (?:de|do|da)""",
        "strength": r"""
            ligeir(?:o|a|os|as|amente), leve(?:s|mente)?, levemente, modest(?:o|a|os|as|amente), pequen[oa]s?, pouco
            um pouco, um pouquinho, pouquinho, discret(?:o|a|os|as|amente), marginal(?:mente)?, minim(?:o|a|amente)
            mínim[oa]s?, tímid[oa]s?, suave(?:mente)?, apenas, só, sutil(?:mente)?, por pouco, irrisóri[oa]s?, mal
            fraca?(?:mente)?, de leve
            fort(?:e|es|emente), acentuad(?:o|a|os|as|amente), expressiv(?:o|a|os|as|amente), grande(?:s|mente)?
            grandemente, enorm(?:e|es|emente), drastic(?:o|a|amente), drástic[oa]s?, drasticamente
            brusc(?:o|a|amente)
            consideráve(?:l|is), consideravelmente, significativ(?:o|a|os|as|amente), notáve(?:l|is), notavelmente
            muito, bem, bastante, nitidamente, claramente, vertiginos(?:o|a|amente), vigoros(?:o|a|amente)
            intens(?:o|a|os|as|amente), profund(?:o|a|amente), robust[oa]s?, imens[oa]s?, vast[oa]s?, sensíve(?:l|is)
            sensivelmente, marcad[oa]s?, marcadamente, com força, pesad[oa]s?, pesadamente, impressionantes?, de longe
            espetacular(?:es|mente)?, abrupt(?:o|a|amente), visivelmente, substancial(?:mente)?, substanciais
            firme(?:mente)?, largamente, com folga
            dispar~ar, salt~ar, explod~ir, dar um salto, deu um salto, deram um salto, decol~ar, deslanch~ar
            multiplicou-se, multiplicaram-se
            despenc~ar, desab~ar, desmoron~ar, tomb~ar, mergulh~ar, derret~er, derreteu-se, desplomou, ru~ir
            evapor~ar
            despencaram-se
            disparada, salto, explosão, boom
            colapso, tombo, desabamento, despencada, derrocada, mergulho
            bom, boa, bons, boas, sólid[oa]s?, agitad[oa]s?, movimentad[oa]s?, chei[oa]s?
            animador(?:a|es|as)?, ótim[oa]s?, excelentes?
            frac[oa]s?, rui(?:m|ns), morn[oa]s?, calm[oa]s?, vazi[oa]s?, parad[oa]s?, pobres?
            decepcionantes?, lent[oa]s?, tranquil[oa]s?
            estabilidade, estagnad[oa]s?, estagnação, quase inalterad[oa]s?
            praticamente inalterad[oa]s?, pouco mud~ar, pouco vari~ar
            quase não (?:mudou|mudaram|variou|variaram|se moveu|se moveram|se alterou|se alteraram)
            mal (?:mudou|mudaram|variou|variaram|se mexeu|se mexeram), em linha, alinhad[oa]s?
            par~ar no lugar
            praticamente (?:igual|iguais|o mesmo|a mesma|no mesmo nível)
            quase (?:igual|iguais|o mesmo|a mesma|no mesmo nível), perto, próxim[oa]s?, acompanh~ar, repet~ir
            semelhantes?, parecid[oa]s?, estabiliz~ar, em torno, permaneceu igual, equivalentes?, comparáve(?:l|is)
            lado a lado
            somente, meramente, exclusivamente, aproximadamente, cerca, por volta, em torno, praticamente
            principalmente, sobretudo
            especialmente, particularmente, basicamente, essencialmente, predominantemente, até mesmo, até, inclusive
            satisfatóri[oa]s?, animador(?:a|es|as)?, tão, tant[oa]s?(?! quanto), exatamente, precisamente
            simplesmente""",
        "comparison": r"""
            mais (?:rápido|depressa|fortemente|acentuadamente) (?:do )?que, subiu mais (?:do )?que
            cresceu mais (?:do )?que, caiu mais (?:do )?que, subiram mais (?:do )?que, cresceram mais (?:do )?que
            caíram mais (?:do )?que
            menos (?:fortemente|acentuadamente) (?:do )?que, mais devagar (?:do )?que, mais lentamente (?:do )?que
            subiu menos (?:do )?que, cresceu menos (?:do )?que, caiu menos (?:do )?que, subiram menos (?:do )?que
            cresceram menos (?:do )?que, caíram menos (?:do )?que
            mais rápid[oa]s?, mais depressa, mais devagar, mais lent[oa]s?
            do que (?:a|o|as|os) (?:alta|queda|aumento|crescimento|variação)
            (?:subi|cresce|aumento|cai|caí)\w* (?:mais|menos)(?! \w+ (?:do )?que)""",
        "negation": r"""
            não, jamais, nem, nenhum[a]?, ninguém, tampouco, nada, deix~ar de, falh~ar em, longe de, impossível
            incapaz(?:es)?, não chegou a, não conseguiu, não conseguiram, ausência de, falta de
            sem(?! alteraç| mudança| variação)""",
        "anomaly": r"""
            norma(?:l|is), normalmente, comu(?:m|ns), típic[oa]s?, rotineir[oa]s?, rotina, habituais, corriqueir[oa]s?
            como de costume, como sempre, regular(?:es)?, de praxe, costumeir[oa]s?
            dentro do (?:normal|habitual|comum|padrão|esperado), médi[oa]s?, nada de especial
            habitual, usual, usuais, de costume, o costume, do costume, que o normal, norma, padrão, padrões
            costumeir[oa]s?
            (?:nível|valor|patamar|número|volume|resultado) (?:habitual|usual|normal|típico|de costume)""",
        "vague": r"""
            tod[oa]s (?:os|as) (?:números|métricas|indicadores|valores|medidas|resultados), os números, tudo
            em todas as frentes, em todos os indicadores, as métricas, os indicadores, cada número, cada métrica
            cada indicador, no geral, os demais (?:números|indicadores), as demais métricas, os outros números
            o resto
            o conjunto, os resultados, números, indicadores, métricas, demais
            dia como um todo, negócios?, atividade, procura, demanda, resultados?, desempenho, movimento, o comércio""",
        "other_shops": r"""
            concorrentes?, concorrência, rivais, rival, (?:outras|demais) lojas
            lojas (?:comparáveis|parecidas|similares|semelhantes|concorrentes), setor, ramo, indústria, segmento
            mercado (?:como um todo|em geral|geral|online|brasileiro|todo), média do setor, média do mercado, varejo
            varejistas?, comércio eletrônico, e-commerce, outros sites, o resto do mercado, outros varejistas, pares
            empresas, marcas""",
        "number_word": r"""
            dois, duas, três, quatro, cinco, seis, sete, oito, nove, dez, onze, doze, treze, catorze, quatorze, quinze
            dezesseis, dezasseis, dezessete, dezoito, dezenove, vinte, trinta, quarenta, cinquenta, sessenta, setenta
            oitenta, noventa, cem, cento, centos, centenas?, duzent[oa]s, trezent[oa]s, quinhent[oa]s, mil, milhares
            milhar, milh(?:ão|ões), bilh(?:ão|ões), dezenas?, dúzias?, meia dúzia, meia, meio, meios, metade, terços?
            um terço, um quarto, quartos, um quinto, quintos, décimos?, dobro, em dobro, dobr~ar, duplic~ar, duplo
            dupla, triplo, tripl~ar, triplic~ar, quádruplo, quadruplic~ar, vezes, duas vezes, percentua(?:l|is)
            por cento, porcento, um par, vári[oa]s, divers[oa]s(?= (?:clientes|pedidos|vezes|produtos|pessoas))?
            inúmer[oa]s, numeros[oa]s, muitos, muitas, pouc[oa]s, um punhado, falt~ar, não falt~ar, alguns, algumas
            uns, umas, zero, dígitos?, dois dígitos, fatores?, fator, incontáve(?:l|is), um único, uma única
            únic[oa]s?, grande parte, boa parte, maior parte, maioria, minoria, todo mundo
            todos os (?:clientes|visitantes|compradores)(?= \w), quase tod[oa]s, ambos os dois, um punhado de
            um (?:pedido|cliente|produto|item|por cento|em cada), uma (?:sessão|avaliação|unidade|em cada|visita)
            respectivamente, nessa ordem, nesta ordem
            ambos, ambas, uma vez, único, juntos, juntas, par, duplo, cada, inteir[oa]s?, por igual""",
        "wrong_date": r"""
            segundas?(?:-feiras?)?(?! (?:maior|mais|melhor|posição)), terças?(?:-feiras?)?(?! parte)
            quartas?(?:-feiras?)?(?! parte), quintas?(?:-feiras?)?(?! parte), sextas?(?:-feiras?)?(?! parte)
            sábados?, domingos?
            janeiro, fevereiro, março, abril, maio, junho, julho, agosto, setembro, outubro, novembro, dezembro
            ontem, anteontem, semana
            (?:ano|mês|trimestre|semestre|verão|inverno|natal|século|quinzena|fim de semana|
            final de semana) (?:passad[oa]|anterior|retrasad[oa])
            (?:o |um )?(?:ano|mês|trimestre) (?:antes|atrás), fi(?:m|ns) de semana, fina(?:l|is) de semana
            est[ea] (?:mês|ano|semana|trimestre|noite|manhã|tarde), ness[ea] (?:semana|ano)
            nest[ea] (?:mês|ano|semana|trimestre|noite|manhã|tarde)
            há (?:um|dois|uma quinzena|quinze|um mês|um ano|alguns|poucos)(?: \w+)?, quinzena, manhã, de manhã, tarde
            à tarde, noites?, à noite, madrugada, meio-dia, meia-noite, horas?, primeiro dia do
            início d[oa] (?:mês|semana|ano), fim d[oa] (?:mês|semana|ano), começo d[oa] (?:mês|semana|ano)
            final d[oa] (?:mês|semana|ano), dia seguinte, outro dia, recentemente, ultimamente, atualmente, agora
            minutos, anua(?:l|is), mensa(?:l|is), anualmente, mensalmente, dias atrás, semanas atrás, meses atrás
            anos atrás, ano, anos, mês, meses, semanas, trimestres?, semestres?, décadas?, semana retrasada, dia útil
            hoje, ontem, diariamente, mais cedo, mais tarde, antes, depois, cedo, anteriormente, posteriormente""",
        "instruction": r"""
            ignor~ar, ignore, desconsidere, desconsider~ar, modelo de linguagem
            como (?:um )?(?:modelo|assistente|ia)(?: de)?, não posso, aqui está(?:o)?, segue o resumo, eis o resumo
            claro, com certeza, marcadores?, prompt, sistema, assistente, usuário, instruç(?:ão|ões), regras
            espero que, avise, conte comigo, clique, visite, assine, compre, elogi~ar, elogie, rascunho, escreva, veja
            leia, saiba, acesse, entre em contato, contato, resumo pedido, resumo solicitado, fatos fornecidos
            os fatos, nota:, observação, json, html, reescrit[oa], corrigid[oa], versão corrigida, eu, meu, minha""",
    },
}

_ENTRIES: dict[str, Entries] = {"en": _ENGLISH, "pt": _PORTUGUESE}

_PLAIN = {
    "en": """
        aboard about above-mentioned abroad accordingly account accounted achieved achieving across actual actually
        adding additionally aforementioned after afterwards agree ahead akin albeit aligned alike all almost alone
        along already also alternatively although altogether always among amongst amount amounted amounting amounts
        another any anyhow anyone anything anywhere apart apiece appear appeared approximately are area around
        arranged arrive arrived arrives arriving article articles as aside ask assigned assortment asunder at atop
        attached attained attention audience average averaging awarded away back balance balanced balancing bar bars
        basis basketful baskets became become becomes been before began begin beginning begins begun behind being
        belong belonged belongs below-mentioned beneath beside besides between beyond big bit book books bottom bought
        breakdown brief briefly bring bringing brings brl broad broadly brought browsed browser browsers browsing
        bundle buy buying by calculated call called came can captured carried carry carrying cart case cash catalogue
        categories category central cents certain chain change changed changes changing charged chart charts checked
        checkout chief choice chunk cited claimed clear clearly click clicked clicks close closed closely closes
        closing collected collectively column combination combined combining come comes coming commanded comment
        commented comments commercially common comparable comparatively compare compared compares comparing comparison
        comparisons compensating compiled complete completed compose comprised computed concerned concerning confirmed
        considered consisted contain contained contains continued contrary contrast contrasted contrasting contribute
        contribution contributions converged conversely convert converted converting converts corresponded
        corresponding correspondingly corresponds could count counted counter counterbalanced counterbalancing
        counting countries country counts coupled course cover covered covers crowd currency current customers' d
        daily data date dates day day's days deep departing describe described destined-no detail detailed details
        develop developed development devoted did differ difference differences different differing directed direction
        directions disappointing displayed distance distinguishing distributed distribution diverged divergent
        diverging divided dividing do does doing dollar dollars domestic done drew during each earlier early echoed eg
        either else end end-of-day ended ending ends enjoyed enough enter entered entire entirely entries entry equal
        equalled equally equivalent especially essentially etc eur euro euros even evenly every everything everywhere
        evidently exact exactly examined example except excl excluded excluding exhibited exit exits experienced fair
        far fared fares feature featured felt fetched figure figures filed final finally financially find finding
        finish finished finishes finishing firm firmly first firstly fit fits five flow flows follow followed follows
        for foreign form formed former forms fortunes forward found fraction-no from front full fully funnel further
        furthermore gathered gave gbp general generally geographically get gets getting give given gives giving glance
        global go goes going gone goods got graph graphs great gross ground group grouped guest guests had half-way
        hand handed handing handled handles happened has have having he head headed headline heavy held here hereby
        hers herself himself hit hits hitting hold holding holds home household hovered hovering how however identical
        ie if in in-store inasmuch incl included includes including indeed individual individually initial initially
        inside insofar instead interest international into involved irrespective is issued it item itself joined
        joining joint jointly journey judgement judgements just keeping kept key kind kinds knew know known landed
        landing lands large largely last lastly late later latter least leave leaves leaving ledger ledgers left leg
        lest let level level-pegging levels light like likewise limited line line-up lines list listed lists ll local
        logged lone long look looked looking looks lot lots lower lying made main mainly major make makes making
        managed managing margin mark marked market marks matched matter mean meaning means meant meanwhile measure
        measured measures medal mention mentioned merchandise metric metrics middle mind minor minus mirrored mix
        mixed mixes moderate modest money more moreover most mostly move moved movement movements mover movers moves
        moving much name named namely narrow narrowly nation nearest nearly neck-and-neck need negative neither net
        netted netting neutral nevertheless news next nice no none nonetheless nor not notable note noted notes number
        numbered numbering numbers numerically observed obtained obtaining of off offered offset offsetting on on-site
        once one ones oneself online only onsite onto onward open opened opening opinion opinions opposed opposite or
        order ordered orders' other others otherwise ourselves out outcome outcomes outline outlined outside overall
        overall-no overview own pace package page page-level pages pair paired pairing parallel paralleled parcel
        parcels part partially particular particularly parties partly parts party pass passed passes past path pattern
        pence pending people per period person persons picture piece place placed places placing plain pleasing plus
        pocket podium point points portion position positions positive posted pound pounds precisely predominantly
        present presented previous previously primarily principally prior process processed produce produced product
        product's products products' profile proportion proportionally provide provided public pulled pulling purchase
        purchased purchases purely pushed pushing put putting quantities quantity quickly quite quoted ran range
        ranged ranging rank ranked ranking ranks rated rates rather rating ratio ratios re reach reached reaches
        reaching read reading reads reais real recap receive received recent recipient recipients recorded reference
        references regard regarding regardless region regions registered relation relative relatively remain remainder
        remained remaining remains repeated report reported reports represent represented representing represents
        respect respectable respective respectively rest rested rests result resulted results reviewed reviewing right
        roughly round-up roundup row run runner-up running runs s said sale same sat satisfying saw say says scale
        scoreboard search searches second secondly section secured see seeing seen sees segment selection sell selling
        sells sent separate separately separating sequence series served serves service set sets setting settle
        settled settling share shared shares sharing sharply sheet sheets shift shifted shifting shifts shop shop's
        shop-wide shopped shopper shoppers shopping shops short show showed showing shown shows side side-by-side
        sides similar similarly simple simply simultaneously since single-handed site site-wide sits sitting sizable
        size sizeable sizes sketch slice slightly slim slot slots slowly small smooth smoothly snapshot so sold sole
        solely some somebody somehow something sometimes somewhat somewhere sort sorted source space spanned spanning
        specifically spender spenders spending spent split splits splitting spot spots spread spreads stably stage
        stages stand standing stands star stars start started starting starts state stated stay stayed stays steadily
        step steps still stood stop stopped stopping stops store store's store-wide storefront story story-line stream
        streams string submitted subsequently such suggested sum summarised summarized summary summed sums supplied-no
        swing switch swung t table tables take taken takes taking tallied tallies tally tap taps tell tells term terms
        than that the their theirs them themselves then there thereafter therein thereof thereupon these they thing
        things third third-placed thirdly-no this those though thought through throughout ticket tie tied ties till
        tills time title titles to today together told tone too took top topped-up total totalled totalling totally
        totals touched touching toward trade trading trailing transaction translated trend's trolley trolleys turn
        turned turning turns type types under underneath understood uneven unevenly uniformly unit units unless unlike
        until up upon upper us usd used value valued values varied variety various vary ve verdict verdicts version
        versus very via view viewed viewer viewers viewing visit visited visiting visitor-no visitors' viz volume
        wallet wallets was way ways web website week's weekday weekday's weekdays weighed weight welcome welcomed
        welcomes well went were what whatever when where whereby wherein whereof whereupon wherever whether which
        whichever who whoever whole wholly whom whose why wide wise with within without worked worth worth-while would
        written wrote yield yielded yourself
        comprising hosted lay recording""",
    "pt": """
        a abre abriram abriu acabaram acabou acerca acessaram acessou acompanhada acompanhado ademais adiante
        adicionaram ainda algo algum alguma alguém ali além-disso ambas ambos ampla amplo andamento andou anterior
        anteriores anteriormente antes ao aonde aos aparece aparecem apareceram apareceu apenas apesar apresenta
        apresentam apresentaram apresentou aproximadamente aquela aquelas aquele aqueles aqui aquilo assim atingindo
        através até avaliado avaliaram avaliou aí balanço balcão base basicamente bem bolso bolsos cabe cada caixa
        caso categoria categorias catálogo chegada chegadas chegando chegaram chegou cifra cifras cima clara claro
        clicaram cliente clique cliques cofres coisa coisas coloca colocada colocadas colocado colocados colocaram
        colocação colocou coluna com comentaram comentou começaram começou como comparativamente comparativo
        comparação comparações compareceram compareceu comparecimento compensado compensando compensar compensaram
        compensou completa completo comportamento comprado comprar compraram compreende comprou concentra concentraram
        concentrou concluiu concluíram conforme conjuntamente conjunto conquanto conseguiu-no consoante consta constam
        constaram constou conta contabilizadas contabilizados contabilizaram contabilizou contada contadas contado
        contados contagem contaram contas continuaram continuou contou contrastam contraste contrastou contrária
        contrário conversão convertendo converteram converteu convertida convertidas convertido convertidos
        corresponde correspondem correspondente correspondentemente correspondentes corresponderam correspondeu
        correspondência coube couberam cresceram cuja cujas cujo cujos curta curto cá da dados dando-se daquela
        daquele das data datas daí de deixada deixado deixaram dela delas dele deles dentro depois deram dessa dessas
        desse desses desta destaca destacam destacando destacaram destacou destas deste destes detalhe detalhes deteve
        detém deu deu-se dia dias diferente diferentes diferença diferenças dinheiro direção direções disso disto
        distribuição distância divergente divergentes divergiram dividido dividiram dividiu diária diário do doméstica
        doméstico dona dono dos durante dá dão dólar dólares e efetivamente efetuaram efetuou ela elas ele eles em
        embora empate encerraram encerrou enfim entanto entra entrada entradas entram entraram entre entrou então
        enviaram enviou equilibrada equilibrado equilíbrio equivale equivalem equivaleram equivaleu era eram
        escreveram especialmente esperavam-se essa essas esse essencialmente esses esta estas estava estavam este
        estes esteve estiveram estrangeira estrangeiro está estão etapa etapas euro euros exatamente exato externa
        externo fatia fatias fato favor faz fazem fecha fechamento fechando fecharam fechou feita feitas feito feitos
        fez fica ficam ficando ficaram ficha ficou figura figuraram figurou fim finais final finalmente fizeram fluxo
        foi foram forma formas fosse fossem funil gerais geral geralmente-no gerou-no global grupo grupos haja hajam
        havendo haver havia haviam houve houvesse igualmente importância incluem inclui incluindo incluiu inclusive
        inclusão incluíram individualmente indo ingresso ingressos inicial inicialmente iniciaram iniciou inseriram
        inseriu inteira inteiro interna internacional internet interno inversa inverso início isso isto item já lado
        lados leitura lembrando-no leva levam levaram levaram-no levou levou-no libras linha linhas lista listada
        listadas listado listados local logo loja lojista longa longo lugar lugares lá malgrado mantendo margem
        mediante medida medidas medido mercado mercadoria mercadorias mercados mesma mesmas mesmo mesmos mista mistas
        misto mistos modo moeda momento montante montantes mostra mostram mostraram mostrou movimentaram movimento
        movimentos movimentou mundo mão mãos na nacional naquela naquele nas navegaram navegação navegou negativa
        negativo nela nelas nele neles nessa nessas nesse nesses nesta nestas neste nestes neutra neutro nisso no nome
        nos nota nota-se notas notou-se novamente-no numericamente níveis nível número números o observou-se obteve
        obtida obtido obtiveram ocupa ocuparam ocupou olharam onde online opinião oposição oposta opostas oposto
        opostos ordem ordens origem os oscilaram oscilou ou outra outras outro outros outrossim paga pagas pago
        panorama par para parado paralelo parcela parcelas parcial parcialmente parte partes particularmente partida
        passando passaram passou patamar patamares país países pedido pela pelas pelo pelos per perfil permanecendo
        permaneceram permaneceu pertence pertenceram pertenceu período períodos peso pessoa pessoas peça plena pleno
        pode-se poder ponta ponto pontos por porção porém positiva positivo posição posições possível posta postas
        posteriormente posto postos prateleira praticamente precisamente predominantemente primeiras primeiro
        primeiros principalmente procedente processo procurou produto produtos proporcionalmente proporção proporções
        própria próprias próprio próprios puderam puseram página páginas pódio pôde pôs põe põem público quadro quais
        qual qualquer quando quanta quantas quantia quantias quantidade quantidades quanto quantos que quem quer
        questão quão ranking reais real realizada realizadas realizado realizados realizaram realizou recebendo
        receber receberam recebeu recebida recebidas recebido recebidos referente referência referências registrada
        registradas registrado registrados registraram registro registros registrou-se relativa relativamente relativo
        relatório relação representa representam representando representaram representou respectiva respectivamente
        respectivo respondeu responsável-no restante restantes restou resumo retrato reuniram reuniu reúne ritmo
        rubrica rubricas sabe-se sacola sacolas saem sai saldo saída saídas se segue seguiram seguiu segundo seja
        sejam sendo sentido sentidos senão separadamente ser seu seus sido significa significam significaram
        significou simples simplesmente simultaneamente site sites situaram-se situação situou situou-se sobre
        sobretudo soma somada somadas somado somados somam somando somas somente somou sozinha sozinho sozinhos sua
        suas suma só tabela tais tal tal-qual também tampouco tanta tantas tanto tantos taxa taxas tela tem tempo
        tendo tenha tenham terminaram termo termos teve tinha tinham tipo tipos tiveram tiveram-se tivesse tivessem
        toda todo tomaram tomou totais total totalizando totalizou totalmente trajeto trata-se tratou-se trouxe
        trouxeram tão têm título títulos um uma unidade valeram valeu valor valores variação variações variedade veio
        vem vende vendem vendendo vender venderam vendeu vendida vendidas vendido vendidos ver verificou-se versão vez
        via vieram vinda vindas vindo vindos viram visitante visitaram visitou vista vistas vistos visão viu viu-se
        volta volume volumes vê-se vêm web à às última últimas último últimos
        aconteceram apurada apuradas apurado apurados computadas computados confirmados emitidos emitiu encerrando
        estando evoluiu evoluíram exibiu finalizadas fixou fixaram originou oriunda oriundos partindo participação
        processados processou proveniente provenientes respondendo resultando resultou resultaram situada
        situado situaram ocorreram
        ocorreu contando obtendo trazendo saiu saíram variou variaram correspondendo equivalendo""",
}
"""Words that claim nothing by themselves. What is neither here nor has a meaning above is refused: it could name
something, or say a direction."""

_PRONOUNS = {
    "en": """
        it they that this these those which who both also too still even either each so then thus again there the same
        figure figures number numbers total totals count counts value values sum amount tally reading level levels
        rate result however meanwhile moreover furthermore additionally instead overall likewise similarly accordingly
        nevertheless nonetheless what all only just already here now by contrast turn addition particular general
        comparison being seen""",
    "pt": """
        ela ele elas eles isso isto esta este essa esse estas estes que também ainda já assim mesmo mesma número
        números valor valores total totais soma resultado nível taxa porém entanto disso além modo geral comparação
        quando onde se""",
}
"""Words that may stand before a direction whose subject was named earlier."""

_ENDINGS = {
    "ar": "ar|ou|aram|a|am|ando|ado|ada|ados|adas|ava|avam|asse|assem|aria|ariam|arem|em|e|ará|arão",
    "er": "er|eu|eram|e|em|endo|ido|ida|idos|idas|ia|iam|esse|essem|eria|eriam|erem|erá|erão|a|am",
    "ir": "ir|iu|iram|íram|e|em|i|indo|ído|ido|ida|ídas|idos|idas|ia|iam|isse|ísse|issem|íssem|iria|irem|irá|irão",
}


def _inflected(entry: str) -> str:
    """An entry with its regular verbs in all their forms: `aument~ar`."""
    return re.sub(r"~(ar|er|ir)\b", lambda found: f"(?:{_ENDINGS[found[1]]})", entry)
