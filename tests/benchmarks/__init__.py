"""How fast, how large: whole processes side by side, as ratios. Nothing here decides a test by a time.

python -m tests.benchmarks [start] [lookups] [scan] [memory] [pacing] [--full] [--json] [--rounds N]

`activations`, `reconcile`, `queue_throughput` and `dead_letter` are programs of their own:
python -m tests.benchmarks.reconcile and so on.
"""
