"""Engines that move blocks between files and memory, and the proof of where bytes came from.

`engine.py` says what every engine and every folder answers. `synchronous.py` is the plainest
engine, `folder.py` the folder on a disk, `sim_disk.py` both of them in memory, with crashes,
`fault_io.py` a wrapper that lets the calls of any of them go wrong.
`open_engine.py` takes the best engine there is: `io_uring.py` (on `ring.py`, `ring_pool.py` and
`ring_jobs.py`), else `threads.py`.
`buffers.py` hands out the aligned memory that direct I/O demands, `residency.py` asks the kernel
what is cached.
"""
