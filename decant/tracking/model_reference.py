"""How a user names a registered model: NAME/VERSION, NAME@ALIAS, or NAME, also after `models:/`."""

import re
from dataclasses import dataclass

from decant.runtime.errors import UserError

SCHEME = "models:/"
# MLflow allows neither slash nor colon in a model's name.
_FORM = re.compile(r"(?:models:/)?(?P<name>[^/:@]+)(?:/(?P<version>\d+)|@(?P<alias>[\w-]+))?")


@dataclass(frozen=True, kw_only=True)
class ModelReference:
    """A model, and which version of it: by its number, by an alias, or, with neither, not said."""

    name: str
    version: str = ""
    alias: str = ""

    def __str__(self) -> str:
        which = f"/{self.version}" if self.version else f"@{self.alias}" if self.alias else ""
        return f"{SCHEME}{self.name}{which}"

    @property
    def says_which(self) -> bool:
        """Whether it names one version."""
        return bool(self.version or self.alias)


def parse_model(text: str) -> ModelReference:
    """Raises UserError for a text of another form."""
    match = _FORM.fullmatch(text)
    if not match:
        raise _not_a_model(text, "a registered model")
    return ModelReference(**match.groupdict(default=""))


def parse_version(text: str) -> ModelReference:
    """As `parse_model`. Raises UserError also where it does not say which version."""
    match = _FORM.fullmatch(text)
    if not match or not (match["version"] or match["alias"]):
        raise _not_a_model(text, "a version of a registered model")
    return ModelReference(**match.groupdict(default=""))


def names_version(text: str) -> bool:
    """Whether a text that may be a path too has the form of a version: `models:/...` always."""
    match = _FORM.fullmatch(text)
    return text.startswith(SCHEME) or bool(match and (match["version"] or match["alias"]))


def _not_a_model(text: str, what: str) -> UserError:
    return UserError(
        f"'{text}' does not name {what}",
        code="model-reference-invalid",
        hint="write NAME/VERSION or NAME@ALIAS, such as decant-student/3 or "
        "models:/decant-student@champion",
    )
