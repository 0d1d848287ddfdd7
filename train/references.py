"""Which pristine references belong to a capture, and, for the control, which do not."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from ..sim.capture import Capture


def slim(capture: Capture) -> Capture:
    """A reference without part and damage images, which take half of its memory."""
    return replace(capture, views=tuple(replace(view, part=None, damage=None) for view in capture.views))


def family_of(capture: Capture) -> str:
    """Packaging family, empty where nobody says."""
    return str(capture.attributes.get("family") or capture.attributes.get("category") or "")


def design_of(capture: Capture) -> str:
    """Which of its product's designs a capture shows: the edition, ``0`` where nobody says."""
    return str(capture.attributes.get("edition", 0))


def by_design(references: Iterable[Capture]) -> list[tuple[Capture, ...]]:
    """References in groups that show one design each; a capture is compared with the group that fits it best."""
    groups: dict[str, list[Capture]] = {}
    for reference in references:
        groups.setdefault(design_of(reference), []).append(reference)
    return [tuple(groups[name]) for name in sorted(groups)]


@dataclass(frozen=True)
class ReferenceBook:
    """Reference captures by product."""

    by_product: Mapping[str, tuple[Capture, ...]]

    @classmethod
    def of(cls, captures: Iterable[Capture]) -> "ReferenceBook":
        """Keep the references among captures, without the labels that nobody compares with."""
        found: dict[str, list[Capture]] = {}
        for capture in captures:
            if capture.role == "reference" and capture.item_identifier is not None:
                found.setdefault(capture.item_identifier, []).append(slim(capture))
        return cls({name: tuple(references) for name, references in sorted(found.items())})

    def __len__(self) -> int:
        return len(self.by_product)

    def find(self, capture: Capture) -> tuple[Capture, ...]:
        """References of a capture: those that it names (its own edition's), else all of its product's."""
        of_product = self.by_product.get(capture.item_identifier or "", ())
        named = tuple(r for r in of_product if r.capture_id in capture.reference_ids)
        return named or of_product

    def wrong(self, capture: Capture) -> tuple[Capture, ...]:
        """References of the next other product, of the same packaging family if there is one: the control."""
        family = family_of(capture)
        others = [name for name in self.by_product if name != capture.item_identifier]
        alike = [name for name in others if self._families[name] == family]
        names: Sequence[str] = alike or others
        if not names:
            return ()
        later = [name for name in names if name > (capture.item_identifier or "")]
        return self.by_product[(later or names)[0]]

    @cached_property
    def _families(self) -> dict[str, str]:
        return {name: family_of(references[0]) for name, references in self.by_product.items()}
