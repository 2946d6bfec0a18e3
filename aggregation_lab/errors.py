"""Errors that a user can mend: one clear line each, naming the file, row or field and what to do."""


class AgglabError(Exception):
    """Base of every error whose message is meant for the user; the command line prints it without a traceback."""


class DataError(AgglabError):
    """The data folder cannot be used as it is. `problems` holds every finding, not just the first."""

    def __init__(self, message: str, problems: tuple = ()):
        super().__init__(message)
        self.problems = problems


class StudyError(AgglabError):
    """The study file, or the output folder it is run into, is not usable."""


class ModelError(AgglabError):
    """The model cannot be built: unknown encoder, or a checkpoint that does not fit it."""


class TrainingError(AgglabError):
    """A run had to stop: non-finite or exploding loss, named with step and task."""


class ResultsError(AgglabError):
    """A score table breaks the schema of `aggregation_lab.results`."""
