"""Energy counters of NVIDIA accelerators (NVML), through the driver's own library: no package is needed.

Choices: the counter of each device's total energy since the driver was loaded, in millijoules (Volta and newer have it).
Limits: a device's energy is all that was drawn on it, whoever used it; a device that another job shares is counted in both.
"""

from __future__ import annotations

import ctypes
from typing import Final

LIBRARY: Final = "libnvidia-ml.so.1"


class Accelerators:
    """The devices of this machine by index, as the driver numbers them; none where there is no driver."""

    def __init__(self, library: str = LIBRARY) -> None:
        self._devices: list[ctypes.c_void_p] = []
        try:
            self._nvml = ctypes.CDLL(library)
            if self._nvml.nvmlInit_v2():
                return
            count = ctypes.c_uint()
            if self._nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)):
                return
        except (OSError, AttributeError):  # no driver, or one without these calls
            return
        for index in range(count.value):
            device = ctypes.c_void_p()
            if self._nvml.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(index), ctypes.byref(device)):
                return
            self._devices.append(device)

    def joules(self) -> tuple[float | None, ...]:
        """What each device has drawn since its driver was loaded; None for one that does not say."""
        return tuple(self._of(device) for device in self._devices)

    def _of(self, device: ctypes.c_void_p) -> float | None:
        drawn = ctypes.c_ulonglong()
        refused = self._nvml.nvmlDeviceGetTotalEnergyConsumption(device, ctypes.byref(drawn))
        return None if refused else drawn.value / 1000.0
