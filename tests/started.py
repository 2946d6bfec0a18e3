"""Processes for tests of what runs in them, not of how they start: torch is loaded once for all of them."""

from multiprocessing import get_context
from multiprocessing.context import ForkServerContext


def torch_at_hand() -> ForkServerContext:
    """A context in place of "spawn": its first process loads torch and timm, which takes ten seconds of a core, the
    others are forked from it."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["aggregation_lab.training.execution"])
    return context
