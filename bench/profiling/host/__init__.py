"""The host as Linux shows it: control groups, memory's end, other processes' load, sleep, and energy counters."""
