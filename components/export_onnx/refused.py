"""Why a smaller form of a graph is not taken."""


class Refused(Exception):
    """This form cannot be made of this graph.

    The message is the reason, the same in every run, for the manifest. `detail` is for the log.
    """

    def __init__(self, reason: str, *, detail: str = "") -> None:
        super().__init__(reason)
        self.detail = detail
