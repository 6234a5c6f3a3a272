"""What README shows of the code is the code."""

import re

from tests.support.loaded import ROOT


def test_the_method_shown_is_the_methods_file() -> None:
    shown = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert shown
    assert shown[1] == (ROOT / "algorithms" / "deep" / "mcc.py").read_text()
