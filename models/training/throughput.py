"""What a training took of the machine: GPU utilisation and memory from NVML, peak memory of the process."""

from __future__ import annotations

import logging
import resource
import sys
from collections.abc import Sequence
from statistics import mean
from threading import Event, Thread
from types import TracebackType
from typing import Any, Final, Self

import torch

#: Seconds between two looks at the GPU; NVML averages utilisation over about as long.
EVERY_S: Final = 0.25
_MIB: Final = 1 << 20
_log = logging.getLogger(__name__)


class MachineUse:
    """Looks at the GPUs `indices` from entering to leaving; `metrics` then has the figures, named for MLflow.

    Without a GPU there is only `process_peak_memory_mib` (resident, since the process began, its largest child's
    where children trained). Without NVML (`pip install fantasy-ai[gpu]`) utilisation is left out, never guessed.
    """

    def __init__(self, indices: Sequence[int] = ()) -> None:
        self.indices = tuple(indices)
        self.metrics: dict[str, float] = {}
        self._busy: list[float] = []
        self._used: list[float] = []
        self._stop = Event()
        self._thread: Thread | None = None
        self._nvml: Any = None

    def __enter__(self) -> Self:
        if self.indices:
            for index in self.indices:
                torch.cuda.reset_peak_memory_stats(index)
            self._nvml = open_nvml()
        if self._nvml is not None:
            handles = [_handle(self._nvml, index) for index in self.indices]
            self._thread = Thread(target=self._look, args=(handles,), name="gpu-use", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._nvml.nvmlShutdown()
        self.metrics = {"process_peak_memory_mib": peak_memory_mib()}
        if self.indices:
            peak = max(torch.cuda.max_memory_allocated(index) for index in self.indices)
            self.metrics["gpu_memory_allocated_peak_mib"] = peak / _MIB
        if self._busy:
            self.metrics["gpu_utilisation_percent"] = mean(self._busy)
            self.metrics["gpu_memory_used_peak_mib"] = max(self._used) / _MIB

    def utilisation(self) -> float | None:
        """The newest look in percent, mean over the GPUs; None without one."""
        return self._busy[-1] if self._busy else None

    def _look(self, handles: list[Any]) -> None:
        while not self._stop.is_set():
            self._busy.append(mean(self._nvml.nvmlDeviceGetUtilizationRates(handle).gpu for handle in handles))
            self._used.append(max(self._nvml.nvmlDeviceGetMemoryInfo(handle).used for handle in handles))
            self._stop.wait(EVERY_S)


def open_nvml() -> Any | None:
    """The NVML library, initialised; None when it or its driver is missing."""
    try:
        import pynvml
    except ImportError:
        _log.info("GPU utilisation is not measured: nvidia-ml-py is not installed (extra gpu)")
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        _log.info("GPU utilisation is not measured: NVML says %s", error)
        return None
    return pynvml


def peak_memory_mib() -> float:
    """Largest resident size so far of this process or of a finished child, whichever is larger."""
    unit = 1 if sys.platform == "darwin" else 1024
    own, child = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return float(max(own, child)) * unit / _MIB


def _handle(nvml: Any, index: int) -> Any:
    """NVML counts all GPUs where torch counts the visible ones: only the UUID names the same one."""
    return nvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(index).uuid}")
