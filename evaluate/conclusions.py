"""What the numbers allow to say, and what they do not: every sentence here is computed from the run."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..train.threshold import Threshold, confirm
from .metrics import CONFIDENCE, PREVALENCE, Estimate, alarms_per_find
from .results import ScoredRow, SetResult

GROUPS_FOR_VERDICT = 10
"""Independent groups of each class below which no verdict is given: a bootstrap of so few is not to be trusted."""
NOT_MEASURED = "Sim-to-real was not measured: no real captures were given."

_MODALITIES = {"rgbd": "Captures with depth", "rgb": "Captures without depth"}
_CUE_NAMES = {"cue_luminance": "mean luminance", "cue_border": "border brightness", "cue_edges": "edge density"}


def number(value: float | None, *, digits: int = 3) -> str:
    """A value for a sentence or a table cell; a dash where undefined."""
    return "–" if value is None else f"{value:.{digits}f}"


def interval(estimate: Estimate) -> str:
    """``value [low, high]``; the value alone where there is no interval, a dash where there is no value."""
    if estimate.value is None or estimate.low is None:
        return number(estimate.value)
    return f"{number(estimate.value)} [{number(estimate.low)}, {number(estimate.high)}]"


def p_value(p: float | None) -> str:
    """A p-value, never as 0; a dash where undefined."""
    return "–" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def percent(value: float | None) -> str:
    """A share as ``82 %``."""
    return "–" if value is None else f"{100 * value:.0f} %"


def count(n: int, noun: str) -> str:
    """``1 capture``, ``2 captures``."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


# The three sentences for a manager


def rendered_sentence(manifest: Sequence[Mapping[str, Any]] | None) -> str:
    """What was rendered."""
    if manifest is None:
        return "No rendered data set was given, so this report cannot show what was rendered."
    roles = [row["role"] for row in manifest]
    damaged = sum(row["role"] == "query" and bool(row["defect"]) for row in manifest)
    products = len({row["item_identifier"] for row in manifest})
    renderers = sorted({str(row["renderer"]) for row in manifest if row["renderer"]})
    return (
        f"{count(len(manifest), 'capture')} of {count(products, 'product')} were rendered"
        f"{' with ' + ' and '.join(renderers) if renderers else ''}: {damaged:,} damaged, "
        f"{count(roles.count('twin'), 'pristine twin')} of the same scenes, and "
        f"{count(roles.count('reference'), 'gallery picture')} of pristine products."
    )


def learned_sentence(results: Iterable[SetResult], *, unseen: bool = True) -> str:
    """What was learned, on rendered captures of products the detector has not seen, if that is known."""
    held_out = next((result for result in results if result.origin == "synthetic"), None)
    if held_out is None:
        return "What was learned on rendered captures was not measured: no rendered data set was given."
    auroc = held_out.metrics["AUROC"]
    if auroc.value is None:
        return (
            "What was learned cannot be told: the held-out rendered captures "
            f"({len(held_out.rows_of(True))} damaged, {len(held_out.rows_of(False))} intact) lack a class."
        )
    return (
        f"On {count(len(held_out.labelled), 'rendered capture')} of {_products(held_out)}"
        f"{' it never saw' * unseen}, the detector ranks "
        f"a damaged one above an intact one in {percent(auroc.value)} of pairs (AUROC {interval(auroc)})"
        f"{_found(held_out)}."
    )


def _found(result: SetResult) -> str:
    """What is found at 1 % false alarms, or at the model's threshold where so small a rate cannot be told."""
    at_budget, rate = result.metrics["recall_at_fpr_0.01"], result.metrics["false_alarm_rate"]
    if at_budget.value is not None:
        return f" and finds {percent(at_budget.value)} of the damage at 1 % false alarms"
    if result.recall.value is None or rate.value is None:
        return ""
    return (
        f"; at its threshold it finds {percent(result.recall.value)} of the damage, with "
        f"{percent(rate.value)} false alarms"
    )


def _products(result: SetResult) -> str:
    return count(len({row.group for row in result.labelled}), "product")


def transferred_sentences(results: Iterable[SetResult]) -> list[str]:
    """What transferred to real photographs, one sentence per real set; the honest line if there is none."""
    return [_transfer(result) + _doubts(result) for result in results if result.origin == "real"] or [NOT_MEASURED]


def _doubts(result: SetResult) -> str:
    if result.trained_on:
        return f" But {count(result.trained_on, 'row')} of this set were trained on, so this is no test."
    if confounded(result.labelled) and not _too_few(result):
        return " But class and session coincide in this set, so the sessions' light may explain part of any result."
    return ""


def _transfer(result: SetResult) -> str:
    auroc, rate = result.metrics["AUROC"], result.metrics["false_alarm_rate"]
    if auroc.value is None or result.best_cue is None:
        intact = len(result.rows_of(False))
        if not intact:
            return f"{result.name}: nothing can be measured without intact captures whose labels are known."
        if rate.value is None:
            return f"{result.name}: without damaged captures and without a threshold, nothing can be measured."
        return (
            f"{result.name}: {round(rate.value * intact)} of {count(intact, 'intact photograph')} raised an "
            f"alarm (false-alarm rate {interval(rate)}); without damaged ones there is no ranking to judge."
        )
    if _too_few(result):
        alarms = "" if rate.value is None else f"false-alarm rate {interval(rate)}; "
        return (
            f"{result.name}: {alarms}with {count(result.groups_of(True), 'group')} of "
            f"damaged captures and {result.groups_of(False)} of intact ones, too small to judge if damage was seen."
        )
    cue = f"the best trivial cue ({_CUE_NAMES[result.best_cue]}: {interval(result.metrics[result.best_cue])})"
    return f"{result.name}: AUROC {interval(auroc)} on {count(len(result.labelled), 'photograph')}; " + _verdict(
        result.margin, cue
    )


def _too_few(result: SetResult) -> bool:
    return min(result.groups_of(True), result.groups_of(False)) < GROUPS_FOR_VERDICT


def _verdict(margin: Estimate, cue: str) -> str:
    if margin.low is None or margin.high is None:
        return f"whether this beats {cue} cannot be concluded: too few independent groups carry one of the classes."
    difference = f"difference {margin.value:+.3f} [{margin.low:+.3f}, {margin.high:+.3f}]"
    if margin.low > 0:
        return f"that is better than {cue}, {difference}: something of what was learned transferred."
    if margin.high < 0:
        return f"that is worse than {cue}, {difference}: transfer was not shown."
    return f"whether this beats {cue} cannot be concluded, {difference}."


# What can and cannot be concluded


def confounded(rows: Iterable[ScoredRow]) -> bool:
    """Whether both classes are there but no session holds both, so that light and place could stand for damage."""
    classes = _classes_by_session(rows)
    present = set().union(*classes.values())
    return len(present) == 2 and len(classes) >= 2 and all(len(found) == 1 for found in classes.values())


def _classes_by_session(rows: Iterable[ScoredRow]) -> dict[str, set[bool]]:
    classes: dict[str, set[bool]] = {}
    for row in rows:
        if row.session is not None and row.defect is not None:
            classes.setdefault(row.session, set()).add(row.defect)
    return classes


def caveats(result: SetResult) -> list[str]:
    """Sentences on what one set can and cannot show."""
    said = [_independence(result), _trained(result), _sessions(result), _cue(result)]
    said += [_resolution(result), _alarms(result)]
    return [sentence for sentence in (*said, *_cautions(result), *result.notes) if sentence]


def _trained(result: SetResult) -> str | None:
    if not result.trained_on:
        return None
    return (
        f"The model was trained on {count(result.trained_on, 'row')} of this set (captures, or rendered products, that "
        "model.json lists): its numbers here are too good, and no test."
    )


def _independence(result: SetResult) -> str:
    unknown = len(result.rows) - len(result.labelled)
    told = [
        f"{count(len(result.rows_of(side)), f'{word} capture')} in {count(result.groups_of(side), 'group')}"
        for side, word in ((True, "damaged"), (False, "intact"))
        if result.rows_of(side)
    ]
    text = " and ".join(told) or "No capture with a label"
    if unknown:
        text += f", {unknown:,} without a label (scored, but in no metric)"
    return text + ". Intervals resample these groups, because captures within one are not independent."


def _sessions(result: SetResult) -> str | None:
    classes = _classes_by_session(result.rows)
    if confounded(result.rows):
        return (
            f"Confounded: each of the {len(classes)} sessions holds damaged or intact captures, none holds both. A "
            "detector of sessions (light, backdrop, camera) would score as well here as a detector of damage, so no "
            "number of this set proves that damage was seen. The trivial cues beside it show what the look gives away."
        )
    mixed = sum(len(found) == 2 for found in classes.values())
    both = result.rows_of(True) and result.rows_of(False)
    if both and not classes and result.origin == "real":
        return "The set names no sessions, so whether class and session are confounded cannot be checked."
    return f"{mixed} of {count(len(classes), 'session')} hold both classes." if both and classes else None


def _cue(result: SetResult) -> str | None:
    """The best trivial cue and, where it is no accident, what that says about the set."""
    if result.best_cue is None or result.margin.low is None or result.margin.high is None or _too_few(result):
        return None
    cue = result.metrics[result.best_cue]
    text = (
        f"The best trivial cue is {_CUE_NAMES[result.best_cue]} with AUROC {interval(cue)}; the detector leads by "
        f"{result.margin.value:+.3f} [{result.margin.low:+.3f}, {result.margin.high:+.3f}]"
    )
    if cue.low is not None and cue.low > 0.6:
        text += ". So the pictures give the class away without a look at the damage, which weakens every result here"
    return text + "."


def _resolution(result: SetResult) -> str | None:
    groups, intact = result.groups_of(False), len(result.rows_of(False))
    if not intact:
        return "No intact captures: false alarms were not measured, nor anything that compares with them."
    finest = f"1/{intact} = {1 / intact:.3f}"
    text = f"With {count(intact, 'intact capture')} a false-alarm rate cannot be resolved below {finest}"
    rate = result.metrics["false_alarm_rate"]
    if rate.value == 0:
        text += (
            f"; none raised an alarm, yet with {count(groups, 'group')} a true rate up to {rate.high:.3f} is possible"
        )
    unstated = [
        f"{name} {result.metrics[key].why}"
        for key, name in (("recall_at_fpr_0.01", "recall at 1 % FPR"), ("recall_at_fpr_0.001", "recall at 0.1 % FPR"))
        if result.metrics[key].why
    ]
    return ". ".join([text, *(sentence[0].upper() + sentence[1:] for sentence in unstated)]) + "."


def _alarms(result: SetResult) -> str | None:
    rate, recall = result.metrics["false_alarm_rate"], result.recall
    if rate.value is None or recall.value is None:
        return None
    text = f"At the model's threshold, which was not chosen on this set, recall is {interval(recall)} and the "
    text += f"false-alarm rate {interval(rate)}. If one item in {round(1 / PREVALENCE):,} is damaged, that is "
    per_find = alarms_per_find(false_alarm_rate=rate.value, recall=recall.value, prevalence=PREVALENCE)
    if math.isinf(per_find) or recall.value == 0:
        return text + "nothing found: the threshold lies above every damaged capture."
    if rate.value == 0:
        bound = alarms_per_find(false_alarm_rate=rate.high or 0, recall=recall.value, prevalence=PREVALENCE)
        return (
            text
            + f"no false alarm seen here, and not more than about {bound:,.0f} per damage found at the upper limit."
        )
    return text + f"about {per_find:,.0f} false alarms per damage found."


def _cautions(result: SetResult) -> list[str]:
    said = []
    lonely = [word for word, side in (("damaged", True), ("intact", False)) if result.groups_of(side) == 1]
    if lonely and result.metrics["AUROC"].value is not None:
        said.append(
            f"All {' and '.join(lonely)} captures are of one group: no interval is given, a second could differ."
        )
    skipped = max(estimate.skipped for estimate in result.metrics.values())
    if skipped:
        said.append(f"Up to {skipped:,} resamples lost a class and were skipped; the intervals rest on the others.")
    return said


def general_caveats(results: Sequence[SetResult], info: Mapping[str, Any]) -> list[str]:
    """Sentences that hold for the whole report; ``info`` is model.json."""
    said = threshold_sentences(info)
    if not info:
        said.append("The scores come from a file: what the model learned from, and how it was chosen, is unknown here.")
    if not any(result.origin == "real" for result in results):
        said.append(NOT_MEASURED + " Results on rendered captures say nothing certain about photographs.")
    if any(result.origin == "synthetic" for result in results):
        said.append(
            "Held-out rendered captures share the renderer, the booth and the damage generators with the training "
            "data; they test new products, not the real world."
        )
    said.append(
        "The direction of each trivial cue was chosen on the very rows it is shown on, which favours the cue. The best "
        "of three cues was picked there too."
    )
    said.append(
        f"Brackets are {percent(CONFIDENCE)} intervals of one training run; another seed may differ by as much again."
    )
    return said


def confirmations(result: SetResult, info: Mapping[str, Any]) -> list[str]:
    """What the intact captures of a set say about the budget of each threshold that applied to them."""
    said = []
    for modality, told in info.get("thresholds", {}).items():
        rows = [row for row in result.rows_of(False) if row.modality == modality and row.alarm is not None]
        threshold = Threshold.model_validate(told)
        confirmation = confirm(
            [bool(row.alarm) for row in rows],
            [row.group for row in rows],
            fpr=threshold.fpr_budget,
            delta=threshold.delta,
        )
        if confirmation is not None:
            said.append(f"{_MODALITIES.get(modality, modality)}: {confirmation.statement}")
    return said


def threshold_sentences(info: Mapping[str, Any]) -> list[str]:
    """Where the thresholds come from: they were fixed before any set of this report was seen."""
    return [
        f"{_MODALITIES.get(modality, modality)}: {Threshold.model_validate(told).statement} Those are rendered "
        "and of the validation split; no set of this report had a part in it."
        for modality, told in info.get("thresholds", {}).items()
    ]
