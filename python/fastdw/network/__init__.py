"""Whole networks: a typed graph of operators, its rewrites, its file and its plan."""
