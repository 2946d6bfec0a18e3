"""Studies with planted affinities between tasks: are predicted gains right, and are contradictions parted?"""
