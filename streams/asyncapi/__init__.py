"""The whole contract as an AsyncAPI 3 document, made from the code: what lies on which topic, in which form, for whom."""

from streams.asyncapi.document import Document, document
from streams.asyncapi.yaml import yaml

__all__ = ["Document", "document", "yaml"]
