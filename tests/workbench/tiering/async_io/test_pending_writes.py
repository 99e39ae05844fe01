"""Overlaps are found exactly as by comparing with every write, whatever was added and removed."""

from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.tiering.async_io.engine import Request
from workbench.tiering.async_io.pending_writes import PendingWrites

# Around the megabyte, by which spans are kept.
places = st.builds(
    lambda bucket, shift: bucket * (1 << 20) + shift, st.integers(1, 3), st.integers(-3, 3)
)
MEMORY = memoryview(bytearray(2 << 20))
requests = st.builds(
    lambda op, file, offset, n_bytes: Request(op, file, offset, MEMORY[:n_bytes]),
    st.sampled_from(["read", "write", "sync"]),
    st.integers(1, 2),
    places,
    st.sampled_from([0, 1, 2, 5, 1 << 20, 2 << 20]),
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(requests, max_size=8), st.lists(requests, max_size=8), st.data())
def test_overlaps_are_those_of_the_plain_comparison(added, asked, data):
    pending = PendingWrites()
    pending.add(added)
    gone = data.draw(st.sets(st.sampled_from(range(len(added))))) if added else set()
    pending.remove([added[at] for at in gone])
    left = [
        one for at, one in enumerate(added) if at not in gone and one.op == "write" and one.n_bytes
    ]
    assert bool(pending) == bool(left)
    for request in asked:
        start, end = request.offset, request.offset + request.n_bytes
        assert pending.overlaps(request) == any(
            one.file == request.file
            and start < one.offset + one.n_bytes
            and one.offset < end
            and request.n_bytes
            for one in left
        )
