"""S3's XML documents: read from hostile hands, and written."""

import re
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

from innkeeper.services.buckets.errors import MalformedXml

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
MAX_BYTES = 4 << 20

Content = str | Mapping[str, "Content"] | Sequence["Content"]

_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class _Builder(ElementTree.TreeBuilder):
    """A document type is where entities come from; no S3 document has one."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise MalformedXml("A document type declaration is not allowed")


def parse(body: bytes, root: str) -> ElementTree.Element:
    """The document's root element, names without their namespace. Raises MalformedXml."""
    if len(body) > MAX_BYTES:
        raise MalformedXml(f"The document has more than {MAX_BYTES} bytes")
    parser = ElementTree.XMLParser(target=_Builder())  # noqa: S314 - safe by _Builder
    try:
        parser.feed(body)
        document = parser.close()
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise MalformedXml("The XML you provided was not well-formed") from error
    for element in document.iter():
        element.tag = element.tag.rpartition("}")[2]
    if document.tag != root:
        raise MalformedXml(f"The document's root must be {root}")
    return document


def render(root: str, content: Content) -> bytes:
    """A document: a mapping is an element's children, a sequence the same element again and again."""
    element = ElementTree.Element(root, xmlns=NAMESPACE)
    _fill(element, content)
    document: bytes = ElementTree.tostring(element, encoding="utf-8", xml_declaration=True)
    return document


def _fill(element: ElementTree.Element, content: Content) -> None:
    if isinstance(content, str):
        element.text = _NOT_XML.sub("\ufffd", content)
    elif isinstance(content, Mapping):
        for name, value in content.items():
            for item in [value] if isinstance(value, str | Mapping) else value:
                _fill(ElementTree.SubElement(element, name), item)
