"""What to cite: the study that is implemented, this software, and the sources of the statistics."""

from typing import Final

from aggregation_lab.version import __version__

PAPER: Final = "arXiv 2603.18123"

BIBTEX: Final = f"""\
@article{{wang2026aggregation,
  title   = {{Understanding Task Aggregation for Generalizable Ultrasound Foundation Models}},
  author  = {{Wang and Akumu and Dang and Jim{{\\'e}}nez-S{{\\'a}}nchez and
             Bai and Silvestre and Lekadir and Curran}},
  journal = {{arXiv preprint arXiv:2603.18123}},
  year    = {{2026}}
}}

@software{{aggregation_lab,
  title   = {{aggregation\\_lab: task-aggregation studies in ultrasound imaging}},
  author  = {{{{The aggregation\\_lab contributors}}}},
  version = {{{__version__}}},
  license = {{Apache-2.0}},
  year    = {{2026}}
}}
"""

SOURCES: Final = {
    "Banerjee 1960": "Approximate confidence interval for linear functions of means of k populations when the "
    "population variances are not equal. Sankhya 22, 357-358.",
    "Bell and McCaffrey 2002": "Bias reduction in standard errors for linear regression with multi-stage samples. "
    "Survey Methodol. 28, 169-181.",
    "Benjamini and Hochberg 1995": "Controlling the false discovery rate. J. R. Stat. Soc. B 57, 289-300.",
    "Benjamini and Yekutieli 2005": "False discovery rate-adjusted multiple confidence intervals for selected "
    "parameters. J. Am. Stat. Assoc. 100, 71-81.",
    "Bengio and Grandvalet 2004": "No unbiased estimator of the variance of K-fold cross-validation. "
    "J. Mach. Learn. Res. 5, 1089-1105.",
    "Cameron, Gelbach and Miller 2011": "Robust inference with multiway clustering. J. Bus. Econ. Stat. 29, 238-249.",
    "Chamandy et al. 2012": "Estimating uncertainty for massive data streams. Google technical report.",
    "Fieller 1954": "Some problems in interval estimation. J. R. Stat. Soc. B 16, 175-185.",
    "Fisher 1935": "The fiducial argument in statistical inference. Ann. Eugen. 6, 391-398.",
    "Henderson 1975": "Best linear unbiased estimation and prediction under a selection model. Biometrics 31, 423-447.",
    "Holm 1979": "A simple sequentially rejective multiple test procedure. Scand. J. Stat. 6, 65-70.",
    "Jennison and Turnbull 1989": "Interim analyses: the repeated confidence interval approach. J. R. Stat. Soc. B 51, "
    "305-361.",
    "Lan and DeMets 1983": "Discrete sequential boundaries for clinical trials. Biometrika 70, 659-663; 1989: Group "
    "sequential procedures: calendar versus information time. Stat. Med. 8, 1191-1198.",
    "Liu and Anderson 2008": "On adaptive extensions of group sequential trials for clinical investigations. "
    "J. Am. Stat. Assoc. 103, 1621-1630.",
    "Nadeau and Bengio 2003": "Inference for the generalization error. Mach. Learn. 52, 239-281.",
    "Owen 1968": "A survey of properties and applications of the noncentral t-distribution. Technometrics 10, 445-478.",
    "Owen 2007": "The pigeonhole bootstrap. Ann. Appl. Stat. 1, 386-411.",
    "Pitman 1939": "A note on normal correlation. Biometrika 31, 9-12.",
    "Pustejovsky and Tipton 2018": "Small-sample methods for cluster-robust variance estimation and hypothesis testing "
    "in fixed effects models. J. Bus. Econ. Stat. 36, 672-683.",
    "Satterthwaite 1946": "An approximate distribution of estimates of variance components. "
    "Biometrics Bull. 2, 110-114.",
    "Schuirmann 1987": "A comparison of the two one-sided tests procedure and the power approach for assessing the "
    "equivalence of average bioavailability. J. Pharmacokinet. Biopharm. 15, 657-680.",
    "Smyth 2004": "Linear models and empirical Bayes methods for assessing differential expression in microarray "
    "experiments. Stat. Appl. Genet. Mol. Biol. 3, 3.",
    "Steegen et al. 2016": "Increasing transparency through a multiverse analysis. "
    "Perspect. Psychol. Sci. 11, 702-712.",
    "Thompson 1936": "On confidence ranges for the median and other expectation distributions for populations of "
    "unknown distribution form. Ann. Math. Stat. 7, 122-128.",
}
"""The sources of the methods text, by the words that cite them."""


def cited(text: str) -> list[str]:
    """Full references of the sources that a text cites, in their order."""
    return [f"{name}. {title}" for name, title in SOURCES.items() if name in text]
