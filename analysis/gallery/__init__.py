"""The images behind a verdict: cases that gain or lose most, with what each aggregation predicts on them."""

from analysis.gallery.study_cases import Cases, cases

__all__ = ["Cases", "cases"]
