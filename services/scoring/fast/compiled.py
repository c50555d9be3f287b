"""The kernel compiled by numba, where that is installed (extra `fast`): one source, to the last bit the same numbers.

Recomputations use it. Live scoring does not: there every event is one call, and a service should start at once."""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from platformdirs import user_cache_path

from services.scoring.domain.kernel import arithmetic, batch, goals, look, meetings, pace, pauses, score, talk, voices
from services.scoring.domain.kernel.batch import Work
from services.scoring.domain.kernel.places import Columns, Window

# Callees before callers.
MODULES: tuple[ModuleType, ...] = (arithmetic, pauses, meetings, talk, pace, goals, voices, score, look, batch)
REAL = frozenset(
    {"weight", "real", "goal_smart", "goal_done", "value", "share", "feature", "work", "vectors", "profile"}
)
"""The sequences of real numbers among those of Columns, Window and Work."""


@intrinsic  # type: ignore[untyped-decorator]
def whole_at(typing: Any, address: Any) -> Any:  # noqa: ANN401, ARG001 (numba passes its own types)
    """The whole numbers at an address: arrays as bare pointers, which cost no more than lists cost in Python."""
    return types.CPointer(types.int64)(types.int64), _pointer(ir.IntType(64))


@intrinsic  # type: ignore[untyped-decorator]
def real_at(typing: Any, address: Any) -> Any:  # noqa: ANN401, ARG001
    return types.CPointer(types.float64)(types.int64), _pointer(ir.DoubleType())


def _pointer(to: Any) -> Callable[..., Any]:  # noqa: ANN401
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        return builder.inttoptr(arguments[0], ir.PointerType(to))

    return generate


@cache
def score_all() -> Callable[[Any, Any, Any, int, int], None]:
    """kernel.batch.score_all, compiled: takes the addresses of the sequences of Columns, Window and Work (`addresses`).
    Kept on disk under a hash of all sources of the kernel: numba itself looks only at the file of the function that it
    is asked for, and would miss a change in what that one calls."""
    numba.config.CACHE_DIR = str(user_cache_path("rapport") / "kernel" / _sources_hash())
    compiled = _compiled()["score_all"]
    names = {"score_all": compiled, "whole_at": whole_at, "real_at": real_at}
    names |= {"Columns": Columns, "Window": Window, "Work": Work}
    built = ", ".join((_built(Columns, "c"), _built(Window, "w"), _built(Work, "to")))
    source = f"def entry(c, w, to, relationships, versions):\n    score_all({built}, relationships, versions)\n"
    exec(compile(source, __file__, "exec"), names)  # noqa: S102 (numba has no other way to take a tuple of pointers)
    return numba.njit(names["entry"])  # type: ignore[no-any-return]


class Addresses(NamedTuple):
    """Where sequences stand, and the arrays themselves, which have to live as long."""

    places: Any
    arrays: list[Any]


def addresses(sequences: Columns | Window | Work) -> Addresses:
    arrays = [
        np.ascontiguousarray(sequence, dtype=np.float64 if name in REAL else np.int64)
        for name, sequence in zip(type(sequences)._fields, sequences, strict=True)
    ]
    return Addresses(np.array([array.ctypes.data for array in arrays], dtype=np.int64), arrays)


def _built(of: Any, name: str) -> str:  # noqa: ANN401
    """An expression for a tuple of pointers, from the addresses in `name`."""
    kinds = ("real" if field in REAL else "whole" for field in of._fields)
    return f"{of.__name__}({', '.join(f'{kind}_at({name}[{place}])' for place, kind in enumerate(kinds))})"


def _compiled() -> dict[str, Any]:
    """The functions of all modules of the kernel, calling each other compiled."""
    functions: dict[int, Any] = {}
    found: dict[str, Any] = {}
    for module in MODULES:
        names = {name: functions.get(id(value), value) for name, value in vars(module).items()}
        for name, value in vars(module).items():
            if isinstance(value, FunctionType) and value.__module__ == module.__name__:
                again = FunctionType(value.__code__, names, value.__name__)
                again.__module__, again.__qualname__ = value.__module__, value.__qualname__
                names[name] = functions[id(value)] = found[name] = numba.njit(cache=True)(again)
    return found


def _sources_hash() -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(str(arithmetic.__file__)).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
