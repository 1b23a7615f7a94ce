"""The operations of `bedrock-runtime` that the gateway answers."""

from typing import NoReturn

from innkeeper.kernel.call import Call, Document
from innkeeper.kernel.errors import InvalidRequest
from innkeeper.services.model_gateway.service import ModelGateway


class ModelGatewayOperations:
    def __init__(self, gateway: ModelGateway) -> None:
        self._gateway = gateway

    async def converse(self, call: Call, params: Document) -> Document:
        return await self._gateway.converse(call, params["modelId"], _request(params))

    async def converse_stream(self, call: Call, params: Document) -> Document:
        return {"stream": await self._gateway.converse_stream(call, params["modelId"], _request(params))}

    async def invoke_model(self, call: Call, params: Document) -> Document:
        _use_converse()

    async def invoke_model_with_response_stream(self, call: Call, params: Document) -> Document:
        _use_converse()


def _request(params: Document) -> Document:
    return {name: value for name, value in params.items() if name != "modelId"}


def _use_converse() -> NoReturn:
    raise InvalidRequest(
        "InvokeModel bodies differ from model to model and are not translated: use Converse or ConverseStream"
    )
