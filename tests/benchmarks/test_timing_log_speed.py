"""The cost of keeping timings, which must stay far below 1 % of what is timed: a block of steps takes 0.5 s."""

from bench.profiling.clock.timing_table import LATENCY, TRAIN, TimingLog


def test_note_speed(benchmark):
    note = TimingLog().noting(TRAIN, 32)
    benchmark(note, [0.5])


def test_write_speed(benchmark, tmp_path):
    log = TimingLog()
    log.note(LATENCY, [0.001] * 1000, 1)
    benchmark(log.write, tmp_path)
