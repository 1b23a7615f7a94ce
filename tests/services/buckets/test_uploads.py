"""Large files in parts, as boto3 sees them."""

import asyncio
import os
from pathlib import Path

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from tests.services.buckets.conftest import Clients
from tests.services.buckets.s3 import code, md5, new_bucket

MIB = 1 << 20


async def test_large_files_go_up_in_parts_and_come_down_in_ranges(s3: Clients, tmp_path: Path) -> None:
    def use() -> None:
        api = new_bucket(s3())
        body = os.urandom(11 * MIB + 3)
        (tmp_path / "up").write_bytes(body)
        config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
        api.upload_file(
            str(tmp_path / "up"), "code", "big.zip", {"Metadata": {"kind": "code"}}, Config=config
        )
        head = api.head_object(Bucket="code", Key="big.zip")
        parts = [body[at : at + 5 * MIB] for at in range(0, len(body), 5 * MIB)]
        together = b"".join(md5(part) for part in parts)
        assert head["ETag"] == f'"{md5(together).hex()}-3"'
        assert head["Metadata"] == {"kind": "code"}
        api.download_file("code", "big.zip", str(tmp_path / "down"), Config=config)
        assert (tmp_path / "down").read_bytes() == body

    await asyncio.to_thread(use)


async def test_parts_are_checked_and_can_be_given_up(s3: Clients) -> None:
    def use() -> None:
        api = new_bucket(s3())

        def begin() -> dict[str, str]:
            made = api.create_multipart_upload(Bucket="code", Key="k")
            return {"Bucket": "code", "Key": "k", "UploadId": made["UploadId"]}

        upload = begin()
        tags = [
            api.upload_part(**upload, PartNumber=number, Body=body)["ETag"]
            for number, body in ((2, b"world"), (1, b"old"), (1, b"hello "))
        ]
        listed = api.list_parts(**upload)
        assert [(part["PartNumber"], part["Size"]) for part in listed["Parts"]] == [(1, 6), (2, 5)]
        paged = api.get_paginator("list_parts").paginate(**upload, PaginationConfig={"PageSize": 1})
        assert [part["PartNumber"] for page in paged for part in page["Parts"]] == [1, 2]

        first, second = {"PartNumber": 1, "ETag": tags[2]}, {"PartNumber": 2, "ETag": tags[0]}
        for wanted, error in (
            ([second, first], "InvalidPartOrder"),
            ([first, first], "InvalidPartOrder"),
            ([first | {"ETag": tags[1]}], "InvalidPart"),
            ([first, second | {"PartNumber": 3}], "InvalidPart"),
            ([], "MalformedXML"),
        ):
            with pytest.raises(ClientError) as refused:
                api.complete_multipart_upload(**upload, MultipartUpload={"Parts": wanted})
            assert code(refused) == error
        with pytest.raises(ClientError) as elsewhere:
            api.list_parts(**upload | {"Key": "other"})
        assert code(elsewhere) == "NoSuchUpload"
        for number in (0, 10_001):
            with pytest.raises(ClientError) as out_of_range:
                api.upload_part(**upload, PartNumber=number, Body=b"")
            assert code(out_of_range) == "InvalidArgument"

        api.complete_multipart_upload(**upload, MultipartUpload={"Parts": [first, second]})
        assert api.get_object(Bucket="code", Key="k")["Body"].read() == b"hello world"
        for gone in (upload, begin()):
            if gone is not upload:
                api.upload_part(**gone, PartNumber=1, Body=b"x")
                api.abort_multipart_upload(**gone)
            for call in (api.list_parts, api.abort_multipart_upload):
                with pytest.raises(ClientError) as missing:
                    call(**gone)
                assert code(missing) == "NoSuchUpload"

    await asyncio.to_thread(use)


async def test_no_bytes_are_left_behind(s3: Clients, tmp_path: Path) -> None:
    def use() -> None:
        api = new_bucket(s3())
        api.put_object(Bucket="code", Key="k", Body=b"one")
        api.put_object(Bucket="code", Key="k", Body=b"two")
        for finish in (True, False):
            upload = {"Bucket": "code", "Key": "k"}
            upload["UploadId"] = api.create_multipart_upload(**upload)["UploadId"]
            api.upload_part(**upload, PartNumber=1, Body=b"unused")
            part = api.upload_part(**upload, PartNumber=1, Body=b"three")
            wanted = [{"PartNumber": 1, "ETag": part["ETag"]}]
            if finish:
                api.complete_multipart_upload(**upload, MultipartUpload={"Parts": wanted})
        assert len(blob_files(tmp_path)) == 2
        api.delete_object(Bucket="code", Key="k")
        api.delete_bucket(Bucket="code")
        assert blob_files(tmp_path) == []

    await asyncio.to_thread(use)


def blob_files(folder: Path) -> list[Path]:
    return [path for path in (folder / "blobs").rglob("*") if path.is_file()]
