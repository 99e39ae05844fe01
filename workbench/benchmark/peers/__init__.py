"""Other engines in processes of their own, so that rounds of theirs and ours can alternate.

`llama_cpp_peer.py` and `torch_peer.py` are what benchmarks talk to; `make peers` installs both.
Nothing is imported here: workers import this package where ours is not installed.
"""
