"""The transfer card of a generator: what its damage in the renders was worth on the real set, version by version."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...sim.capture import Capture
from .spec import StudySpec
from .table import HEADINGS, Cell
from .verdict import LEVEL, Cells, Difference, signed


@dataclass
class Rendered:
    """What is counted of the renders while they are read."""

    captures: int = 0
    damaged: int = 0
    of: dict[str, list[str]] = field(default_factory=dict)
    """Captures of each data set, and which of them are pristine."""
    pristine: set[str] = field(default_factory=set)
    product: dict[str, str] = field(default_factory=dict)
    """Of each capture."""
    recipes: set[str] = field(default_factory=set)
    versions: set[str] = field(default_factory=set)
    by_generator: Counter[str] = field(default_factory=Counter)
    kinds: dict[str, Counter[str]] = field(default_factory=dict)

    def passing(self, name: str, captures: Iterable[Capture]) -> Iterable[Capture]:
        """Pass the captures of a data set through, counting them."""
        for capture in captures:
            self.of.setdefault(name, []).append(capture.capture_id)
            if capture.defect is False and capture.role != "reference":
                self.pristine.add(capture.capture_id)
            self.captures += 1
            self.damaged += bool(capture.defect)
            self.product[capture.capture_id] = capture.item_identifier or capture.capture_id
            self.recipes.add(str(capture.provenance.get("recipe_hash", ""))[:12])
            self.versions.add(str(dict(capture.provenance.get("versions") or {}).get("damageland", "unknown")))
            if capture.defect:
                self.by_generator.update({damage.generator for damage in capture.damages})
                for damage in capture.damages:
                    self.kinds.setdefault(damage.generator, Counter())[damage.kind] += 1
            yield capture


@dataclass(frozen=True)
class Card:
    """What a generator was worth."""

    generator: str
    version: str
    recipes: tuple[str, ...]
    kind: str
    """Its usual kind of damage."""
    captures: int
    """Rendered captures that it damaged."""
    shown: int
    """Damaged test captures of that kind."""
    worth: Difference | None
    """Headline figure of all renders less that of renders without it."""
    recall: Any
    recall_without: Any
    """Share of the test captures of its kind that raise an alarm, with and without it: estimates."""
    sentence: str


def cards(cells: Cells, explained: Sequence[Difference], counted: Rendered, spec: StudySpec) -> list[Card]:
    """A card for each generator of the renders."""
    whole = cells.get(("renders only", 0))
    made = []
    for name, captures in sorted(counted.by_generator.items()):
        kind = counted.kinds[name].most_common(1)[0][0]
        without = cells.get((f"without {name}", 0))
        worth = next((one for one in explained if one.theirs == f"without {name}"), None)
        made.append(
            Card(
                generator=name,
                version=", ".join(sorted(counted.versions)),
                recipes=tuple(sorted(counted.recipes)),
                kind=kind,
                captures=captures,
                shown=0 if whole is None else int(whole.of_kind(kind).sum()),
                worth=worth,
                recall=_recall(whole, kind),
                recall_without=_recall(without, kind),
                sentence=_sentence(name, worth, spec),
            )
        )
    return made


def _recall(cell: Cell | None, kind: str) -> Any:
    return None if cell is None else cell.rate_estimate("recall", cell.of_kind(kind))


def _sentence(name: str, worth: Difference | None, spec: StudySpec) -> str:
    if worth is None or worth.estimate.low is None or worth.adjusted is None:
        return f"What {name} is worth was not measured: the study has no arm without it, or too few test captures."
    told = f"{HEADINGS[spec.headline]} with it less without it: {signed(worth.estimate)}"
    if worth.better:
        return f"Leaving out {name} costs transfer ({told})."
    if worth.estimate.high is not None and worth.estimate.high < 0 and worth.adjusted < LEVEL:
        return f"Transfer is better without {name} ({told}): its damage may look unlike the real kind."
    return f"Whether {name} helps cannot be told ({told})."


def card_table(card: Card) -> Mapping[str, Any]:
    """Content of the card's JSON file."""
    worth = card.worth
    return {
        "generator": card.generator,
        "version": card.version,
        "recipes": list(card.recipes),
        "kind": card.kind,
        "rendered_captures": card.captures,
        "test_captures_of_kind": card.shown,
        "worth": None if worth is None else _plain(worth.estimate) | {"p_holm": worth.adjusted},
        "recall_of_kind": _plain(card.recall),
        "recall_of_kind_without": _plain(card.recall_without),
        "sentence": card.sentence,
    }


def _plain(estimate: Any) -> dict[str, float | None]:
    return {} if estimate is None else {key: getattr(estimate, key) for key in ("value", "low", "high")}
