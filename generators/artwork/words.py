"""Brands, product names and the small print of every category in eleven languages. All names are made up."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import yaml

LANGUAGES = ("en", "de", "fr", "es", "it", "pl", "sv", "cs", "el", "ru", "ja")
MARKETS = (0.3, 0.12, 0.11, 0.08, 0.09, 0.07, 0.05, 0.05, 0.05, 0.05, 0.03)
"""How often each language is a pack's first."""
FOOD, BODY, THINGS = 1, 2, 3
STORIES = {
    FOOD: "Made with care from ingredients that we choose ourselves.",
    BODY: "Gentle every day, for the whole family.",
    THINGS: "Reliable in everyday use and tested to last.",
}
WARNINGS = {
    FOOD: ("Store in a cool, dry place.", "May contain traces of nuts."),
    BODY: ("Avoid contact with the eyes.", "Keep out of reach of children."),
    THINGS: ("Keep out of reach of children.", "Store in a cool, dry place."),
}
NUTRIENTS = ("Fat", "of which saturates", "Carbohydrate", "of which sugars", "Fibre", "Protein", "Salt")


@dataclass(frozen=True)
class Goods:
    """What goods of a category are called and say."""

    names: tuple[str, ...]
    """One per language."""
    nouns: tuple[str, ...]
    variants: tuple[str, ...]
    claims: tuple[str, ...]
    parts: tuple[str, ...]
    nutrition: tuple[float, ...]
    """Grams per 100 g in the order of NUTRIENTS; empty if there is nothing to eat."""
    picture: tuple[str, ...]
    hues: tuple[float, ...]
    story: int


@lru_cache(maxsize=1)
def all_goods() -> dict[str, Goods]:
    """Every category's goods."""
    table = yaml.safe_load(Path(__file__).with_name("goods.yaml").read_text(encoding="utf-8"))
    return {
        category: Goods(
            names=tuple(row["names"].split("|")),
            nouns=tuple(row["nouns"]),
            variants=tuple(map(str, row["variants"])),
            claims=tuple(map(str, row["claims"])),
            parts=tuple(map(str, row["parts"])),
            nutrition=tuple(map(float, row.get("nutrition", ()))),
            picture=tuple(row["picture"]),
            hues=tuple(map(float, row["hues"])),
            story=int(row["story"]),
        )
        for category, row in table.items()
    }


def goods_for(category: str) -> Goods:
    """Goods of a category; of the nearest one we have words for, if it is unknown."""
    table = all_goods()
    if category in table:
        return table[category]
    return next((goods for name, goods in table.items() if name in category or category in name), table["toys"])


@lru_cache(maxsize=1)
def _glossary() -> dict[str, tuple[str, ...]]:
    lines = Path(__file__).with_name("glossary.txt").read_text(encoding="utf-8").splitlines()
    rows = [tuple(line.split("|")) for line in lines if line and not line.startswith("#")]
    return {row[0]: row for row in rows}


def say(term: str, language: str) -> str:
    """A term in a language; as it is if the glossary does not have it."""
    row = _glossary().get(term)
    return row[LANGUAGES.index(language)] if row else term


@lru_cache(maxsize=1)
def name_lists() -> dict[str, tuple[str, ...]]:
    """Parts of made-up brands, and the real ones to avoid, by section of names.txt."""
    lists: dict[str, tuple[str, ...]] = {}
    section = ""
    for line in Path(__file__).with_name("names.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif not line.startswith("#"):
            lists[section] = (*lists.get(section, ()), *line.split())
    return lists


def _upper_first(word: str) -> str:
    return word[:1].upper() + word[1:]


def brand_name(rng: np.random.Generator) -> str:
    """A made-up brand: of syllables, a founder's name, two words, initials, or a word with a number."""
    lists = name_lists()
    while True:
        style = rng.random()
        if style < 0.5:
            name = _upper_first("".join(rng.choice(lists["syllables"], size=int(rng.integers(2, 4)))))
        elif style < 0.68:
            name = str(rng.choice(lists["founders"]))
        elif style < 0.86:
            name = f"{rng.choice(lists['first_half'])}{rng.choice(lists['second_half'])}"
        elif style < 0.94:
            name = f"{rng.choice(lists['founders'])} & {rng.choice(['Sons', 'Co.', 'Fils', 'Töchter', 'Figli'])}"
        else:
            name = f"{_upper_first(''.join(rng.choice(lists['syllables'], size=2)))} {int(rng.integers(2, 99))}"
        if not set(lists["real_brands"]) & set(name.lower().replace("-", " ").split()):
            return name.upper() if rng.random() < 0.35 else name


@dataclass(frozen=True)
class Copy:
    """All that a pack says, but for codes and dates."""

    brand: str
    title: str
    """English, as in a catalogue."""
    name: str
    """The product's name as printed, in the pack's first language."""
    variant: str
    description: str
    claims: tuple[str, ...]
    language: str
    languages: tuple[str, ...]
    """Of the small print, the first language first."""
    story: str
    """One of the pack's first language."""
    parts: tuple[tuple[str, str], ...]
    """(language, heading and list of ingredients or contents)."""
    nutrition: tuple[tuple[str, str], ...]
    """Rows of the table: heading first."""
    warnings: tuple[tuple[str, str], ...]


def _nutrition(goods: Goods, language: str, rng: np.random.Generator) -> tuple[tuple[str, str], ...]:
    if not goods.nutrition:
        return ()
    grams = np.array(goods.nutrition) * rng.uniform(0.85, 1.15)
    kilojoule = float(grams @ [37, 0, 17, 0, 8, 17, 0])
    rows = [
        (say("Nutrition per 100 g", language), ""),
        (say("Energy", language), f"{kilojoule:.0f} kJ / {kilojoule / 4.184:.0f} kcal"),
    ]
    for term, value in zip(NUTRIENTS, grams, strict=True):
        rows.append((say(term, language), f"{value:.1f} g" if value >= 0.1 else "< 0.1 g" if value > 0 else "0 g"))
    return tuple(rows)


def _parts(goods: Goods, language: str) -> str:
    heading = say("Ingredients" if goods.nutrition or goods.story < THINGS else "Contents", language)
    return f"{heading}: " + ", ".join(say(part, language) for part in goods.parts) + "."


def write_copy(rng: np.random.Generator, category: str, net: str) -> Copy:
    """Write a pack's words."""
    goods = goods_for(category)
    brand = brand_name(rng)
    language = str(rng.choice(LANGUAGES, p=MARKETS))
    others = [str(v) for v in rng.permutation([v for v in LANGUAGES if v != language])][: int(rng.integers(0, 3))]
    own_noun = language == "en" and rng.random() < 0.75
    english = str(rng.choice(goods.nouns)) if own_noun else goods.names[0]
    name = english if language == "en" else goods.names[LANGUAGES.index(language)]
    variant = str(rng.choice(goods.variants))
    claims = [str(c) for c in rng.permutation(np.array(goods.claims))]
    claims = tuple(say(c, language) for c in claims[: int(rng.integers(1, min(3, len(claims)) + 1))])
    languages = (language, *others)
    return Copy(
        brand=brand,
        title=f"{brand.title() if brand.isupper() else brand} {english} {variant}, {net}",
        name=name,
        variant=say(variant, language),
        description=f"{english} by {brand.title() if brand.isupper() else brand}: {variant.lower()}. "
        f"{STORIES[goods.story]} {net}.",
        claims=claims,
        language=language,
        languages=languages,
        story=say(STORIES[goods.story], language),
        parts=tuple((v, _parts(goods, v)) for v in languages),
        nutrition=_nutrition(goods, language, rng),
        warnings=tuple((v, " ".join(say(w, v) for w in WARNINGS[goods.story])) for v in languages),
    )
