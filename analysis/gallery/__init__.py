"""The images behind a verdict: cases that gain or lose most, with what each aggregation predicts on them."""

from analysis.gallery.cases import Cases, cases

__all__ = ["Cases", "cases"]
