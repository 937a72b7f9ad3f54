"""Which vector instructions of an x86 processor compiled programs use.

Inductor compiles trial programs for every set that the processor has, ten on a recent server: twice the work
of a whole program. The further sets serve integers and half precision, which steps do not use. So the widest
set that the compiler can use is found, and no other is tried.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from unittest.mock import patch

from torch._inductor import config, cpu_vec_isa
from torch._inductor.cpu_vec_isa import VecAVX2, VecAVX512, VecISA


@contextlib.contextmanager
def one_instruction_set() -> Iterator[None]:
    """Inductor tries one set meanwhile, where the user has asked for none."""
    if os.environ.get("ATEN_CPU_CAPABILITY") or config.cpp.simdlen is not None:
        yield
        return
    with patch.object(cpu_vec_isa, "supported_vec_isa_list", _widest()):
        yield


def _widest() -> list[VecISA]:
    """The first set that the processor has and the compiler can use; else Inductor's own list."""
    has = cpu_vec_isa.x86_isa_checker()
    for instructions in (VecAVX512(), VecAVX2()):
        # their truth is whether a trial program was compiled and loaded
        if all(flag in has for flag in str(instructions).split()) and instructions:
            return [instructions]
    return list(cpu_vec_isa.supported_vec_isa_list)
