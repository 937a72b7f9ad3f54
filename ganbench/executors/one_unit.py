"""All kernels of a program in one call of the C++ compiler.

Inductor calls g++ for every kernel, and g++ then reads Inductor's header, starts and links each
time: more work than the kernel. Here the kernels of a program become one source and one library. Each keeps
its text and its flags, so it computes the same numbers. What is not a plain kernel is left to Inductor.
"""

from __future__ import annotations

import contextlib
import importlib.util
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from torch._inductor import async_compile
from torch._inductor.codecache import CppPythonBindingsCodeCache

HEADER = "#include <torch/csrc/inductor/cpp_prefix.h>"
NAMED = re.compile(r'(?<=extern "C")(\s+void\s+)kernel(?=\()')
"""The name of a kernel's function, where it is defined."""
INCLUDED = "#define PY_SSIZE_T_CLEAN\n" + "".join(
    f"#include <{name}>\n" for name in ("Python.h", "sstream", "cstdlib", "cerrno")
)
"""What Inductor's binding of a kernel includes. No header may be read first within a namespace."""

Function = Callable[..., None]


@dataclass(frozen=True)
class Kernel:
    """A kernel that waits for the others of its program."""

    argument_types: tuple[str, ...]
    source: str


class OneUnit(async_compile.AsyncCompile):
    """Collects the kernels of a generated module, which asks for each of them and then waits for all."""

    def cpp_pybinding(self, argtypes: list[str], source_code: str) -> Any:
        """A kernel that waits; the finished function where it is not a plain kernel."""
        plain = source_code.count(HEADER) == source_code.count("#include") == 1
        if plain and len(NAMED.findall(source_code)) == 1:
            return Kernel(tuple(argtypes), source_code)
        return super().cpp_pybinding(argtypes, source_code)

    def wait(self, scope: dict[str, Any]) -> None:
        """Compile what waits, and put the functions in its place among the module's names."""
        waiting = {name: value for name, value in scope.items() if isinstance(value, Kernel)}
        if waiting:
            scope.update(zip(waiting, _functions(list(waiting.values())), strict=True))
        super().wait(scope)


@contextlib.contextmanager
def one_unit() -> Iterator[None]:
    """Modules that Inductor generates meanwhile, or finds in its cache, compile their kernels together."""
    with patch.object(async_compile, "AsyncCompile", OneUnit):
        yield


def _functions(kernels: Sequence[Kernel]) -> list[Function]:
    """The last kernel is compiled and loaded by Inductor as ever; its source holds the others as well."""
    *others, last = kernels
    named = [(f"kernel_{index}", kernel) for index, kernel in enumerate(others)]
    parts = [HEADER, INCLUDED] if named else [HEADER]
    parts += [part for name, kernel in named for part in (_definition(kernel, name), _binding(kernel, name))]
    unit = "\n".join([*parts, _definition(last, "kernel")])
    own = CppPythonBindingsCodeCache.load_pybinding(list(last.argument_types), unit)
    library = own.__self__.__file__
    return [*(_loaded(library, name) for name, _ in named), own]


def _definition(kernel: Kernel, name: str) -> str:
    return NAMED.sub(rf"\1{name}", kernel.source.replace(HEADER, ""))


def _binding(kernel: Kernel, name: str) -> str:
    """Inductor's own text that makes a Python module of the function, in a namespace of its own."""
    made = CppPythonBindingsCodeCache
    parsed = ", ".join(
        f"parse_arg<{kind.replace('const ', '')}>(args, {place})"
        for place, kind in enumerate(kernel.argument_types)
    )
    called = made.call_entry_function.format(parsed).replace("kernel(", f"{name}(", 1)
    text = made.suffix_template.format(
        arg_len=len(kernel.argument_types), call_entry_func=called, entry_func=name, extra_parse_arg=""
    )
    return f"namespace of_{name} {{\n{text}\n}}"


def _loaded(library: str, name: str) -> Function:
    """The function out of its Python module: a library may hold several."""
    spec = importlib.util.spec_from_file_location(name, library)
    assert spec is not None, f"{library} is not a Python module"
    assert spec.loader is not None, f"nothing loads {library}"
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function: Function = getattr(module, name)
    return function
