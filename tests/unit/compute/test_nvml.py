"""Energy of accelerators: read through the driver's library (here one of our own with its calls), and never called measured in part."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from bedplate.compute.meter import Meter, Reading
from bedplate.compute.nvml import Accelerators

DRIVER = """
static unsigned long long drawn[2] = {1000, 5000};
static int handles[2];
int nvmlInit_v2(void) { return %(init)d; }
int nvmlDeviceGetCount_v2(unsigned int *count) { *count = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **device) { *device = &handles[index]; return 0; }
int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *mj) {
    long index = (int *)device - handles;
    if (index == 1 && %(old)d) return 3;
    drawn[index] += 2500;
    *mj = drawn[index];
    return 0;
}
"""
needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler to make the driver's library with")


def driver(folder: Path, *, init: int = 0, old: int = 0) -> str:
    """A library with NVML's calls: two devices, each of which draws 2.5 J between two looks; an old one says nothing."""
    source, library = folder / "nvml.c", folder / f"nvml{init}{old}.so"
    source.write_text(DRIVER % {"init": init, "old": old})
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    return str(library)


@needs_cc
def test_each_device_says_what_it_has_drawn(tmp_path: Path) -> None:
    found = Accelerators(driver(tmp_path))
    assert found.joules() == (3.5, 7.5)
    assert found.joules() == (6.0, 10.0)
    assert Accelerators(driver(tmp_path, old=1)).joules() == (3.5, None)


@needs_cc
def test_without_a_driver_there_are_no_devices(tmp_path: Path) -> None:
    """Neither where the library is missing, nor where it is another, nor where it does not start."""
    assert Accelerators("libnothing-of-that-name.so").joules() == ()
    assert Accelerators("libc.so.6").joules() == ()
    assert Accelerators(driver(tmp_path, init=9)).joules() == ()


@needs_cc
def test_a_job_has_what_its_accelerators_drew_beside_its_processor_time(tmp_path: Path) -> None:
    """2 CPU seconds at 10 W, assumed, and 2.5 J of device 1: the sum is assumed, for a part of it is."""
    meter = Meter(10.0, powercap=tmp_path, accelerators=Accelerators(driver(tmp_path)))
    assert meter.energy(meter.read(), meter.read(), 2.0, (1,)) == (22.5, "assumed")
    assert meter.energy(meter.read(), meter.read(), 2.0) == (20.0, "assumed")


@needs_cc
def test_what_is_measured_everywhere_is_measured(tmp_path: Path) -> None:
    """A processor with counters and an accelerator that says what it drew; one that does not makes the sum assumed."""
    counter, stat = tmp_path / "intel-rapl:0", tmp_path / "stat"
    counter.mkdir()
    (counter / "max_energy_range_uj").write_text("100000000")

    def at(microjoules: int, busy_ticks: int) -> None:
        (counter / "energy_uj").write_text(str(microjoules))
        stat.write_text(f"cpu  {busy_ticks} 0 0 1 1 0 0 0 0 0\n")

    at(0, 0)
    meter = Meter(0.0, tmp_path, stat, Accelerators(driver(tmp_path, old=1)))
    before = meter.read()
    at(4_000_000, 200)
    after = meter.read()
    assert meter.energy(before, after, 2.0, (0,)) == (6.5, "measured")
    assert meter.energy(before, after, 2.0, (0, 1)) == (6.5, "assumed")


def test_where_nobody_reads_anything_energy_is_assumed_or_unknown() -> None:
    """Also with an accelerator: what it drew is not known, and not made up."""
    assert Meter(5.0).energy(Reading(), Reading(), 2.0, (0,)) == (10.0, "assumed")
    assert Meter(0.0).energy(Reading(), Reading(), 2.0, (0,)) == (0.0, "unknown")
