"""The pages of the lists of Secrets Manager. Each raises InvalidNextToken."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.kernel.call import Document
from innkeeper.kernel.errors import InvalidRequest
from innkeeper.kernel.page import Page, PageRequest
from innkeeper.services.secrets_manager import store
from innkeeper.services.secrets_manager.errors import InvalidNextToken
from innkeeper.services.secrets_manager.filters import passes
from innkeeper.services.secrets_manager.model import Secret, Version

_LOOKED_AT = 1000
"""Secrets that one page with filters goes through: where that was not all, there is a next one."""


async def secrets(connection: AsyncConnection, account: str, parameters: Document) -> Page[Secret]:
    asked, filters = _asked(parameters), parameters.get("Filters") or []
    listing = store.Listing(
        account,
        parameters.get("SortBy", "created-date"),
        parameters.get("SortOrder") == "desc",
        parameters.get("IncludePlannedDeletion", False),
    )
    most = _LOOKED_AT if filters else asked.size
    try:
        rows = await store.listed(connection, listing, asked, most + 1)
    except InvalidRequest as error:
        raise InvalidNextToken(error.message) from error
    shown: list[Secret] = []
    seen = 0
    while seen < min(len(rows), most) and len(shown) < asked.size:
        if passes(rows[seen], filters):
            shown.append(rows[seen])
        seen += 1
    if seen == len(rows):
        return Page(shown)
    return Page(shown, listing.cursor.page(PageRequest(seen), rows, key=listing.place).next_token)


async def versions(connection: AsyncConnection, secret: Secret, parameters: Document) -> Page[Version]:
    """Oldest first."""
    asked, cursor = _asked(parameters), store.VERSIONS.of(secret.arn)
    try:
        after = cursor.after(asked)
    except InvalidRequest as error:
        raise InvalidNextToken(error.message) from error
    found = await store.versions(connection, secret.arn)
    if not parameters.get("IncludeDeprecated"):
        found = [version for version in found if version.labels]
    if after:
        found = [version for version in found if _place(version) > after]
    return cursor.page(asked, found, key=_place)


def _place(version: Version) -> tuple[datetime, str]:
    return version.created_at, version.id


def _asked(parameters: Document) -> PageRequest:
    return PageRequest.of(parameters.get("MaxResults"), parameters.get("NextToken"))
