"""`make gpu`: agglab on this machine's accelerator, in ten minutes at most, as one table for docs/benchmarks.md.

Every part is a process of its own, so that one that fails leaves the others a sound device:

    python -m runners.bench.card                  # all parts
    python -m runners.bench.card study resume     # some of them
"""
