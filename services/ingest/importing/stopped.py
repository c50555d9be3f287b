"""Why an import cannot go on."""


class ImportStoppedError(Exception):
    """The file cannot be read on, or the gateway refuses the request as a whole or stays away."""
