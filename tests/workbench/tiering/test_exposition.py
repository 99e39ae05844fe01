"""Prometheus text: names, kinds, labels."""

from workbench.tiering import exposition


def test_counters_and_gauges_are_told_apart_and_what_is_no_number_is_left_out():
    values = {"hits": 3, "rate": 1 / 3, "state": "ok"}
    assert exposition.counters("a", values) == [
        *("# TYPE a_hits_total counter", "a_hits_total 3"),
        *("# TYPE a_rate_total counter", "a_rate_total 0.333333"),
    ]
    assert exposition.gauges("a", {"segments_total": 2}) == [
        *("# TYPE a_segments gauge", "a_segments 2"),
    ]


def test_labels_are_escaped_and_a_page_ends_its_last_line():
    lines = exposition.info("a_info", said='x"\\\n')
    assert lines == ["# TYPE a_info gauge", r'a_info{said="x\"\\\n"} 1']
    assert exposition.page(lines).endswith("} 1\n")
    assert exposition.labelled("a", 0.25, of="b") == 'a{of="b"} 0.25'
