"""`--engine slurm`: a job array of which every job takes runs from the store, as any local worker does.

`submit` is what happens where `run-grid` is called, `job` what each job does, `queue` the jobs of an output folder. The
state of a run is read from the store, never from Slurm's accounting, which many clusters do not keep; the cluster's
queue only tells whether jobs are left. The study's section is `runners.planning.slurm_settings`.
"""
