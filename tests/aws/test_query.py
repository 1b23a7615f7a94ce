"""Forms that are odd, or wrong."""

import pytest

from innkeeper.aws.models import service_model
from innkeeper.aws.query import QueryProtocol
from innkeeper.aws.request import SignedRequest
from innkeeper.kernel.call import Document
from innkeeper.kernel.errors import InvalidRequest

CODEC = QueryProtocol(service_model("iam"))


def read(form: str, query: bytes = b"") -> Document:
    match = CODEC.match(SignedRequest("POST", "/", query, {}), form.encode())
    assert match is not None
    return match.decode(form.encode())


def test_lists_are_in_the_order_of_their_numbers() -> None:
    tags = "&".join(f"Tags.member.{n}.Key=k{n}&Tags.member.{n}.Value=" for n in (10, 9, 2))
    tagged = read(f"Action=TagRole&RoleName=r&{tags}")
    assert [tag["Key"] for tag in tagged["Tags"]] == ["k2", "k9", "k10"]


def test_fields_may_come_in_the_query_string() -> None:
    assert read("", b"Action=GetRole&Version=2010-05-08&RoleName=a%2Bb") == {"RoleName": "a+b"}


def test_unknown_fields_are_ignored() -> None:
    odd = f"..=1&Tags.member.x.Key=1&Tags.member.{'1' * 5000}.Key=1&{'a.' * 5000}=1&RoleName.=1"
    assert read(f"Action=GetRole&RoleName=r&{odd}") == {"RoleName": "r"}


def test_members_are_checked() -> None:
    with pytest.raises(InvalidRequest, match="Value at 'RoleName' failed"):
        read("Action=GetRole&RoleName=not/one")
    with pytest.raises(InvalidRequest, match=r"'Tags.1.member.Key' failed .*must not be null"):
        read("Action=TagRole&RoleName=r&Tags.member.1.Value=v")
    with pytest.raises(InvalidRequest, match=r"'MaxItems' failed .*must be an integer"):
        read("Action=ListRoles&MaxItems=many")


def test_what_is_no_form() -> None:
    for form in ("Action=GetRole&é=1", "&".join(["a=1"] * 10_001)):
        with pytest.raises(InvalidRequest, match="form fields"):
            read(form)


def test_an_unknown_action_is_no_operation() -> None:
    for form in ("Action=FlyAway", "", "Action.x=GetRole"):
        assert CODEC.match(SignedRequest("POST", "/", b"", {}), form.encode()) is None
