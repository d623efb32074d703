"""Command-line benchmark of fastdw: `fastdw-bench`, or `python -m fastdw_bench`."""
