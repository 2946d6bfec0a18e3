"""What a sceptical reader of a study must be told: a file for each subject, `every.py` lists all sentences."""
