"""Documents about figures are jinja2 templates beside the module that fills them."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from decant.figures import figure_text


def template_environment(folder: Path) -> Environment:
    """Templates of a folder, with the functions of `figure_text` as filters.

    A name that is not given is an error. Only `.html.j2` escapes what is inserted.
    """
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=select_autoescape(enabled_extensions=("html.j2",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for function in (
        figure_text.share,
        figure_text.share_range,
        figure_text.points,
        figure_text.points_range,
        figure_text.megabytes,
        figure_text.thread_count,
        figure_text.times,
        figure_text.times_range,
        figure_text.one_line,
    ):
        environment.filters[function.__name__] = function
    return environment


def render_lines(environment: Environment, template: str, **values: object) -> list[str]:
    """The lines of a template that are not empty."""
    return [line for line in environment.get_template(template).render(values).split("\n") if line]
