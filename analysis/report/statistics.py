"""The statistics in words, as they were computed; nothing is said of what could not be."""

import pandas as pd

from analysis.deciding.stopping import PROSPECT
from analysis.questions.advice.guidelines import FEWEST_OF_TYPE
from analysis.questions.families import HEADLINE, SMALLER
from analysis.questions.type_sensitivity import SHUFFLES
from analysis.report import words
from analysis.result import Analysis
from analysis.settings import Settings
from analysis.statistics.moderated_variance import NOISY
from analysis.statistics.rare_classes import FEWEST_OF_CLASS
from analysis.statistics.uncertainty import BORROWED, BORROWED_AND_CASES, CASES, SEEDS, SEEDS_AND_CASES
from analysis.study import StudyTables

_WITH_CASES = {SEEDS_AND_CASES, BORROWED_AND_CASES}

_SCALES = {
    "absolute": "the difference of scores",
    "relative": "the difference of scores over the base score",
    "standardised": "the difference of scores over their standard deviation over seeds, pooled over both aggregations",
}


def statistics(analysis: Analysis) -> list[str]:
    """A paragraph each on gains, verdicts, means, scale, and the rest."""
    frames, settings = analysis.frames, analysis.settings
    if frames["gains"].empty:
        return []
    paragraphs = [_gains(analysis), _verdicts(settings, analysis), _means(analysis)]
    scale = _scale(analysis)
    paragraphs += [scale] if scale else []
    paragraphs += [_arms()] if len(frames["arm_changes"]) else []
    paragraphs.append(_rest(analysis))
    return [paragraph for paragraph in paragraphs if paragraph]


def _gains(analysis: Analysis) -> str:
    settings, bases = analysis.settings, set(analysis.frames["gains"]["basis"])
    if analysis.study.manifest.folds > 1:
        return _fold_gains(analysis, bases)
    text = (
        "A gain is the score of the joint model minus that of the base model on the same task, fraction, seed and test "
        f"cases, oriented so that positive favours the joint aggregation; its scale is {_SCALES[settings.scale]}."
    )
    if bases & {SEEDS_AND_CASES, BORROWED_AND_CASES}:
        text += (
            " Its variance has two crossed parts, seeds and test subjects (Cameron, Gelbach and Miller 2011; Owen "
            f"2007); the part of subjects comes from {settings.draws:,} Poisson resamples of subjects (Chamandy et "
            f"al. 2012), the same for all models{_together(analysis.study)}."
        )
    elif CASES in bases:
        return text + (
            f" With one seed its variance is that of test subjects alone, from {settings.draws:,} Poisson resamples "
            "(Chamandy et al. 2012); chance in training is not covered, so every verdict is undecided."
        )
    elif bases & {SEEDS, BORROWED}:
        text += " Without scores of test cases its variance is that of seeds alone, for these very test cases."
    else:
        return text + " With one seed and no scores of test cases it has no interval, and every verdict is undecided."
    text += (
        " Variances over seeds are shared by tasks of one type within a contrast and fraction, by a hierarchical model "
        "whose parameters are integrated out (after Smyth 2004); a task with one pair of seeds borrows from its type."
        f" {_NOISY_KEEP.format('seeds')}"
        " Intervals are Student's, with the tails that the uncertain variance gives (Behrens-Fisher; Fisher 1935)."
    )
    text += _rare_classes(analysis)
    if CASES in bases:
        text += " Where that is not possible, intervals cover test subjects alone and there is no verdict."
    return text


def _together(study: StudyTables) -> str:
    """What resampling subjects does to their cases: nothing, where none has two of a task."""
    if study.cases is None:
        return ""
    pairs = study.cases[["task", "case", "subject"]].drop_duplicates(["task", "case"])
    if pairs.duplicated(["task", "subject"]).any():
        return ", so that images of one patient or video come and go together"
    return "; each test case of a task counts as a subject of its own"


def _rare_classes(analysis: Analysis) -> str:
    """What counts as the number of subjects where a score compares classes; empty where none does."""
    if analysis.frames["gains"]["rarest_class"].isna().all():
        return ""
    return (
        " Where a score compares classes, as AUC does, as many test subjects count as the class has that has fewest; "
        f"with fewer than {FEWEST_OF_CLASS} of a class there is no verdict."
    )


def _fold_gains(analysis: Analysis, bases: set[str]) -> str:
    """The same where test folds rotate."""
    settings = analysis.settings
    text = (
        "A gain is the score of the joint model minus that of the base model on the same task, fraction, seed and test "
        f"fold, oriented so that positive favours the joint aggregation; its scale is {_SCALES[settings.scale]}. "
        "Each fold is a replicate, the mean of its seeds: it has training data, test cases and a start of its own, so "
        "the scatter over folds holds all three, and the interval answers how the gain would come out with another "
        "draw of training data, test cases and seeds of this size. Training sets of folds overlap, so this is an "
        "approximation (Nadeau and Bengio 2003; Bengio and Grandvalet 2004)."
    )
    if bases & {SEEDS_AND_CASES, BORROWED_AND_CASES, CASES}:
        text += (
            f" What test subjects contribute is told by {settings.draws:,} Poisson resamples of each fold's own "
            "(Chamandy et al. 2012)."
        )
        text += _rare_classes(analysis)
    if not bases & {SEEDS_AND_CASES, BORROWED_AND_CASES, SEEDS, BORROWED}:
        return f"{text} With one fold the chance of training is not covered, so every verdict is undecided."
    return (
        f"{text} Variances over folds are shared by tasks of one type within a contrast and fraction, by a "
        f"hierarchical model whose parameters are integrated out (after Smyth 2004). {_NOISY_KEEP.format('folds')} "
        "Intervals are Student's, with the tails that the uncertain variance gives (Behrens-Fisher; Fisher 1935)."
    )


_NOISY_KEEP = (
    "A task whose {} scatter more than those of the other tasks of its type (one-sided F test, "
    f"{NOISY:g}) has an interval no narrower than its own Student's t."
)


def _verdicts(settings: Settings, analysis: Analysis) -> str:
    gains = analysis.frames["gains"]
    corrections = {
        "BH": "by the false discovery rate (Benjamini and Hochberg 1995)",
        "Holm": "after Holm (Holm 1979)",
    }
    intervals = {
        "BH": "; adjusted intervals exclude 0 exactly where the corrected test rejects (Benjamini and Yekutieli 2005)",
        "Holm": "; adjusted intervals exclude 0 exactly where the corrected test rejects",
        "none": "",
    }
    how = corrections.get(settings.correction)
    corrected = f"corrected {how} over {families(gains)}" if how else "not corrected for the number of tasks"
    margins = sorted(set(gains["margin"].dropna()))
    spread = " to ".join(f"{margin:g}" for margin in dict.fromkeys([*margins[:1], *margins[-1:]])) or "not known"
    return (
        f"{_looks(analysis)}Each task is judged at alpha = {settings.alpha:g}, {corrected}"
        f"{intervals[settings.correction]}. Benefit: the gain differs from 0 and is positive. No meaningful loss: a "
        f"loss as large as the margin ({spread}; {_origin(analysis)}) is rejected one-sided at "
        f"{settings.alpha / 2:g}, under the same correction. Harm: the gain differs from 0, is negative, and such a "
        "loss is not rejected. Undecided: none of these; a large p value is never read as no loss. One seed never "
        "decides, and where neither model's mean is above that of the trivial predictor the verdict is undecided. "
        "A single run that learned next to nothing counts as any other. "
        "Benefit and harm are not treated alike: a gain is told from 0, however small it is, while a loss that is "
        "surely smaller than the margin is none; which gains are shown to be larger than the margin, by their adjusted "
        "interval, is counted beside."
    )


def _origin(analysis: Analysis) -> str:
    """Where the margins come from, as far as that is known: the study file, before verdicts were read or after, who
    read a table of scores, or a default."""
    about, default = analysis.study.manifest, "a default, not chosen for these tasks"
    tasks = set(analysis.frames["gains"]["task"])
    by = "by the reader of the scores" if analysis.study.chosen else "in the study file"
    if about.margins_named is None:
        return "from the study file, where it names one" if about.margins else default
    named = tasks & set(about.margins_named)
    if not named:
        return default
    changed = named & about.margins_changed.keys()
    since = f", changed in {words.count(len(changed), 'task')} after verdicts had been read" if changed else ""
    if named == tasks:
        return f"named {by}{since}"
    return f"named {by} for {len(named)} of {len(tasks)} tasks{since}; for the others {default}"


def _looks(analysis: Analysis) -> str:
    """By which rule replicates stopped; empty where their number was fixed."""
    looks = analysis.study.looks
    if looks is None:
        return ""
    counts = ", ".join(map(str, looks.planned))
    return (
        f"Replicates were trained in stages, with looks planned after {counts} of them, and stopped for comparisons "
        f"that were decided or that all replicates would decide with a chance below {100 * PROSPECT:g} %. At each "
        "look a test spends as the bounds of O'Brien and Fleming do (Lan and DeMets 1983; Lan and DeMets 1989); its p "
        "value is the smallest level at which one of its looks rejects (Liu and Anderson 2008), and intervals are "
        "repeated confidence intervals (Jennison and Turnbull 1989), widened to the estimate of the last look where "
        "that lies outside, so both hold at whatever look a comparison stopped. "
    )


def families(gains: pd.DataFrame) -> str:
    """Over how many tests verdicts are corrected: `the 27 tests at full data (AU-TS, CG-TS), and the 54 at ...`."""
    tested = gains[gains["p"].notna() & (gains["repeats"] == "")]
    parts = []
    for family in (HEADLINE, SMALLER):
        rows = tested[tested["family"] == family]
        if len(rows):
            parts.append(f"the {len(rows)} tests at {family} ({', '.join(dict.fromkeys(rows['contrast']))})")
    return ", and separately over ".join(parts) or "no test, since nothing can be tested"


def _means(analysis: Analysis) -> str:
    gains = analysis.frames["gains"]
    cases, lacking = (gains["basis"].isin(bases).any() for bases in (_WITH_CASES, {SEEDS, BORROWED}))
    noisiest = (
        " In it a task whose test subjects cannot be resampled has the largest variance of the others, by subject."
        if cases and lacking
        else ""
    )
    covered, at_once = "seeds and test subjects", "seeds and test subjects do to all tasks at once, each"
    if analysis.study.manifest.folds > 1:
        covered = "the scatter over folds, which holds training data, seeds and test subjects"
    elif lacking and not cases:
        covered, at_once = "seeds alone, for these very test cases", "seeds do to all tasks at once,"
    return (
        "Two things are said of several tasks. The mean gain of these very tasks has an interval that covers "
        f"{covered}.{noisiest} Tasks of this kind are described by the median, the tasks being a sample: its "
        "interval runs between order statistics (Thompson 1936), with fewer tasks where clinical groups are alike and "
        f"with what {at_once} with a t of its own (Banerjee 1960); it is the one to generalise with, and needs six "
        "independent tasks. A mean of such tasks is not given an interval: one task in ten that collapses, unseen, "
        "would make it wrong. "
        "With one seed there is no interval, since chance in training is not known."
    )


def _scale(analysis: Analysis) -> str:
    frames, text = analysis.frames, ""
    if len(frames["within"]):
        text += (
            "Data scale within tasks: each task has a line of its gain on log2 of its training cases over the "
            "fractions; the pooled line is the mean of the tasks' lines, the tasks being a sample. Since the same "
            "tasks are trained on less data, all at once, this is an intervention on the data of the study and not on "
            "those of one task by itself. "
        )
    if len(frames["across"]):
        text += (
            "Data scale across tasks: a linear mixed model with random clinical groups and tasks (REML; Henderson "
            "1975), and beside it least squares with cluster-robust errors for few clusters (CR2; Bell and McCaffrey "
            "2002; Pustejovsky and Tipton 2018). Tasks also differ in organ, type and difficulty, so this is an "
            "observation. "
        )
    if text:
        text += (
            "Crossings of zero are named only where the slope differs from 0; since such slopes came out large by "
            "chance more often, their limits (Fieller 1954) are those of 99 %."
        )
    return text


def _arms() -> str:
    return (
        "Arms are compared on the unit-free score. A difference of gains is formed seed by seed, and on every resample "
        "of subjects, from four models of the same task, fraction, seed and test cases, so that what they have in "
        "common cancels; runs that two arms share cancel exactly, and where nothing is left of a task it is not "
        "compared. Variances, intervals and means are those of gains. No meaningful change: a rise and a fall as large "
        "as the margin are both rejected (Schuirmann 1987), corrected as above over all tasks and comparisons of arms; "
        "intervals are of the difference from 0, and may reach beyond the margin there. "
        "Over arms that differ in capacity alone each task has a line of its gain on log2 of the joint model's size; "
        "the pooled line is the mean of the tasks' lines, the tasks being a sample."
    )


def _rest(analysis: Analysis) -> str:
    frames, sentences = analysis.frames, []
    if len(frames["sensitivity"]):
        sentences.append(
            "Task types are compared with one value per task: Welch's interval for the difference to the other "
            f"types, and p values from {SHUFFLES:,} shuffles of types over tasks (Fisher-Pitman), within clinical "
            "groups where they hold several types."
        )
    if len(frames["stability"]):
        sentences.append(
            "Stability is the standard deviation of mean gain over clinical groups and fractions, with jackknife "
            "intervals over groups; CG and AU are compared on the same cells, of the tasks that both have there, "
            "without what seeds do to either spread (a seed moves all groups of AU together, those of CG one by one; p "
            "value after Pitman 1939)."
        )
    if len(frames["guidelines"]):
        sentences.append(
            "The guideline is a mixed model of gains with a level and a slope over log2 of training cases for each "
            f"task type; where an aggregation was seen with {FEWEST_OF_TYPE} tasks of the type, and between their "
            "sizes, it gives the chance that a new task gains or is harmed. It advises a joint aggregation where with "
            "95 % confidence over all types together nine in ten such tasks gain (Owen 1968), "
            f"{analysis.study.aggregations[0]} where nine in ten lose under each; else it abstains, as with one seed. "
            "Its worth is measured by leaving out each task, and each group, in turn."
        )
    if len(frames["multiverse"]):
        sentences.append(
            "Verdicts were judged again under other metrics, scales, margins and corrections (Steegen et al. 2016)."
        )
    if len(frames["findings"]):
        sentences.append(
            "A part of a finding is supported where its 95 % interval lies above 0 in the direction claimed, "
            "contradicted where it lies below, and neither where another test of it (types, spreads) does not reject; "
            "a finding is supported where all its parts are, contradicted where one part is after Holm's correction "
            "over its parts, and else undecided. "
            "Findings are not corrected for their number. Each part says whether it is of the median of tasks of this "
            "kind or of the mean of exactly a group's tasks. Data-rich and data-poor are tasks above and below the "
            "median number of training cases."
        )
    sentences.append(f"Every random draw has seed {analysis.settings.seed}.")
    return " ".join(sentences)
