"""Runs of a sweep on Dask workers: connecting, one run on a worker, and its folder's way back."""
