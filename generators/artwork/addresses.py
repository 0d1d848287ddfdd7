"""Made-up people, streets and towns of several countries, and what a person scribbles on a parcel."""

import numpy as np

PLACES: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], str]] = {
    "DE": (
        ("Frau Ilse Brandhuber", "Jörg Käfermann", "Familie Süßwein", "Petra Nölting"),
        ("Ahornweg {n}", "Große Mühlgasse {n}", "Lindenhöfer Str. {n}", "Am Stöckelberg {n}"),
        ("Oberweilach", "Krümmental", "Bad Wellenau", "Südhagen"),
        "DE-{z5} {t}",
    ),
    "FR": (
        ("Mme Élodie Barrault", "M. Théo Lagrenée", "Cécile Vautrin", "Société Mâchefer"),
        ("{n} rue des Chênes", "{n} impasse du Château", "{n} bd de l’Étang", "{n} allée Hélène-Morel"),
        ("Saint-Aubrac", "Villeneuve-le-Pré", "Montréval", "Châtelbois"),
        "{z5} {t}",
    ),
    "GB": (
        ("Ms Harriet Pellow", "Colin Wetherby", "Mr & Mrs Oduya", "The Old Bakery Ltd"),
        ("{n} Marlpit Lane", "{n} Thornfield Close", "Flat {n}, Quay House", "{n} Upper Wexham Road"),
        ("Little Barrow", "Stokeford", "Aldermoor", "Kirkby Wick"),
        "{t} ZX{d} {d}QZ",
    ),
    "ES": (
        ("Sra. Begoña Ibáñez Cuñat", "Íñigo Peñalba", "Lucía Muñoz Olmo"),
        ("C/ del Olivar, {n}", "Avda. de la Constitución, {n}, 3º B", "Pza. Peñón, {n}"),
        ("Villarroja", "Peñarrubia del Mar", "Alcántara Nueva"),
        "{z5} {t}",
    ),
    "PL": (
        ("Grażyna Wiśniowska", "Paweł Źrebiec", "Zakład „Łąka” sp. z o.o."),
        ("ul. Świerkowa {n}", "ul. Młyńska {n}/4", "os. Żurawie {n}"),
        ("Dębowice", "Łączyn", "Śliwków"),
        "{d}{d}-{z3} {t}",
    ),
    "SE": (
        ("Åsa Bjernström", "Göran Hällqvist"),
        ("Älvgatan {n}", "Södra Björkvägen {n}"),
        ("Västerlunda", "Örnsäter"),
        "SE-{z5} {t}",
    ),
    "CZ": (
        ("Zdeňka Říhová", "Ondřej Křížek"),
        ("Lipová {n}", "Nad Vodojemem {n}"),
        ("Horní Újezdec", "Březůvky"),
        "{z5} {t}",
    ),
    "GR": (
        ("Ελένη Παπασταύρου", "Γιώργος Μαυρίδης"),
        ("Οδός Ελαιών {n}", "Λεωφ. Θαλάσσης {n}"),
        ("Νέα Ακτή", "Άνω Πηγάδια"),
        "{z5} {t}",
    ),
    "BG": (
        ("Мария Петканова", "Георги Върбанов"),
        ("ул. „Липа“ № {n}", "бул. „Морски“ {n}"),
        ("Нови Извор", "Белица-Юг"),
        "{z4} {t}",
    ),
    "JP": (
        ("佐々木 花子 様", "株式会社 青山工房"),
        ("本町{n}丁目4-12", "緑ヶ丘{n}-7"),
        ("東京都 北川区", "大阪府 南山市"),
        "〒{z3}-{z4} {t}",
    ),
}
"""Country: (names, streets, towns, form of the last line)."""
NOTES = (
    "Fragile!",
    "2nd floor",
    "Danke!",
    "left 4/12",
    "Kitchen",
    "urgent",
    "Retour",
    "OK",
    "À l’attention de Mme B.",
    "Keller",
    "sample",
    "for Anna",
    "3 of 5",
    "neighbour no. 7",
    "Спасибо",
    "check ✓",
    "Muster",
    "50 pcs",
    "x12",
    "NR. 48",
)


def digits(rng: np.random.Generator, count: int) -> str:
    """A number of ``count`` digits that does not begin with 0."""
    return "".join(str(v) for v in [int(rng.integers(1, 10)), *rng.integers(0, 10, count - 1)][:count])


def draw_address(rng: np.random.Generator) -> tuple[str, tuple[str, str, str]]:
    """A country and the three lines of an address there."""
    country = str(rng.choice(sorted(PLACES)))
    names, streets, towns, form = PLACES[country]
    town = str(rng.choice(towns))
    last = form.format(t=town, d=digits(rng, 1), z3=digits(rng, 3), z4=digits(rng, 4), z5=digits(rng, 5))
    return country, (str(rng.choice(names)), str(rng.choice(streets)).format(n=int(rng.integers(1, 180))), last)
