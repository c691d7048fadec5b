"""What can go wrong with an endpoint."""

from __future__ import annotations


class ServingError(Exception):
    """An endpoint, or what it is compared with, is not as it should be."""


class SettingsError(ServingError):
    """An endpoint is asked to run in a way that it cannot, or should not."""


class RoutesError(ServingError):
    """A routes file does not declare what it has to, or cannot be read."""


class AddressError(ServingError):
    """An endpoint cannot listen where it is told to."""


class EndpointUnavailableError(ServingError):
    """Nothing answers at the address. Trying again may help."""


class DifferentAnswerError(ServingError):
    """The endpoint answers, and not with the bits the batch job wrote."""
