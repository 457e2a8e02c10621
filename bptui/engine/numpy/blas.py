"""Two routines of the BLAS that NumPy itself links, and its number of threads.

NumPy offers a product (``np.dot``) but not ``C ← αAB + βC`` (gemm) nor ``y ← αx + βy`` (axpby): with them an update of
plain SGD is one product into the weights, and a running mean is one pass over memory in place of three. They are
looked for in the library that NumPy has loaded, tried against NumPy when this module is imported, and where they are
missing or give anything else, the same operations are made of NumPy's own calls.

An operation holds its numbers by reference: α and β are arrays without a dimension that may be rewritten in place.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bptui.engine.numpy.operations import Array, Operation, run

_ROW_MAJOR, _AS_IT_IS, _TRANSPOSED = (ctypes.c_int(value) for value in (101, 111, 112))  # of cblas.h
_LETTERS: dict[np.dtype[Any], tuple[str, Any]] = {
    np.dtype(np.float32): ("s", ctypes.c_float),
    np.dtype(np.float64): ("d", ctypes.c_double),
}


class Blas:
    """The routines of one library; without one, NumPy's own calls."""

    def __init__(self, library: Any = None, prefix: str = "", suffix: str = "") -> None:
        self._library, self._prefix, self._suffix = library, prefix, suffix
        # Interfaces of 64-bit integers are named so: Debian, conda and NumPy's own wheels agree on the suffix.
        self._integer: Any = ctypes.c_int64 if "64" in suffix else ctypes.c_int

    @property
    def found(self) -> bool:
        """Whether it is the library's routines that run."""
        return self._library is not None

    def product(self, a: Array, b: Array, out: Array, alpha: Array, beta: Array) -> Operation:
        """``out ← α·a·b + β·out`` for a (m, k), b (k, n), out (m, n); with β = 0 what ``out`` held does not matter."""
        if self._library is None:
            return _product(a, b, out, alpha, beta)
        (m, k), (_, n) = a.shape, b.shape
        left, a_width = _layout(a)
        right, b_width = _layout(b)
        integer = self._integer
        return partial(
            self._routine("gemm", out), _ROW_MAJOR, left, right, integer(m), integer(n), integer(k), _number(alpha),
            _address(a), integer(a_width), _address(b), integer(b_width), _number(beta), _address(out),
            integer(_layout(out)[1]),
        )  # fmt: skip

    def blend(self, alpha: Array, x: Array, beta: Array, y: Array) -> Operation:
        """``y ← α·x + β·y`` for flat x and y."""
        if self._library is None:
            return _blend(alpha, x, beta, y)
        one = self._integer(1)
        return partial(
            self._routine("axpby", y), self._integer(y.size), _number(alpha), _address(x), one, _number(beta),
            _address(y), one,
        )  # fmt: skip

    def add(self, alpha: Array, x: Array, y: Array) -> Operation:
        """``y ← α·x + y`` for flat x and y."""
        if self._library is None:
            return _add(alpha, x, y)
        one = self._integer(1)
        return partial(
            self._routine("axpy", y), self._integer(y.size), _number(alpha), _address(x), one, _address(y), one
        )

    def threads(self) -> int | None:
        """Threads over which a large product is spread; None: not known."""
        count = self._own("get_num_threads")
        return None if count is None else int(count())

    def set_threads(self, count: int) -> bool:
        """Spread products over ``count`` threads from now on; False where this BLAS cannot be told."""
        change = self._own("set_num_threads")
        if change is None:
            return False
        change(ctypes.c_int(count))
        return True

    def _routine(self, name: str, like: Array) -> Callable[..., object]:
        routine = getattr(self._library, f"{self._prefix}cblas_{_LETTERS[like.dtype][0]}{name}{self._suffix}")
        routine.restype = None
        return routine  # type: ignore[no-any-return]

    def _own(self, name: str) -> Any:
        """A routine of OpenBLAS alone."""
        return getattr(self._library, f"{self._prefix}openblas_{name}{self._suffix}", None)


def _layout(matrix: Array) -> tuple[ctypes.c_int, int]:
    """How a matrix lies in memory: as it is or transposed, and how many elements one of its rows is from the next."""
    down, along = (stride // matrix.itemsize for stride in matrix.strides)
    rows, columns = matrix.shape
    if along == 1 or columns == 1:
        return _AS_IT_IS, max(down, columns) if rows > 1 else columns
    if down == 1 or rows == 1:
        return _TRANSPOSED, max(along, rows)
    raise ValueError("a matrix with gaps in both directions")


def _address(array: Array) -> ctypes.c_void_p:
    return array.ctypes.data_as(ctypes.c_void_p)  # which keeps the array alive


def _number(value: Array) -> Any:
    """A C number in the very memory of an array without a dimension."""
    return _LETTERS[value.dtype][1].from_buffer(value)


# -- the same of NumPy's calls ----------------------------------------------------------------------------
def _product(a: Array, b: Array, out: Array, alpha: Array, beta: Array) -> Operation:
    fresh = np.empty(out.shape, out.dtype)

    def product() -> None:
        np.dot(a, b, fresh)
        if alpha != 1.0:
            np.multiply(fresh, alpha, fresh)
        if not beta:
            np.copyto(out, fresh)
            return
        if beta != 1.0:
            np.multiply(out, beta, out)
        np.add(out, fresh, out)

    return product


def _blend(alpha: Array, x: Array, beta: Array, y: Array) -> Operation:
    return partial(run, [partial(np.multiply, y, beta, y), _add(alpha, x, y)])


def _add(alpha: Array, x: Array, y: Array) -> Operation:
    fresh = np.empty(y.shape, y.dtype)
    return partial(run, [partial(np.multiply, x, alpha, fresh), partial(np.add, y, fresh, y)])


# -- finding it -------------------------------------------------------------------------------------------
def _libraries() -> list[Path]:
    """Where NumPy's BLAS may lie: beside NumPy (wheels), else among what this process has loaded."""
    package = Path(np.__file__).parent
    beside = [package.parent / "numpy.libs", package / ".libs", package / ".dylibs"]
    found = [path for folder in beside if folder.is_dir() for path in sorted(folder.glob("*openblas*"))]
    if not found and sys.platform == "linux":
        try:
            lines = Path("/proc/self/maps").read_text().splitlines()
        except OSError:
            lines = []
        names = dict.fromkeys(line[line.index("/") :] for line in lines if "/" in line)
        found = [Path(name) for name in names if "blas" in Path(name).name and "torch" not in name]
    return found


def find() -> Blas:
    """The BLAS of this process's NumPy, or NumPy's own calls."""
    for path in _libraries():
        try:
            library = ctypes.PyDLL(str(path))  # which keeps the interpreter's lock: there is no other thread to serve
        except OSError:
            continue
        for prefix, suffix in (("scipy_", "64_"), ("", "64_"), ("", "_64"), ("scipy_", ""), ("", "")):
            if all(hasattr(library, f"{prefix}cblas_{each}{suffix}") for each in ("sgemm", "daxpy", "saxpby")):
                blas = Blas(library, prefix, suffix)
                if _agrees(blas):
                    return blas
    return Blas()


def _agrees(blas: Blas) -> bool:
    """Whether every routine gives what NumPy gives, for both types and each way that a matrix may lie."""
    draw = np.random.default_rng(0)
    for dtype in _LETTERS:
        alpha, beta = np.array(0.5, dtype), np.array(-0.25, dtype)
        for turned in range(4):
            a, b = (
                draw.normal(size=shape[::-1]).astype(dtype).T if turned & bit else draw.normal(size=shape).astype(dtype)
                for bit, shape in ((1, (3, 5)), (2, (5, 4)))
            )
            out = draw.normal(size=(3, 4)).astype(dtype)
            expected = 0.5 * (a @ b) - 0.25 * out
            blas.product(a, b, out, alpha, beta)()
            if not np.allclose(out, expected, rtol=1e-5, atol=1e-6):
                return False
        x, y = draw.normal(size=(2, 7)).astype(dtype)
        first, second = y.copy(), y.copy()
        blas.blend(alpha, x, beta, first)()
        blas.add(alpha, x, second)()
        if not (np.allclose(first, 0.5 * x - 0.25 * y, rtol=1e-5) and np.allclose(second, 0.5 * x + y, rtol=1e-5)):
            return False
    return True


BLAS = find()
