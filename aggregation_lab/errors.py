"""Errors that a user can fix, one clear line each: the file, row or field and what to do; and a lack of memory."""


class AgglabError(Exception):
    """Base of every error whose message is meant for the user; the command line prints it without a traceback."""

    @property
    def fault(self) -> str:
        """The message without the remedy behind its last semicolon, for those who have another one."""
        return str(self).rpartition(";")[0]


class DataError(AgglabError):
    """The data folder cannot be used as it is. `problems` holds every problem, not just the first."""

    def __init__(self, message: str, problems: tuple = ()):
        super().__init__(message)
        self.problems = problems


class StudyError(AgglabError):
    """The study file, or the output folder it is run into, is not usable."""


class NotWritableError(AgglabError):
    """A place that may only be read: a read-only file system, or no permission."""


class ModelError(AgglabError):
    """The model cannot be built: unknown encoder, or a checkpoint that does not fit it."""


class TrainingError(AgglabError):
    """A run had to stop: non-finite or exploding loss, named with step and task."""


class ResultsError(AgglabError):
    """A score table breaks the schema of `aggregation_lab.results`."""


LESS_MEMORY = "lower training.image_size, take a smaller model.encoder, or run fewer at a time (--jobs)"

_MEMORY_WORDS = (
    "out of memory",
    "can't allocate memory",
    "annot allocate memory",
    "not enough memory",
    "bad_alloc",
    "could not create a primitive",
    "could not create a memory",
    "failed to map segment",
    "can't start new thread",
    "ALLOC_FAILED",
)
"""Messages of errors without a special type: the CPU's allocator, the system (mapping files and libraries, starting
threads), oneDNN, MPS, cuBLAS and cuDNN."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the error says that there is no memory left, on the accelerator or on the machine."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError | OSError | ImportError) and any(
        words in str(error) for words in _MEMORY_WORDS
    )
