"""Collects the operations that services implement."""

import inspect
from collections.abc import Iterable

from botocore import xform_name

from innkeeper.aws.models import service_model
from innkeeper.kernel.call import Operation


def operations_of(model_names: Iterable[str], *services: object) -> dict[str, Operation]:
    """The services' public async methods by the AWS operation that each is named after, in snake case.

    Raises TypeError for a public async method that no operation of these models is named like, and for an
    operation that two services claim.
    """
    names = {
        xform_name(operation): operation
        for model_name in model_names
        for operation in service_model(model_name).operation_names
    }
    collected: dict[str, Operation] = {}
    for service in services:
        for name, method in inspect.getmembers(service, inspect.iscoroutinefunction):
            if name.startswith("_"):
                continue
            owner = f"{type(service).__name__}.{name}"
            if name not in names:
                raise TypeError(f"{owner} is named after no operation of {', '.join(model_names)}")
            if names[name] in collected:
                raise TypeError(f"{owner}: another service implements {names[name]} too")
            collected[names[name]] = method
    return collected
