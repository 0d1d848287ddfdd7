"""Metrics against independent implementations, brute force and published values."""

from itertools import combinations

import numpy as np
import pytest
from damageland.evaluate.measure import METRICS, measure_set
from damageland.evaluate.metrics import (
    AurocTest,
    add_tallies,
    auroc,
    brier,
    calibration_error,
    delong,
    draw_resamples,
    estimate,
    estimate_alarms_per_find,
    estimate_pixels,
    holm,
    paired_difference,
    recall_at_precision,
    tally,
)
from damageland.evaluate.metrics.estimate import resampled
from damageland.evaluate.metrics.ranking import average_precision, average_precision_resampled
from damageland.evaluate.metrics.rates import _calibration_errors
from damageland.evaluate.results import ScoredRow
from damageland.sim.seed import generator_for
from damageland.train.threshold import choose_threshold, confirm, upper_bound
from scipy.ndimage import label
from scipy.special import expit
from sklearn.calibration import calibration_curve
from sklearn.metrics import average_precision_score, f1_score


def scores_of(seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Scores in (0, 1) with ties that lean towards the labels."""
    rng = generator_for(seed, 0, "scores")
    positive = rng.random(n) < 0.4
    return expit(np.round(rng.normal(positive * 0.8, 1), 1)), positive


def resamples_of(groups: list[str], count: int = 200):
    return draw_resamples(groups, generator_for(0, 0, "metrics"), count=count)


# Ranking


@pytest.mark.parametrize("prevalence", [0.001, 0.3])
def test_ap_at_a_prevalence_is_ap_of_copied_rows(prevalence: float) -> None:
    """Weighted AP is the AP of a set that holds so many copies of each row that the prevalence is the stated one."""
    scores, positive = scores_of(1)
    copies = np.where(positive, round(1e6 * prevalence) // positive.sum(), round(1e6 * (1 - prevalence)) // 60)
    copies = np.where(
        positive, copies, round(copies[positive].sum() * (1 - prevalence) / prevalence / (~positive).sum())
    )
    many = average_precision_score(np.repeat(positive, copies), np.repeat(scores, copies))
    assert average_precision(scores, positive, prevalence=prevalence) == pytest.approx(many, rel=1e-3)
    resamples = resamples_of([str(i // 2) for i in range(60)], 20)
    draws = resampled(
        lambda s, p, w: average_precision_resampled(s, p, w, prevalence=prevalence), scores, positive, resamples
    )
    for i, drawn in enumerate(resamples.counts):
        rows = np.repeat(np.arange(60), drawn[resamples.group_of_row])
        assert draws[i] == pytest.approx(average_precision(scores[rows], positive[rows], prevalence=prevalence))


def test_recall_at_precision_by_hand() -> None:
    """D I D I I D from the top: precision is 1, 1/2, 2/3, 1/2, 2/5, 1/2, so all three are found at one half."""
    scores, positive = np.linspace(1, 0, 6), np.array([True, False, True, False, False, True])
    assert recall_at_precision(scores, positive) == 1
    assert recall_at_precision(scores, positive, least=0.6) == pytest.approx(2 / 3)
    assert recall_at_precision(scores, ~positive, least=0.9) == 0


def test_recall_at_a_rate_is_not_stated_from_too_few_groups() -> None:
    """0.1 % takes 1,000 independent intact groups: with 999 there is a reason and no value, and copies do not help."""
    positive = np.arange(2000) < 2
    scores = generator_for(3, 0, "x").random(2000)
    for groups, stated in ((1000, True), (999, False)):
        names = [f"d{i}" if i < 2 else f"i{i % groups}" for i in range(2000)]
        resamples = resamples_of(names, 120)
        found = estimate("recall_at_fpr_0.001", scores, positive, resamples)
        assert (found.value is not None) is stated
        assert stated or found.why == "cannot be stated: 999 independent intact groups, 0.1 % takes 1,000 at least"
        assert (estimate("AP_at_prevalence_0.001", scores, positive, resamples).value is not None) is stated


# Comparisons


def brute_auroc_variance(ours: np.ndarray, theirs: np.ndarray, positive: np.ndarray) -> tuple[float, float]:
    """Difference of AUROCs and its DeLong variance from the m x n table of pairs, as the paper writes it."""
    kernels = []
    for scores in (ours, theirs):
        x, y = scores[positive][:, None], scores[~positive][None]
        kernels.append((x > y) + 0.5 * (x == y))
    m, n = kernels[0].shape
    s10 = np.cov([kernel.mean(axis=1) for kernel in kernels])
    s01 = np.cov([kernel.mean(axis=0) for kernel in kernels])
    s, contrast = s10 / m + s01 / n, np.array([1, -1])
    return float(kernels[0].mean() - kernels[1].mean()), float(contrast @ s @ contrast)


@pytest.mark.parametrize("seed", range(4))
def test_delong_is_the_papers_formula(seed: int) -> None:
    """Mid-ranks give what the table of all pairs gives, ties included, and the difference is that of the AUROCs."""
    ours, positive = scores_of(seed)
    theirs = np.round(0.5 * ours + generator_for(seed, 1, "other").normal(0, 0.1, 60), 1)
    test = delong(ours, theirs, positive, [str(i) for i in range(60)])
    difference, variance = brute_auroc_variance(ours, theirs, positive)
    assert test is not None
    assert test.difference == pytest.approx(auroc(ours, positive) - auroc(theirs, positive))
    assert (test.difference, test.error) == pytest.approx((difference, np.sqrt(variance)))
    assert delong(ours, ours, positive, [str(i) for i in range(60)]) == AurocTest(0.0, 0.0, 1.0)


def test_clustered_delong_keeps_its_level_where_rows_are_copies() -> None:
    """Of two equally bad scores 5 % are told apart; taking the four rows of a group for independent, far more."""
    rng, rejected = generator_for(0, 0, "level"), np.zeros(2)
    for _ in range(200):
        positive = np.repeat(np.arange(40) < 20, 4)
        scores = [np.repeat(rng.normal(size=40), 4) + rng.normal(0, 0.3, 160) for _ in range(2)]
        for i, groups in enumerate((np.repeat(np.arange(40), 4), np.arange(160))):
            test = delong(scores[0], scores[1], positive, groups.astype(str).tolist())
            rejected[i] += test is not None and test.p < 0.05
    assert rejected[0] / 200 < 0.1 < 0.2 < rejected[1] / 200


def test_paired_difference_is_narrower_than_unpaired() -> None:
    """Two scores that err alike differ by little on any resample, and the sign of the difference is kept."""
    ours, positive = scores_of(2, 200)
    theirs = ours + generator_for(2, 1, "noise").normal(0, 0.02, 200)
    resamples = resamples_of([str(i) for i in range(200)], 400)
    difference = paired_difference("AUROC", ours, theirs, positive, resamples)
    single = estimate("AUROC", ours, positive, resamples)
    assert difference.high - difference.low < 0.4 * (single.high - single.low)
    swapped = paired_difference("AUROC", theirs, ours, positive, resamples)
    assert (swapped.value, swapped.low) == pytest.approx((-difference.value, -difference.high))


def test_holm_is_closed_testing_with_bonferroni() -> None:
    """An adjusted p-value is the largest Bonferroni p-value of any set of hypotheses that holds this one."""
    for seed in range(5):
        p = generator_for(seed, 0, "holm").random(5) ** 3
        expected = [
            max(
                min(1, size * min(p[list(chosen)]))
                for size in range(1, 6)
                for chosen in combinations(range(5), size)
                if i in chosen
            )
            for i in range(5)
        ]
        assert holm(p.tolist()) == pytest.approx(expected)
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


# Probabilities and rates


def test_calibration_error_is_that_of_sklearns_curve() -> None:
    """Bins of scikit-learn's calibration curve, weighted by their rows, give the same error; perfect scores give 0."""
    scores, positive = scores_of(5, 400)
    truth, told = calibration_curve(positive, scores, n_bins=15)
    sizes = np.histogram(scores, np.linspace(0, 1, 16))[0]
    assert calibration_error(scores, positive) == pytest.approx((sizes[sizes > 0] * abs(truth - told)).sum() / 400)
    assert calibration_error(positive.astype(float), positive) == 0 == brier(positive.astype(float), positive)
    resamples = resamples_of([str(i // 4) for i in range(400)], 10)
    draws = resampled(_calibration_errors, scores, positive, resamples)
    for value, drawn in zip(draws, resamples.counts, strict=True):
        rows = np.repeat(np.arange(400), drawn[resamples.group_of_row])
        assert value == pytest.approx(calibration_error(scores[rows], positive[rows]))


def test_alarms_per_find_has_an_end_where_no_false_alarm_was_seen() -> None:
    """Half of the damage found without a false alarm in 20 groups: none seen, up to 16.8 % x 999 / 0.5 possible."""
    defect, groups = np.arange(40) < 20, [str(i) for i in range(40)]
    found = estimate_alarms_per_find(np.arange(40) < 10, defect, groups, resamples_of(groups))
    assert (found.value, found.low) == (0, 0)
    assert found.high == pytest.approx((1 - 0.025 ** (1 / 20)) * 999 / 0.5)
    assert estimate_alarms_per_find(~defect, defect, groups, resamples_of(groups)).value is None


# Masks


def brute_aupro(scores: list[np.ndarray], truths: list[np.ndarray], limit: float) -> float:
    """Every threshold in turn: overlap of each region that scipy finds, false positives, the area up to the limit."""
    regions = [(s, found == k) for s, t in zip(scores, truths, strict=True)
               for found, n in [label(t, np.ones((3, 3)))] for k in range(1, n + 1)]  # fmt: skip
    intact = np.concatenate([s[~t] for s, t in zip(scores, truths, strict=True)])
    points = [(0.0, 0.0)]
    for threshold in np.unique(np.concatenate([s.ravel() for s in scores]))[::-1]:
        points.append(((intact >= threshold).mean(), np.mean([(s[r] >= threshold).mean() for s, r in regions])))
    fpr, pro = np.array(points).T
    grid = np.unique(np.append(fpr[fpr < limit], limit))
    last = np.array([pro[fpr == x].max() if (fpr == x).any() else np.interp(x, fpr, pro) for x in grid])
    first = np.array([pro[fpr == x].min() if (fpr == x).any() else np.interp(x, fpr, pro) for x in grid])
    return float(((last[:-1] + first[1:]) / 2 * np.diff(grid)).sum() / limit)


def made_masks(seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Scores on the middles of bins and truths with regions that touch by corners, one picture without any."""
    rng = generator_for(seed, 0, "masks")
    truths = [rng.random((12, 15)) < share for share in (0.15, 0.25, 0.0)]
    steps = [rng.integers(-80, 60, t.shape) + 50 * t for t in truths]
    return [expit((s + 0.5) / 32) for s in steps], truths


@pytest.mark.parametrize("limit", [0.05, 0.3])
def test_aupro_is_the_area_over_all_thresholds(limit: float) -> None:
    """Binned counts give the area that thresholding every mask gives, with regions of 8 neighbours."""
    scores, truths = made_masks(1)
    tallies = [tally(s, t) for s, t in zip(scores, truths, strict=True)]
    found = estimate_pixels(tallies, resamples_of(["a", "b", "c"]))
    assert found[f"AUPRO_{limit}"].value == pytest.approx(brute_aupro(scores, truths, limit), rel=1e-5)
    assert [round(estimate_pixels([tally((t == good).astype(float), t) for t in truths], resamples_of(["a"] * 3))[
        f"AUPRO_{limit}"].value, 5) for good in (0, 1)] == [0, 1]  # fmt: skip


def test_pixel_f1_is_sklearns() -> None:
    """F1 at one half and at the best threshold are scikit-learn's over all pixels of all pictures."""
    scores, truths = made_masks(2)
    s, t = (np.concatenate([a.ravel() for a in arrays]) for arrays in (scores, truths))
    found = estimate_pixels(
        [add_tallies([tally(*pair) for pair in zip(scores, truths, strict=True)])], resamples_of(["a"])
    )
    assert found["pixel_F1"].value == pytest.approx(f1_score(t, s >= 0.5))
    assert found["pixel_F1_best"].value == pytest.approx(max(f1_score(t, s >= cut) for cut in np.unique(s)))
    assert found["pixel_F1"].low is None  # one group


def test_masks_resample_by_group() -> None:
    """Twice as many copies in a group leave the interval alone, and rows of unknown truth are left out."""
    scores, truths = made_masks(3)
    tallies = [tally(s, t) for s, t in zip(scores, truths, strict=True)]
    once = estimate_pixels(tallies, resamples_of(["a", "b", "c"]))
    twice = estimate_pixels([*tallies, *tallies, None], resamples_of(["a", "b", "c"] * 2 + ["a"]))
    for name in once:
        assert (once[name].low, once[name].high) == pytest.approx((twice[name].low, twice[name].high))
        assert once[name].low is not None


# Thresholds


@pytest.mark.parametrize(("n", "allowed"), [(2994, None), (2995, 0), (10_000, 4), (20_000, 12)])
def test_order_statistic_allows_the_known_counts(n: int, allowed: int | None) -> None:
    """For 0.1 % at 95 %: nothing below 2,995 pristine captures, then 0, 4 and 12 of them may raise an alarm."""
    threshold = choose_threshold(generator_for(0, n, "x").random(n), fpr=0.001, delta=0.05)
    assert threshold.certified is (allowed is not None)
    assert threshold.negatives_needed == 2995
    assert allowed is None or threshold.exceedances == allowed


def test_threshold_counts_groups_not_captures() -> None:
    """A thousand captures of 100 products certify no 1 %; of 400 they do, in any order, and the promise then holds."""
    rng = generator_for(0, 0, "groups")
    few = [str(i % 100) for i in range(1000)]
    told = choose_threshold(rng.random(1000), fpr=0.01, delta=0.05, groups=few, rng=rng)
    assert (told.certified, told.negatives, told.captures, told.negatives_needed) == (False, 100, 1000, 299)
    assert "299 independent" in told.statement and "100 drawn from 1,000" in told.statement
    broken = []
    for _ in range(200):  # groups differ more than captures within: taken for independent, half of the promises break
        of_group = rng.normal(size=60)
        scores = np.repeat(of_group, 8) + 0.2 * rng.normal(size=480)
        groups = np.repeat(np.arange(60), 8).astype(str).tolist()
        told = choose_threshold(scores, fpr=0.05, delta=0.1, groups=groups, rng=rng)
        fresh = rng.normal(size=4000) + 0.2 * rng.normal(size=4000)
        broken.append(told.certified and (fresh > told.value).mean() > 0.055)
    assert np.mean(broken) < 0.12


def test_confirmation_is_clopper_pearsons() -> None:
    """299 quiet groups confirm 1 % and 298 do not; one alarm takes 473; captures of a group count once."""
    for groups, alarmed, confirmed in ((299, 0, True), (298, 0, False), (473, 1, True), (472, 1, False)):
        names = [str(i % groups) for i in range(2 * groups)]
        told = confirm([i % groups < alarmed for i in range(2 * groups)], names, fpr=0.01, delta=0.05)
        assert told is not None and (told.confirmed, told.groups, told.alarmed) == (confirmed, groups, alarmed)
        assert told.needed == (299, 473)[alarmed]
    assert upper_bound(0, 59) == pytest.approx(1 - 0.05 ** (1 / 59))
    assert "Not confirmed" in confirm([True] * 3 + [False] * 7, list("abcdefghij"), fpr=0.01, delta=0.05).statement
    assert confirm([], [], fpr=0.01, delta=0.05) is None


# A set


def scored(score: float, defect: bool, group: str, **more) -> ScoredRow:
    values = {"major_defect": defect, "severity": None, "kinds": (), "family": None, "session": None} | more
    cues = {name: score for name in METRICS if name.startswith("cue_")}
    alarm = values.pop("alarm", score > 0.5)
    return ScoredRow(f"c{group}", score, alarm, "rgb", defect, group=group, cues=cues, **values)


def test_parts_hold_their_damaged_rows_against_all_intact_ones() -> None:
    """Recall and AUROC by kind and severity are those of the part's rows; strata bring the set without them."""
    rng, rows = generator_for(4, 0, "parts"), []
    for kind, least in (("spillage", 0.1), ("deformation", 0.4)):
        scores = rng.uniform(least, 1, 15).tolist()
        rows += [scored(s, True, f"{kind}{i}", kinds=(kind,), severity="minor") for i, s in enumerate(scores)]
    for i, score in enumerate(rng.uniform(0, 0.7, 30).tolist()):
        rows.append(scored(score, False, f"i{i}", lookalike=i < 6, strata=("small crop",) * (i < 10)))
    result = measure_set("s", "real", rows, seed=0)
    parts = {(part.of, part.name): part for part in result.parts}
    assert list(parts) == [("severity", "minor"), ("kind", "deformation"), ("kind", "spillage"),
                           ("stratum", "small crop"), ("stratum", "without small crop")]  # fmt: skip
    spills = [row for row in rows if row.kinds == ("spillage",)]
    chosen = [row for row in rows if not row.defect] + spills
    expected = auroc(np.array([row.score for row in chosen]), np.array([row.defect for row in chosen]))
    assert parts["kind", "spillage"].auroc.value == pytest.approx(expected)
    assert parts["kind", "spillage"].recall.value == pytest.approx(np.mean([row.score > 0.5 for row in spills]))
    assert parts["stratum", "small crop"].auroc.value is None  # ten intact rows and no damaged one
    hard = [row.score > 0.5 for row in rows if row.lookalike]
    assert result.metrics["hard_negative_fpr"].value == pytest.approx(np.mean(hard))
    assert result.recall.low < result.recall.value < result.recall.high


def test_scores_without_a_threshold_have_no_rates() -> None:
    """Ranking is measured all the same, and rates say why they are not."""
    rows = [scored(i / 20, i > 9, str(i), alarm=None) for i in range(20)]
    metrics = measure_set("s", "real", rows, seed=0).metrics
    assert metrics["AUROC"].value == 1
    for name in ("recall", "false_alarm_rate", "alarms_per_find_0.001"):
        assert metrics[name].value is None and "no threshold" in metrics[name].why
