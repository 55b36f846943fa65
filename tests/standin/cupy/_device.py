"""Two devices without access to each other's memory, the smallest machine on which arrays can be in the wrong place."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from . import _counts

DEVICES = 2
MEMORY = 80 << 30
_current = [0]


def current() -> int:
    """The number of the current device."""
    return _current[-1]


class Device:
    """One device; as a context manager, the current one within the block."""

    def __init__(self, device: int | None = None) -> None:
        self.id = current() if device is None else int(device)
        if not 0 <= self.id < DEVICES:
            raise RuntimeError("cudaErrorInvalidDevice: invalid device ordinal")

    def __enter__(self) -> Device:
        _current.append(self.id)
        return self

    def __exit__(self, *error: object) -> None:
        _current.pop()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<CUDA Device {self.id}>"

    def use(self) -> None:
        """Make it the current device."""
        _current[-1] = self.id

    def synchronize(self) -> None:
        """Wait until it is done."""
        _counts.wait("synchronize")

    @property
    def mem_info(self) -> tuple[int, int]:
        """The free and the total bytes."""
        return MEMORY - _counts.held(), MEMORY


class Stream:
    """A queue of one device."""

    def synchronize(self) -> None:
        """Wait until it is empty."""
        _counts.wait("synchronize")


class OutOfMemoryError(MemoryError):
    """Raised by CuPy where the device is full, and by nothing here."""


Stream.null = Stream()  # type: ignore[attr-defined]
_name = b"a stand-in, computing on the CPU"
runtime: Any = SimpleNamespace(
    getDevice=current,
    getDeviceCount=lambda: DEVICES,
    driverGetVersion=lambda: 0,
    runtimeGetVersion=lambda: 0,
    getDeviceProperties=lambda device: {"name": _name, "totalGlobalMem": MEMORY},
)
cuda: Any = SimpleNamespace(
    Device=Device,
    Stream=Stream,
    get_current_stream=lambda: Stream.null,  # type: ignore[attr-defined]
    is_available=lambda: True,
    memory=SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
    runtime=runtime,
)
pool: Any = SimpleNamespace(
    used_bytes=_counts.held, total_bytes=_counts.peak, free_bytes=lambda: 0, free_all_blocks=_counts.forget_peak
)
