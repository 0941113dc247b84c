"""The simulated anime catalogue: one CSV of titles with score, genres and synopsis, which does not grow.

What is planted, with the truth in `titles.parquet` and `truth.json`:

- Each title has one theme (`THEMES`). Its genres, heroes, aims and troubles are the theme's own, in its name and in its
  synopsis of 40 to 120 words; `truth.json` has for each theme a question that asks for it in plain words, mostly
  others than those of its sentences, so that a search can be tested.
- Each has one setting (`SETTINGS`), which says nothing of the theme, and a hero's name.
- The mean score belongs to the theme (`truth.json`); one score in eight is `Unknown`.
- One title in seven continues an earlier one: the same theme, setting and hero.
- `queries.csv` has searches with judgements by theme, setting, hero and series of the titles.

The faults of the public set: 3 % of the synopses say only that there is none (`NO_SYNOPSIS`), 1 % are empty, 0.5 % of
the titles have the genre `Unknown`; ids have gaps; names and synopses hold commas and quotes.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from random import Random
from typing import NamedTuple

from simulator.plan import (
    BROKEN,
    EXACT,
    FITS,
    NEAR,
    PLAIN,
    QUERIES,
    WORDS,
    Asked,
    Plan,
    Say,
    Written,
    misspelt,
    other_number,
    write_queries,
)
from simulator.world import check_drifts, whole

COLUMNS = ("MAL_ID", "Name", "Score", "Genres", "Synopsis")
FILE = "anime_with_synopsis.csv"
PUBLIC_DAYS = None
PUBLIC_TITLES = 16_214
DRIFTS = ()
NO_SYNOPSIS = "There is no synopsis for this title yet. Readers are welcome to send one in."
_NO_SYNOPSIS_SHARE, _EMPTY_SHARE, _NO_GENRE_SHARE = 0.03, 0.01, 0.005
_UNKNOWN_SCORE, _SEQUEL = 0.125, 0.14


class Theme(NamedTuple):
    """What a story is about."""

    genres: tuple[str, ...]
    heroes: tuple[str, ...]  # each with its article
    aims: tuple[str, ...]  # after `wants to`
    troubles: tuple[str, ...]  # whole clauses
    details: tuple[str, ...]  # whole clauses
    words: tuple[str, ...]  # nouns for the name
    question: str
    score: float


THEMES: dict[str, Theme] = {
    "space_crew": Theme(
        ("Sci-Fi", "Space", "Adventure"),
        ("a debt-ridden freighter pilot", "a runaway navigator", "the youngest captain of the outer fleet"),
        ("keep a rusty starship flying", "chart a route through the asteroid belt", "deliver a sealed cargo to Saturn"),
        (
            "pirates board the ship beyond the orbit of Mars", "the reactor fails between two planets",
            "a distress signal arrives from a vessel that was lost a century ago",
        ),
        (
            "the crew argues over fuel, oxygen and old loyalties", "every docking port hides a smuggler with an offer",
            "zero gravity makes each repair a gamble",
        ),
        ("Orbit", "Starship", "Comet", "Nebula", "Airlock"),
        "astronauts who live aboard a vessel and travel between worlds", 7.4,
    ),
    "giant_robots": Theme(
        ("Mecha", "Military", "Action"),
        ("a conscripted cadet", "a gifted mechanic", "the last test pilot of a defeated army"),
        ("master a forbidden war machine", "hold the front line for one more winter",
         "find out who built the enemy's armour"),
        (
            "the machine begins to answer to its pilot's nightmares", "an armoured legion breaks through the border",
            "headquarters orders an attack on a city full of refugees",
        ),
        (
            "steel giants clash above burning streets", "each sortie costs another comrade",
            "engineers weld through the night to replace a shattered arm",
        ),
        ("Frame", "Colossus", "Vanguard", "Iron", "Brigade"),
        "soldiers who fight inside huge walking machines", 7.1,
    ),
    "detective": Theme(
        ("Mystery", "Police", "Thriller"),
        ("a disgraced inspector", "a sharp-eyed office clerk", "a private investigator with a perfect memory"),
        ("solve a locked-room murder", "unmask a forger", "learn why the witnesses all tell the same lie"),
        (
            "a second body is found beside a chess piece", "the evidence vanishes from the station's vault",
            "the prime suspect asks for protection",
        ),
        (
            "every alibi holds until it is compared with the train timetable",
            "fingerprints lead back to a case that was closed long ago",
            "an anonymous caller knows each clue in advance",
        ),
        ("Verdict", "Alibi", "Cipher", "Witness", "Evidence"),
        "someone who investigates crimes and finds the killer", 7.5,
    ),
    "haunting": Theme(
        ("Horror", "Supernatural", "Mystery"),
        ("a sleepless caretaker", "a girl who hears the dead", "a sceptical photographer"),
        ("lay a restless spirit to rest", "learn whose footsteps cross the attic",
         "survive until the lanterns are lit again"),
        (
            "the portraits change their expressions after midnight", "a drowned child knocks at the window",
            "nobody who sleeps in the eastern room remembers waking",
        ),
        (
            "cold breath clouds the mirrors", "old prayers only make the whispers louder",
            "the graves behind the shrine are all empty",
        ),
        ("Shadow", "Whisper", "Grave", "Curse", "Lantern"),
        "frightening story of ghosts in an old house", 6.7,
    ),
    "dragon_quest": Theme(
        ("Fantasy", "Adventure", "Magic"),
        ("an exiled knight", "a half-elf ranger", "a farmhand who was named in a prophecy"),
        ("slay the dragon that burned the capital", "carry an enchanted blade to the mountain",
         "break an ancient seal"),
        (
            "the king's own wizard sells the company to goblins", "the dragon offers a bargain instead of fire",
            "the enchanted sword refuses to leave its sheath",
        ),
        (
            "taverns, ruins and dungeons line the road", "each rune that is read aloud takes a year of life",
            "a dwarf smith and a thief join the march",
        ),
        ("Dragon", "Blade", "Rune", "Crown", "Sorcery"),
        "heroes on a journey with swords and wizards against a fire-breathing monster", 7.0,
    ),
    "school_band": Theme(
        ("Music", "School", "Slice of Life"),
        ("a shy guitarist", "a drummer who was thrown out of two clubs", "a transfer student with perfect pitch"),
        ("play one concert before graduation", "save the light music club", "write a song that is not about herself"),
        (
            "the singer loses her voice a week before the festival", "the rehearsal room is given to the chess club",
            "a rival group steals their melody",
        ),
        (
            "afternoons pass between amplifiers, tea and broken strings", "the bass line is finished on the last train",
            "they practise until the janitor turns off the lights",
        ),
        ("Melody", "Encore", "Chord", "Rhythm", "Chorus"),
        "teenagers who form a group and perform songs", 7.3,
    ),
    "volleyball": Theme(
        ("Sports", "School", "Comedy"),
        ("the shortest spiker of the district", "a setter who trusts nobody", "a captain with an injured knee"),
        ("reach the national tournament", "beat the team that humbled them", "learn a serve that nobody can receive"),
        (
            "the coach leaves on the eve of the qualifiers", "the ace is benched after a quarrel",
            "a tall newcomer wants the same position",
        ),
        (
            "the gym smells of floor wax and bandages", "each rally is longer than the last",
            "sweat, timeouts and one more set decide the summer",
        ),
        ("Spike", "Court", "Rally", "Champion", "Serve"),
        "a team that trains hard to win matches at the championship", 7.6,
    ),
    "cooking": Theme(
        ("Slice of Life", "Comedy", "Drama"),
        ("a failed pastry chef", "the heir of a noodle stall", "a food critic without a sense of taste"),
        ("recreate a grandmother's lost recipe", "win a cooking duel", "keep a tiny restaurant open for a year"),
        (
            "the only supplier of saffron goes bankrupt", "a famous gourmet sends back the soup",
            "a chain opens a branch across the street",
        ),
        (
            "broth simmers while the neighbours tell their sorrows", "knives, flour and patience fill the kitchen",
            "each dish opens an old memory",
        ),
        ("Kitchen", "Recipe", "Noodle", "Spice", "Table"),
        "chefs who prepare delicious meals for guests", 7.2,
    ),
    "time_loop": Theme(
        ("Sci-Fi", "Thriller", "Drama"),
        ("a physics student", "a watchmaker's apprentice", "a reporter who wakes on the same Tuesday"),
        ("undo a fatal accident", "send one message to the past", "find out who else remembers yesterday"),
        (
            "each return erases a different friend", "the clock tower strikes an hour that does not exist",
            "a stranger greets the hero with tomorrow's newspaper",
        ),
        (
            "notes written on skin are all that survives the reset", "causes arrive after their effects",
            "the same rain falls for the hundredth time",
        ),
        ("Clock", "Paradox", "Tuesday", "Hourglass", "Loop"),
        "a person repeats one day again and again and tries to change the past", 7.8,
    ),
    "neighbours_in_love": Theme(
        ("Romance", "Comedy", "Slice of Life"),
        ("an illustrator who misses every deadline", "a widowed florist", "a quiet librarian"),
        ("confess before the cherry trees fade", "return a misdelivered love letter",
         "learn to say good morning first"),
        (
            "a childhood friend announces an engagement", "a thin wall makes every secret audible",
            "a job offer arrives from abroad",
        ),
        (
            "they share an umbrella, a balcony and too many silences", "handwritten notes pass under the door",
            "a stray kitten needs two owners",
        ),
        ("Heart", "Letter", "Blossom", "Promise", "Balcony"),
        "two shy people who live next door fall for each other", 7.2,
    ),
    "magic_academy": Theme(
        ("Magic", "Fantasy", "School"),
        ("a pupil without any talent", "the daughter of a banished witch", "a scholarship student from the harbour"),
        ("pass the final examination in spellcraft", "open the sealed library",
         "learn the one incantation that failed her mother"),
        (
            "a duel in the great hall wakes something beneath it", "the headmaster's familiar turns to stone",
            "the entrance crystal shows a forbidden colour",
        ),
        (
            "broomsticks, potions and jealous classmates fill the days", "homework bites whoever opens it too soon",
            "the dormitory moves to another tower each night",
        ),
        ("Witch", "Grimoire", "Academy", "Wand", "Familiar"),
        "students who learn spells and potions at a boarding school for wizards", 7.1,
    ),
    "pirates": Theme(
        ("Adventure", "Action", "Comedy"),
        ("a shipwrecked cartographer", "a cook who became a captain", "a swordswoman with a stolen map"),
        ("reach an island that no chart shows", "raise a sunken galleon", "gather a crew of misfits"),
        (
            "the navy closes the strait", "a mutiny splits the deck at dawn", "the treasure chest holds another riddle",
        ),
        (
            "cannons, storms and sea shanties mark the weeks", "the parrot knows more than the quartermaster",
            "salt ruins the powder and the tempers",
        ),
        ("Tide", "Galleon", "Compass", "Corsair", "Anchor"),
        "outlaws who sail the ocean in search of treasure", 7.4,
    ),
    "samurai": Theme(
        ("Samurai", "Historical", "Drama"),
        ("a masterless swordsman", "a blind lute player", "a retainer who survived his lord"),
        ("avenge a burned clan", "guard a merchant's daughter on the road", "put the sword down for good"),
        (
            "the shogun's spies arrive first", "an old friend stands on the other side of the bridge",
            "a bounty is nailed to every gate",
        ),
        (
            "honour weighs more than rice", "each duel ends before the leaf touches the ground",
            "snow covers the tracks and the blood",
        ),
        ("Ronin", "Katana", "Snow", "Clan", "Honour"),
        "wandering warriors of feudal Japan who seek revenge", 7.5,
    ),
    "idols": Theme(
        ("Music", "Drama", "Comedy"),
        ("a trainee who was rejected nine times", "a retired star's manager", "a dancer with stage fright"),
        ("debut on the big stage", "fill a small theatre for a month", "keep five rivals in one dressing room"),
        (
            "a scandal breaks on the morning of the audition", "the agency cancels the contract",
            "a fan learns too much",
        ),
        (
            "costumes are sewn on the night bus", "choreography and tears share the mirror room",
            "handshakes, microphones and glow sticks pay the rent",
        ),
        ("Stage", "Spotlight", "Audition", "Glitter", "Debut"),
        "young women train to become pop stars", 6.6,
    ),
    "vampires": Theme(
        ("Vampire", "Supernatural", "Horror"),
        ("a night nurse", "a hunter who was bitten", "the last heir of a pale family"),
        ("stay human until the eclipse", "find a cure for the thirst", "end a pact that was signed in blood"),
        (
            "the coven elects a new queen", "silver no longer burns the eldest", "the church opens its crypt",
        ),
        (
            "crimson moons count the nights", "coffins are carried through the customs office",
            "sunlight creeps across the floor each morning",
        ),
        ("Crimson", "Fang", "Eclipse", "Coven", "Thirst"),
        "undead creatures of the night who drink blood", 7.0,
    ),
    "farm_life": Theme(
        ("Slice of Life", "Comedy", "Drama"),
        ("a burnt-out office worker", "a city boy who fears cows", "the granddaughter of a beekeeper"),
        ("bring in one good harvest", "save the village dairy", "grow rice without machines"),
        (
            "a typhoon flattens the fields", "the tractor dies in the first furrow", "wild boars find the pumpkins",
        ),
        (
            "roosters, mud and honest hunger shape the seasons", "the old neighbours know each cloud by name",
            "a calf is born during the village feast",
        ),
        ("Harvest", "Barn", "Orchard", "Meadow", "Sickle"),
        "leaving the city to raise animals and vegetables in the countryside", 7.3,
    ),
    "card_game": Theme(
        ("Game", "Shounen", "Adventure"),
        ("a collector with one rare card", "a champion who vanished from the rankings",
         "a pair of twins who share a deck"),
        ("win the grand tournament", "bring back a friend who was sealed in a card",
         "complete a deck of a hundred legends"),
        (
            "the monsters on the cards begin to bleed into the arena", "a masked duellist bets souls",
            "the strongest card answers to nobody",
        ),
        (
            "traps, bluffs and lucky draws turn each round", "shopkeepers whisper of misprints with power",
            "the last card is drawn with closed eyes",
        ),
        ("Duel", "Deck", "Joker", "Summon", "Trump"),
        "players battle with collectible cards in a contest", 6.3,
    ),
    "mountaineers": Theme(
        ("Adventure", "Drama", "Sports"),
        ("a climber who lost two fingers", "a weather observer", "a porter's son"),
        ("reach a summit that nobody has seen", "recover a diary from the glacier", "climb the north face alone"),
        (
            "an avalanche buries the base camp", "the rope shows a clean cut", "the storm window closes a day early",
        ),
        (
            "thin air makes liars of good friends", "crampons scratch on blue ice",
            "the tent is pitched on a ledge above the clouds",
        ),
        ("Summit", "Glacier", "Ridge", "Avalanche", "Altitude"),
        "expedition that ascends a dangerous peak", 7.2,
    ),
    "doctors": Theme(
        ("Drama", "Slice of Life", "Thriller"),
        ("a surgeon without a licence", "a trainee on her first night shift", "an ambulance driver"),
        ("save a patient whom three hospitals refused", "trace an unknown fever", "open a clinic in the poorest ward"),
        (
            "the operating theatre loses power", "the donor's papers turn out to be false",
            "a quarantine closes the whole block",
        ),
        (
            "scalpels, coffee and hard decisions fill the night", "every diagnosis hides a family's secret",
            "the heart monitor falls silent twice",
        ),
        ("Scalpel", "Ward", "Pulse", "Remedy", "Clinic"),
        "medical staff who treat the sick in a hospital", 7.3,
    ),
    "after_the_end": Theme(
        ("Sci-Fi", "Action", "Drama"),
        ("a scavenger with a broken radio", "an android gardener", "a courier of the wasteland"),
        ("reach the last green valley", "carry seeds across the desert", "restart a drowned power station"),
        (
            "raiders follow the tyre tracks", "the water ration is halved",
            "an old satellite begins to broadcast again",
        ),
        (
            "rusted towers stand in the dust", "children trade batteries for bread",
            "the survivors no longer agree on the year",
        ),
        ("Wasteland", "Ash", "Relic", "Dust", "Shelter"),
        "survivors wander the ruins after civilisation has collapsed", 7.6,
    ),
    "street_racing": Theme(
        ("Cars", "Sports", "Action"),
        ("a delivery driver", "a mechanic who inherits a wrecked coupe",
         "a former champion behind the counter of a garage"),
        ("beat the ghost of the mountain pass", "tune an engine that everyone has given up",
         "win back a lost licence plate"),
        (
            "black ice waits in the fifth hairpin", "the rival's sponsor buys the whole garage",
            "the brakes fail downhill",
        ),
        (
            "tyres scream between the guard rails", "the gearbox is rebuilt twice before dawn",
            "headlights race each other through the fog",
        ),
        ("Drift", "Turbo", "Hairpin", "Engine", "Redline"),
        "drivers compete in fast automobiles at night", 7.1,
    ),
    "board_game_masters": Theme(
        ("Game", "Drama", "Seinen"),
        ("an orphaned shogi prodigy", "a retired master", "a schoolboy who was beaten by a child"),
        ("earn the highest rank before twenty", "finish a game that was broken off in the war",
         "understand one impossible move"),
        (
            "a losing streak threatens expulsion from the guild", "the opponent copies every opening",
            "the title match falls on the day of a funeral",
        ),
        (
            "wooden pieces click through the silent hall", "each night is spent over old game records",
            "byo-yomi seconds sound like footsteps",
        ),
        ("Gambit", "Board", "Checkmate", "Opening", "Rank"),
        "a prodigy plays strategic matches against masters", 7.7,
    ),
    "sea_monsters": Theme(
        ("Adventure", "Supernatural", "Fantasy"),
        ("a lighthouse keeper's daughter", "a marine biologist", "a diver who breathes too long under water"),
        ("follow the song beneath the waves", "free a captured leviathan", "find the city on the sea floor"),
        (
            "nets come up torn by enormous teeth", "the harbour wakes to a shore without water",
            "a mermaid demands the return of a stolen pearl",
        ),
        (
            "sonar draws shapes that no textbook names", "coral grows over the old temples",
            "the deep answers each bell with another",
        ),
        ("Abyss", "Leviathan", "Coral", "Siren", "Depth"),
        "giant creatures that live beneath the ocean", 6.9,
    ),
    "talking_animals": Theme(
        ("Kids", "Comedy", "Adventure"),
        ("a hedgehog postman", "a fox who cannot lie", "a bear cub with a red scarf"),
        ("deliver a parcel before the first snow", "find out who eats the moon",
         "hold a birthday feast for the whole forest"),
        (
            "the owl loses her spectacles", "a river moves overnight", "the rabbits declare independence",
        ),
        (
            "acorns serve as money", "the badger tells stories that are nearly true", "every paw helps in the end",
        ),
        ("Burrow", "Acorn", "Whisker", "Forest", "Paw"),
        "cute woodland creatures for small children", 6.5,
    ),
}  # fmt: skip

SETTINGS: dict[str, tuple[str, str]] = {
    "floating_city": ("in a city that floats above the clouds", "cable cars"),
    "fishing_village": ("in a small fishing village at the end of the railway", "sardine boats"),
    "capital": ("in the crowded capital", "neon crossings"),
    "northern_island": ("on a northern island where winter lasts eight months", "snow ploughs"),
    "canal_town": ("in an old town of canals", "stone bridges"),
    "desert_outpost": ("at an outpost in the red desert", "windmills"),
    "mountain_monastery": ("near a monastery high in the mountains", "prayer flags"),
    "industrial_port": ("in a soot-black industrial port", "cranes"),
    "southern_archipelago": ("among the islands of a warm southern sea", "ferries"),
    "underground_city": ("in a city that was built underground", "lamplit tunnels"),
    "border_province": ("in a forgotten province at the border", "watchtowers"),
    "university_town": ("in a leafy university town", "second-hand bookshops"),
}

# How a setting is searched for: in words of the synopses, and in others.
_PLACES: dict[str, tuple[str, str]] = {
    "floating_city": ("city above the clouds", "a town hovering in the sky"),
    "fishing_village": ("small fishing village", "a hamlet on the coast"),
    "capital": ("crowded capital", "a metropolis full of people"),
    "northern_island": ("northern island", "a frozen place near the pole"),
    "canal_town": ("town of canals", "a place with boats instead of streets"),
    "desert_outpost": ("outpost in the desert", "dry sand far from anyone"),
    "mountain_monastery": ("mountains monastery", "a temple among peaks"),
    "industrial_port": ("industrial port", "dirty docks and factories"),
    "southern_archipelago": ("islands southern sea", "tropical beaches"),
    "underground_city": ("underground city", "caverns beneath the surface"),
    "border_province": ("forgotten province", "a remote frontier"),
    "university_town": ("university town", "a campus with trees"),
}

_GIVEN = (
    "Akari", "Botan", "Chisato", "Daigo", "Emi", "Fumiko", "Genzo", "Haruto", "Isamu", "Junko", "Kaede", "Lumi",
    "Mikoto",
    "Naoki", "Orie", "Rentaro", "Sayo", "Tamaki", "Umeko", "Wataru", "Yori", "Zenji", "Asuka", "Kohaku", "Shiori",
    "Ritsu",
)  # fmt: skip
_FAMILY = (
    "Arakida", "Benimaru", "Dozono", "Endomori", "Fukaba", "Hoshigami", "Inukawa", "Kazehaya", "Minazuki", "Nishiori",
    "Onodera", "Sakakura", "Tachigami", "Umezono", "Yukishiro", "Zaitsuka",
)  # fmt: skip
_FIRST = (
    "Amber", "Silent", "Paper", "Hollow", "Seventh", "Glass", "Wandering", "Broken", "Distant", "Scarlet", "Midnight",
    "Gentle", "Borrowed", "Electric", "Last", "Hidden", "Northern", "Copper", "Unfinished", "Winter", "Restless",
    "Golden",
    "Crooked", "Faraway", "Thousandfold", "Little",
)  # fmt: skip
_SECOND = (
    "Chronicle", "Diary", "Days", "Requiem", "Road", "Parade", "Garden", "Theory", "Company", "Season", "Song",
    "Country",
    "Hour", "Circle", "Report", "Memoir", "Journey", "House", "Signal", "Tale",
)  # fmt: skip
_AUDIENCES = ("Shounen", "Seinen", "Shoujo", "Josei")
_COMPANIONS = (
    "an unlikely friend", "a rival who will not leave", "a younger sister", "a talkative stranger", "an old teacher",
    "a boy who never gives his name", "a former enemy", "a clumsy assistant",
)  # fmt: skip
_ENDINGS = (
    "Nobody is quite who they seemed.", "There may be no second chance.",
    "What begins as a favour becomes a way of life.",
    "Some debts cannot be paid with money.", "In the end a choice has to be made.", "And the clock is running.",
    "It is a story of small courage.", "But home is further away than the map says.",
    "Only the stubborn will see it through.",
)  # fmt: skip
_AUDIENCE_SHARE = 0.55


class Title(NamedTuple):
    """One title with what is planted in it."""

    number: int
    name: str
    score: str
    genres: str
    synopsis: str
    theme: str
    setting: str
    hero: str


def titles(seed: int, count: int) -> list[Title]:
    """The first `count` titles of a catalogue; the same for every larger count."""
    made: list[Title] = []
    names: set[str] = set()
    number = 0
    sequels: dict[str, int] = {}
    for at in range(count):
        draw = Random(f"anime/{seed}/{at}")
        number += 1 + int(draw.random() ** 2 * 5)
        first = made[int(draw.random() * len(made))] if made and draw.random() < _SEQUEL else None
        theme_name = first.theme if first else _one(draw, tuple(THEMES))
        theme = THEMES[theme_name]
        setting = first.setting if first else _one(draw, tuple(SETTINGS))
        hero = first.hero if first else f"{_one(draw, _GIVEN)} {_one(draw, _FAMILY)}"
        if first:
            base = first.name.partition(" Part ")[0]
            sequels[base] = sequels.get(base, 1) + 1
            name = f"{base} Part {sequels[base]}"
        else:
            name = _name(draw, theme, hero, names)
        names.add(name)
        mean = theme.score + (0.2 if first else 0.0)
        score = min(9.4, max(2.5, draw.gauss(mean, 0.55)))
        synopsis = _synopsis(draw, theme, setting, hero, first.name if first else None)
        u = draw.random()
        if u < _NO_SYNOPSIS_SHARE:
            synopsis = NO_SYNOPSIS
        elif u < _NO_SYNOPSIS_SHARE + _EMPTY_SHARE:
            synopsis = ""
        made.append(
            Title(
                number,
                name,
                "Unknown" if draw.random() < _UNKNOWN_SCORE else f"{score:.2f}",
                _genres(draw, theme),
                synopsis,
                theme_name,
                setting,
                hero,
            )
        )
    return made


def _one(draw: Random, items: tuple[str, ...]) -> str:
    return items[int(draw.random() * len(items))]


def _some(draw: Random, items: tuple[str, ...], count: int) -> list[str]:
    left = list(items)
    return [left.pop(int(draw.random() * len(left))) for _ in range(min(count, len(left)))]


def _name(draw: Random, theme: Theme, hero: str, names: set[str]) -> str:
    """A name that no title has yet, with a word of the theme."""
    while True:
        word, first, second = _one(draw, theme.words), _one(draw, _FIRST), _one(draw, _SECOND)
        kind, given = draw.random(), hero.partition(" ")[0]
        if kind < 0.40:
            name = f"{first} {word} {second}"
        elif kind < 0.60:
            name = f"{word}: The {first} {second}"
        elif kind < 0.75:
            name = f"{given} and the {first} {word}"
        elif kind < 0.85:
            name = f"{first}, {_one(draw, _FIRST)} {word}"
        else:
            name = f"{second} of the {first} {word}"
        if name not in names:
            return name


def _genres(draw: Random, theme: Theme) -> str:
    if draw.random() < _NO_GENRE_SHARE:
        return "Unknown"
    genres = set(_some(draw, theme.genres, 2 if draw.random() < 0.3 else 3))
    if draw.random() < _AUDIENCE_SHARE and not genres & {"Kids", *_AUDIENCES}:
        genres.add(_one(draw, _AUDIENCES))
    if draw.random() < 0.12:
        genres.add(_one(draw, ("Comedy", "Drama", "Psychological", "Parody")))
    return ", ".join(sorted(genres))


def _synopsis(draw: Random, theme: Theme, setting: str, hero: str, earlier: str | None) -> str:
    """Four to eight sentences of 40 to 120 words."""
    place, thing = SETTINGS[setting]
    given = hero.partition(" ")[0]
    role, aim = _one(draw, theme.heroes), _one(draw, theme.aims)
    trouble, second_trouble = _some(draw, theme.troubles, 2)
    details = _some(draw, theme.details, 3)
    opening = _one(
        draw,
        (
            f"{hero} is {role} {place}, and wants only to {aim}.",
            f"{place[0].upper()}{place[1:]} lives {hero}, {role} who wants to {aim}.",
            f"{role[0].upper()}{role[1:]}, {hero} has one wish: to {aim}. The story takes place {place}.",
            f"Everyone {place} knows {hero}, {role}. Few know that {given} means to {aim}.",
        ),
    )
    if earlier:
        opening = f'Some time has passed since "{earlier}". {opening}'
    middle = _one(
        draw,
        (
            f"When {trouble}, there is no way back.",
            f"Then {trouble}, and the quiet days are over.",
            f"All goes well until {trouble}.",
            f"But {trouble}, and what looked like a plan becomes a race.",
        ),
    )
    company = _one(
        draw,
        (
            f"With {_one(draw, _COMPANIONS)}, {given} sets out among the {thing}, while {details[0]}.",
            f"Help comes from {_one(draw, _COMPANIONS)}; meanwhile {details[0]}.",
            f"{given} has to rely on {_one(draw, _COMPANIONS)}, for {details[0]}.",
        ),
    )
    sentences = [opening, middle, company]
    if draw.random() < 0.75:
        sentences.append(f"{details[1][0].upper()}{details[1][1:]}, and between the {thing} trust is hard to find.")
    if draw.random() < 0.55:
        sentences.append(f"Worse, {second_trouble}.")
    if draw.random() < 0.45:
        sentences.append(f"As the weeks go by, {details[2]}.")
    if draw.random() < 0.70:
        sentences.append(_one(draw, _ENDINGS))
    text = " ".join(sentences)
    while len(text.split()) > 120:
        del sentences[3]
        text = " ".join(sentences)
    return text if len(text.split()) >= 40 else f"{text} Step by step {given} learns what it takes to {aim}."


def write(folder: Path, truth: Path, plan: Plan, after: date | None, say: Say) -> list[Written]:
    """Write the catalogue. It does not grow: nothing is written where `after` says that it is there.

    Raises ValueError for any drift, for it has no days, and for a scale at which there is no title.
    """
    check_drifts("anime", plan.drifts, DRIFTS)
    count = round(PUBLIC_TITLES * plan.scale)
    if count < 1:
        raise ValueError(f"at the scale {plan.scale} the catalogue has no title: take at least {1 / PUBLIC_TITLES:.5f}")
    if after is not None:
        return []
    import pyarrow as pa
    from pyarrow import parquet

    made = titles(plan.seed, count)
    with whole(folder / FILE) as part, part.open("w", encoding="utf-8", newline="") as text:
        out = csv.writer(text, lineterminator="\n")
        out.writerow(COLUMNS)
        out.writerows(title[:5] for title in made)
    table = pa.table(
        {
            "mal_id": pa.array([title.number for title in made], pa.int64()),
            "theme": pa.array([title.theme for title in made], pa.string()),
            "setting": pa.array([title.setting for title in made], pa.string()),
            "hero": pa.array([title.hero for title in made], pa.string()),
        }
    )
    with whole(truth / "titles.parquet") as part:
        parquet.write_table(table, part)
    themes = {
        name: {"question": theme.question, "genres": theme.genres, "mean_score": theme.score}
        for name, theme in THEMES.items()
    }
    with whole(truth / "truth.json") as part:
        part.write_text(json.dumps({"themes": themes, "settings": SETTINGS}, indent=1))
    write_queries(truth, _searches(plan.seed, made))
    say(f"{FILE}: {count:,} titles")
    return [Written("titles", folder / FILE, count)]


def _searches(seed: int, made: list[Title]) -> Iterator[Asked]:
    """Searches made of titles drawn at random, and each theme's question."""
    draw = Random(f"anime/{seed}/queries")

    def a_title() -> Title:
        return made[int(draw.random() * len(made))]

    def by_name(title: Title) -> Asked:
        """The name of a series: its titles, those that share the theme and its word in the name, those of the theme."""
        series = title.name.partition(" Part ")[0]
        theme_words = {word for word in THEMES[title.theme].words if word in title.name}
        grades = {
            str(other.number): EXACT
            if other.name.partition(" Part ")[0] == series
            else FITS
            if any(word in other.name for word in theme_words)
            else NEAR
            for other in made
            if other.theme == title.theme
        }
        return Asked(series.lower().replace(":", "").replace(",", ""), WORDS, grades)

    def by_hero(title: Title) -> Asked:
        """A hero and a genre: the titles with both, and the others of the hero."""
        genre = _one(draw, THEMES[title.theme].genres)
        grades = {
            str(other.number): EXACT if genre in other.genres.split(", ") else FITS
            for other in made
            if other.hero == title.hero and _tells(other)
        }
        return Asked(f"{title.hero} {genre}".lower(), WORDS, grades)

    def by_place(title: Title) -> Asked:
        """A genre and a setting: the titles with both, and those with the setting alone."""
        genre = _one(draw, THEMES[title.theme].genres)
        grades = {
            str(other.number): EXACT if genre in other.genres.split(", ") else NEAR
            for other in made
            if other.setting == title.setting and _tells(other)
        }
        return Asked(f"{genre} {_PLACES[title.setting][0]}".lower(), WORDS, grades)

    forms = (by_name, by_hero, by_place)
    for number in range(QUERIES):
        yield forms[number % len(forms)](a_title())
    for number in range(QUERIES):
        form = forms[number // 2 % len(forms)]
        asked = form(a_title())
        head, _, last = asked.text.rpartition(" ")
        # A hero's search ends with a genre, most of which have no other number.
        is_misspelt = number % 2 or form is by_hero
        broken = misspelt(draw, asked.text) if is_misspelt else f"{head} {other_number(last)}".strip()
        yield asked._replace(text=broken, kind=BROKEN)
    for name, theme in THEMES.items():
        grades = {
            str(other.number): EXACT if other.theme == name else NEAR
            for other in made
            if other.theme == name or len({*THEMES[other.theme].genres} & {*theme.genres}) >= 2
        }
        yield Asked(theme.question, PLAIN, grades)
    for _ in range(QUERIES - len(THEMES)):
        title = a_title()
        grades = {
            str(other.number): EXACT if other.setting == title.setting and _tells(other) else FITS
            for other in made
            if other.theme == title.theme
        }
        yield Asked(f"{THEMES[title.theme].question}, {_PLACES[title.setting][1]}", PLAIN, grades)


def _tells(title: Title) -> bool:
    """Whether its synopsis tells hero and setting."""
    return title.synopsis not in ("", NO_SYNOPSIS)
