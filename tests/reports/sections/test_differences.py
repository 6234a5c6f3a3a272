"""The diagram of average ranks."""

from pathlib import Path

import numpy as np
import pandas as pd

from transfer_sweep.reports.comparison import compare
from transfer_sweep.reports.document import plotting
from transfer_sweep.reports.document.elements import Drawing
from transfer_sweep.reports.sections import differences

ACCURACIES = pd.DataFrame(
    [[71.0, 80.0, 83.0, 90.0], [60.0, 59.0, 65.0, 70.0], [88.0, 90.0, 93.0, 92.0]],
    columns=["source_only", "dan", "dann", "mcc"],
)


def test_the_diagram_names_every_method_with_its_rank(tmp_path: Path) -> None:
    found = compare(ACCURACIES)
    assert found is not None
    figure = differences.draw(found)
    texts = {text.get_text().strip() for text in figure.axes[0].texts}
    # By hand: 4, 3, 4; 3, 4, 3; 2, 2, 1; 1, 1, 2.
    assert texts == {"mcc  1.3", "dann  1.7", "3.3  dan", "3.7  source_only"}
    bars = [
        np.asarray(line.get_xdata(), dtype=float).tolist() for line in figure.axes[0].lines if line.get_linewidth() == 3
    ]
    assert all(bar == sorted(bar) for bar in bars)  # in order: the same picture in every process
    plotting.write(Drawing("cd", "", "", lambda: figure), tmp_path / "a" / "cd.png")
    assert (tmp_path / "a" / "cd.png").read_bytes().startswith(b"\x89PNG")
