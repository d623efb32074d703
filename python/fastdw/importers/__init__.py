"""Readers of other formats: each turns a model into a graph, or says all that it lacks."""
