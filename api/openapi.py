"""The OpenAPI document: what the framework cannot know is put in after it has read the routes."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from litestar import Litestar
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, Schema, SecurityScheme

from kitepilot import __version__

DESCRIPTION = (
    "The control room of KitePilot. Money is integer paise, times are UTC and IST, errors are problem+json "
    "whose `code` stays, lists go on by `cursor`, commands take an `Idempotency-Key` and are followed at "
    "`/api/v1/commands/{command_id}`."
)
SECURITY = {
    "bearer": SecurityScheme(
        type="http", scheme="bearer", description="A token of a program, or the home's token."
    ),
    "session": SecurityScheme(
        type="apiKey",
        name="kitepilot",
        security_scheme_in="cookie",
        description="A person who signed in; under TLS the cookie is named `__Host-kitepilot`.",
    ),
}


def config() -> OpenAPIConfig:
    """Title, version, and the two ways to prove who one is."""
    return OpenAPIConfig(
        title="KitePilot",
        version=__version__,
        description=DESCRIPTION,
        components=Components(security_schemes=dict(SECURITY)),
        security=[{"bearer": []}, {"session": []}],
    )


def completed(app: Litestar) -> Litestar:
    """Say of each body that takes no other fields that it does not: the framework leaves it out."""
    strict = {each.__name__ for each in _strict(msgspec.Struct)}
    for schema in app.openapi_schema.components.schemas.values():
        if isinstance(schema, Schema) and schema.title in strict:
            schema.additional_properties = False
    return app


def _strict(struct: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    """Request bodies of the API that forbid unknown fields."""
    for each in struct.__subclasses__():
        if each.__module__.startswith("api.") and each.__struct_config__.forbid_unknown_fields:
            yield each
        yield from _strict(each)
