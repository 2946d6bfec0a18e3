"""`make bench`: what a study costs, as ratios measured side by side on one machine.

Ratios, not seconds: the machine's speed cancels out. Each part can be run alone:

    python -m runners.bench                                  # all parts, about ten minutes on two cores
    python -m runners.bench peers growth --data PATH         # some of them, on another folder
    python -m runners.bench peers --share 1 --passes 11      # the whole study in place of the cut-down one
"""
