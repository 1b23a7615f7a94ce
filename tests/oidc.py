"""A token issuer that really listens on this machine, for tests of everything that takes bearer tokens.

async with Issuer() as issuer:
    token = issuer.token(aud="my-runtime", client_id="web", scope="invoke")
"""

import asyncio
import json
import socket
import time
from typing import Any

import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class Issuer:
    """`name` is its `iss`. What it answers can be changed: `delay_seconds`, `padding` (characters added to
    the key set), `redirect` (the key set has moved), `name`. `requests` counts what was asked, by path."""

    def __init__(self, key_id: str = "first") -> None:
        self.delay_seconds = 0.0
        self.padding = 0
        self.redirect = False
        self.requests: dict[str, int] = {}
        self.key_id = key_id
        self.private_key: PrivateKey = ec.generate_private_key(ec.SECP256R1())
        self._public: list[dict[str, Any]] = []
        self._publish()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.name = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._base = self.name
        app = Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._discovery),
                Route("/keys", self._keys),
                Route("/moved-keys", self._keys),
            ]
        )
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", ws="none"))

    @property
    def discovery_url(self) -> str:
        return f"{self._base}/.well-known/openid-configuration"

    async def __aenter__(self) -> "Issuer":
        # What `serve` does, without its signal handlers, which are the test run's own.
        self._server.config.load()
        self._server.lifespan = self._server.config.lifespan_class(self._server.config)
        await self._server.startup([self._socket])
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.force_exit = True
        await self._server.shutdown([self._socket])

    def rotate(self, key_id: str, private_key: PrivateKey | None = None) -> None:
        """Sign with another key from now on, and publish only that."""
        self.key_id = key_id
        self.private_key = private_key or ec.generate_private_key(ec.SECP256R1())
        self._publish()

    def token(self, algorithm: str | None = None, **claims: Any) -> str:
        """An access token for user `alice`, an hour long; a claim of None is left out."""
        now = int(time.time())
        all_claims = {"iss": self.name, "sub": "alice", "iat": now, "exp": now + 3600, **claims}
        stated = {name: value for name, value in all_claims.items() if value is not None}
        own = "RS256" if isinstance(self.private_key, rsa.RSAPrivateKey) else "ES256"
        return jwt.encode(stated, self.private_key, algorithm or own, headers={"kid": self.key_id})

    def _publish(self) -> None:
        if isinstance(self.private_key, rsa.RSAPrivateKey):
            public = RSAAlgorithm.to_jwk(self.private_key.public_key(), as_dict=True)
        else:
            public = ECAlgorithm.to_jwk(self.private_key.public_key(), as_dict=True)
        self._public = [{**public, "kid": self.key_id, "use": "sig"}]

    async def _discovery(self, request: Request) -> Response:
        await self._count(request)
        return JSONResponse({"issuer": self.name, "jwks_uri": f"{self._base}/keys"})

    async def _keys(self, request: Request) -> Response:
        await self._count(request)
        if self.redirect and request.url.path == "/keys":
            return RedirectResponse(f"{self._base}/moved-keys")
        document = {"keys": self._public, "padding": "x" * self.padding}
        return Response(json.dumps(document), media_type="application/json")

    async def _count(self, request: Request) -> None:
        path = request.url.path
        self.requests[path] = self.requests.get(path, 0) + 1
        await asyncio.sleep(self.delay_seconds)
