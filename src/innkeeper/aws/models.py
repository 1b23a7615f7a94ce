"""The AWS service models that botocore ships, loaded when first asked for and then kept."""

from functools import cache

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel

AGENTCORE = ("bedrock-agentcore", "bedrock-agentcore-control")


@cache
def service_model(name: str) -> ServiceModel:
    """The newest model of a service by botocore's name for it, such as `bedrock-agentcore-control`."""
    return ServiceModel(Loader().load_service_model(name, "service-2"), name)


def operations(model: ServiceModel) -> list[OperationModel]:
    return [model.operation_model(name) for name in model.operation_names]


def is_streaming(operation: OperationModel) -> bool:
    """Whether the answer is a stream, so that a caller who leaves ends the work."""
    return bool(operation.has_streaming_output or operation.has_event_stream_output)
