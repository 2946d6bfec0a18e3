"""Files that a finished run keeps beside its tables, and how they are read; none of them needs the rest of a study."""
