"""Why a smaller form of a graph is not used."""


class Refused(Exception):
    """This graph cannot have this form.

    The message is the reason, the same in every run, for the manifest. `detail` is for the log.
    """

    def __init__(self, reason: str, *, detail: str = "") -> None:
        super().__init__(reason)
        self.detail = detail
