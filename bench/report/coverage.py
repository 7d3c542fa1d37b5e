"""How often the 95 % intervals hold the truth: simulated, with a known truth, by tests/test_bootstrap.py."""

REPEATS = 2000  # of the simulation, for each number of seeds
# Seeds: share of the intervals that hold the truth where the images make most of the chance, and where the seeds do;
# then the share of two equal configurations that are called tied, likewise.
COVERAGE = {
    3: (0.9585, 0.9370, 0.9855, 0.9560),
    5: (0.9565, 0.9545, 0.9875, 0.9495),
    10: (0.9465, 0.9470, 0.9885, 0.9605),
}
