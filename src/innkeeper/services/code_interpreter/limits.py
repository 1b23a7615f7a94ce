"""What the sessions of a custom interpreter may use: its tags may say less than the operator allows."""

import math
from collections.abc import Mapping
from dataclasses import replace

from innkeeper.engines.sandbox.sandbox import Limits
from innkeeper.kernel.errors import InvalidRequest
from innkeeper.services.code_interpreter.model import invalid

CPU_TAG, MEMORY_TAG = "innkeeper:cpu-cores", "innkeeper:memory-mib"
_MEMORY_LEAST_MIB = 128


def asked(tags: Mapping[str, str], most: Limits) -> dict[str, float]:
    """The members of Limits that the tags set. Raises InvalidRequest naming the tag."""
    found: dict[str, float] = {}
    if CPU_TAG in tags:
        cores = _number(tags[CPU_TAG])
        if not 0 < cores <= most.cpu_cores:
            raise _refused(CPU_TAG, f"must be more than 0 and at most {most.cpu_cores:g}")
        found["cpu_cores"] = cores
    if MEMORY_TAG in tags:
        memory = _number(tags[MEMORY_TAG])
        if not _MEMORY_LEAST_MIB <= memory <= most.memory_mib or memory % 1:
            rule = f"must be a whole number from {_MEMORY_LEAST_MIB} to {most.memory_mib}"
            raise _refused(MEMORY_TAG, rule)
        found["memory_mib"] = int(memory)
    return found


def within(most: Limits, asked: Mapping[str, float]) -> Limits:
    """What was asked for, as far as it is still allowed."""
    return replace(
        most,
        cpu_cores=min(most.cpu_cores, asked.get("cpu_cores", math.inf)),
        memory_mib=int(min(most.memory_mib, asked.get("memory_mib", math.inf))),
    )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _refused(tag: str, rule: str) -> InvalidRequest:
    return invalid(f"tags.{tag}", rule)
