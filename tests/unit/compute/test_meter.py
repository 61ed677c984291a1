"""Energy is measured where counters are readable, and says `assumed` where they are not."""

from __future__ import annotations

import pytest

from bedplate.compute.meter import Meter, Reading


@pytest.fixture
def machine(tmp_path):
    """A powercap folder with two packages (and a part of one, which must not be counted twice) and a /proc/stat."""

    def at(first_uj: int, second_uj: int, busy_ticks: int) -> None:
        for name, value in (("intel-rapl:0", first_uj), ("intel-rapl:1", second_uj), ("intel-rapl:0:0", 999_999_999)):
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / "energy_uj").write_text(f"{value}\n")
            (tmp_path / name / "max_energy_range_uj").write_text("100000000\n")
        (tmp_path / "stat").write_text(f"cpu  {busy_ticks} 0 0 12345 99 0 0 0 0 0\ncpu0 1 2 3\n")

    at(0, 0, 0)
    return at, tmp_path


def test_a_job_alone_has_all_joules_of_its_time(machine):
    at, folder = machine
    meter = Meter(0.0, folder, folder / "stat")
    before = meter.read()
    at(30_000_000, 10_000_000, 200)
    assert meter.energy(before, meter.read(), 2.0) == (40.0, "measured")


def test_a_job_among_others_has_its_share_by_cpu_time(machine):
    at, folder = machine
    meter = Meter(0.0, folder, folder / "stat")
    before = meter.read()
    at(30_000_000, 10_000_000, 800)
    assert meter.energy(before, meter.read(), 2.0) == (10.0, "measured")


def test_a_counter_that_wraps_still_counts(machine):
    at, folder = machine
    at(99_000_000, 0, 0)
    meter = Meter(0.0, folder, folder / "stat")
    before = meter.read()
    at(4_000_000, 0, 100)
    assert meter.energy(before, meter.read(), 1.0) == (5.0, "measured")


def test_without_counters_energy_is_assumed_or_unknown(tmp_path):
    """Also where the folder is there and its counters cannot be read."""
    (tmp_path / "intel-rapl:0").mkdir()
    for folder in (tmp_path, tmp_path / "missing"):
        assert Meter(32.5, folder).energy(Reading(), Meter(32.5, folder).read(), 2.0) == (65.0, "assumed")
        assert Meter(0.0, folder).energy(Reading(), Reading(), 2.0) == (0.0, "unknown")
