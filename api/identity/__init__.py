"""Who asks, and what he may do: people by session, programs by token, this machine by the home's token."""

from api.identity.principal import OPERATE, OWN, READ, Principal, Role

__all__ = ["OPERATE", "OWN", "READ", "Principal", "Role"]
