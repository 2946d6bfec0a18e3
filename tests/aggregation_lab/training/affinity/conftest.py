"""The phantoms of the tests of multi-task methods: two contradicting classifiers and two tasks of nodules."""

from tests.aggregation_lab.training.methods.conftest import study

__all__ = ["study"]
