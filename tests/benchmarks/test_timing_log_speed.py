"""The cost of keeping a timing, which must stay far below 1 % of what is timed: calls of 0.2 ms and blocks of 0.5 s."""

from bench.profiling.clock.timing_table import LATENCY, TimingLog


def test_note_speed(benchmark):
    note = TimingLog().noting(LATENCY, 1)
    benchmark(note, 0.001)


def test_write_speed(benchmark, tmp_path):
    log = TimingLog()
    for _ in range(1000):
        log.note(LATENCY, 0.001, 1)
    benchmark(log.write, tmp_path)
