# A config for runs of the fake worker.
seed = 0
fake = dict()
