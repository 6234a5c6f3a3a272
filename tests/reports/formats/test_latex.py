"""A report as LaTeX."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.small_ledger import RUNS, Run, experiment
from transfer_sweep.reports import report
from transfer_sweep.reports.formats import Format, latex
from transfer_sweep.reports.ledger.records import TrialState


def test_latex_uses_booktabs_and_escapes_names(small: Path) -> None:
    text = report.render([small], Format.TEX)
    assert "\\toprule" in text
    assert "source\\_only" in text
    assert "\\textbf{80.0 $\\pm$ 4.0}" in text
    assert "\\underline{70.0}" in text
    assert "A$\\to$W" in text
    assert not set("→±†−–") & set(text)
    assert text.count("\\begin{table}") == text.count("\\end{table}") > 5


def test_latex_compiles_whatever_the_ledger_holds(tmp_path: Path) -> None:
    """Needs pdflatex with the packages that the report names."""
    compiler, finder = shutil.which("pdflatex"), shutil.which("kpsewhich")
    if compiler is None or finder is None:
        pytest.skip("there is no pdflatex")
    for package in latex.PACKAGES:
        if not subprocess.run([finder, f"{package}.sty"], capture_output=True, check=False).stdout:
            pytest.skip(f"LaTeX has no {package}")
    hostile = "E: ** & ` 100 % of $x_1^2$ ~ #{} \\input{/etc/passwd} ** <b> 漢字 `"
    failed = Run("jda", "amazon", "webcam", {"kernel": "a_b$"}, [], state=TrialState.FAILED, error=hostile)
    paths = [experiment(tmp_path, [*RUNS, failed], name=name) for name in ("one", "two_b")]
    report.write(paths, tmp_path / "tables.tex", Format.TEX)
    packages = ",".join(latex.PACKAGES)
    main = f"\\documentclass{{article}}\\usepackage{{{packages}}}\\begin{{document}}\\input{{tables}}\\end{{document}}"
    (tmp_path / "main.tex").write_text(main)
    command = [compiler, "-interaction=nonstopmode", "-halt-on-error", "main"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-2000:]
