"""`--engine slurm`: a job array of which every job takes runs from the store, as any local worker does.

`settings` is the study's section, `submit` what happens where `run-grid` is called, `job` what each job does, `queue`
what an output folder has with the cluster. How a run fares is read off the store, never off Slurm's accounting, which
many clusters do not keep; the cluster's queue only says whether jobs are left.
"""
