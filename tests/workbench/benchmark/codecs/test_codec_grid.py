"""The grid on the model's own values: its geometry with restores, another one without."""

import numpy as np

from tests.workbench.benchmark import codec_findings
from workbench.benchmark.codecs import codec_grid
from workbench.tiering.kv_geometry import KVGeometry


def test_the_models_geometry_has_restores_and_quality(disk_folder):
    quality = codec_findings.quality()
    grid = codec_grid.of_model(disk_folder, quality, ["none", "int8"], 128, 10)
    assert grid.geometry == "2x1x64"
    rows = grid.table.to_dicts()
    assert [row["codec"] for row in rows] == ["none", "int8", "checksum", "AES-256-GCM", "copy"]
    assert all(row["restore, ms"] > 0 for row in rows[:2])


def test_another_geometry_holds_the_same_values():
    geometry = KVGeometry(2, 2, 32, "float16")
    grid = codec_grid.of_geometry(codec_findings.quality(), geometry, ["int8"], 2, 10)
    assert (grid.geometry, grid.restore, grid.quality) == ("2x2x32", None, None)


def test_tokens_are_repeated_in_their_order():
    side = np.arange(3 * 4, dtype=np.float16).reshape(3, 1, 2, 2)
    got = codec_grid.repeated(side, 7)
    assert got.flags.c_contiguous
    assert got[:, 0, 0, 0].tolist() == [0, 4, 8, 0, 4, 8, 0]
