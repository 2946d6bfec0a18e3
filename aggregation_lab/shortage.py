"""Whether an error says that memory is short, and what to do then; without torch, so that any process can ask."""

ADVICE = "lower training.image_size, take a smaller model.encoder, or run fewer at a time (--jobs)"

_WORDS = (
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
"""What errors without a type of their own say: the CPU's allocator, the system (mapping files and libraries, starting
threads), oneDNN, MPS, cuBLAS and cuDNN."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the error says that there is no memory left, on the accelerator or on the machine."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError | OSError | ImportError) and any(words in str(error) for words in _WORDS)
