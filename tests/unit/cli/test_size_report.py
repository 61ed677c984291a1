"""The assessment as Markdown: what somebody calls a machine is text in it, never a tag or a link."""

from __future__ import annotations

from pathlib import Path

from bedplate.assembly import size
from bedplate.interfaces.cli.size_report import write_report
from bedplate.planner.asking.questions import Cost

EVIL = "<script>alert(1)</script>[a](javascript:alert(1))"


def test_names_and_sources_of_somebody_are_inert(tmp_path: Path) -> None:
    (tmp_path / "nodes.csv").write_text(
        f'name,provider,accelerator,n_accel,source\nbox,me{EVIL},H100-SXM5-80GB,8,"[b](javascript:b)\n# no heading"\n', encoding="utf-8"
    )
    (tmp_path / "prices.csv").write_text(
        f'name,provider,accelerator,n_accel,on_demand,source\nbox,me{EVIL},H100-SXM5-80GB,8,20,"[b](javascript:b)\n# no heading"\n',
        encoding="utf-8",
    )
    write_report(size(Cost(node="box"), tmp_path), tmp_path / "page.md", tmp_path)
    page = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert "alert(1)" in page
    assert "<script" not in page
    assert "](javascript" not in page
    assert "\n# no heading" not in page
