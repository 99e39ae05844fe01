"""Engines that move blocks between files and memory, and the proof of where bytes came from.

`engine.py` says what every engine answers; `synchronous.py` is the first one. `buffers.py` hands
out the aligned memory that direct I/O demands, `residency.py` asks the kernel what is cached.
"""
