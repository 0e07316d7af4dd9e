"""The parameters and the package that would be submitted."""

from typing import Any

from decant.runtime.git_repository import commit_problem
from pipelines.kubeflow.package import Package, PackageOptions
from pipelines.preflight.check_result import Result


def check_parameters(options: PackageOptions) -> Result:
    """Raises UserError for what is wrong with them; sources are looked for with the package."""
    from pipelines.arguments import pipeline_arguments

    arguments = pipeline_arguments(
        options.params, options.overrides, place=lambda params: (params, {})
    )
    steps = sum(name.endswith("_params") for name in arguments)
    return Result(
        name="parameters", status="ok", detail=f"{options.params}: {steps} steps, all valid"
    )


def check_package(package: Package) -> Result:
    """Executors must not install anything when they start."""
    executors = package.documents[0]["deploymentSpec"]["executors"]
    installing = [name for name, executor in executors.items() if _installs(executor)]
    if installing:
        return Result(
            name="package",
            status="failed",
            detail=f"installs packages when it runs: {', '.join(installing)}",
            hint="leave packages_to_install out and set install_kfp_package=False",
        )
    return Result(
        name="package",
        status="ok",
        detail=f"{package.pipeline}, {len(executors)} executors, version {package.version}",
    )


def check_version_is_clean(package: Package) -> Result:
    """The version's name must lead back to a commit."""
    name = "commit"
    if "-dirty-" in package.version:
        return Result(
            name=name,
            status="warning",
            detail=f"the checkout differs from its commit: {package.version}",
            hint="commit first, so that the run can be reproduced",
        )
    if "-" not in package.version:
        problem = commit_problem()
        return Result(
            name=name,
            status="warning",
            detail="the version is named by its digest alone"
            + (f": {problem.problem}" if problem else ""),
            hint=problem.hint if problem else "compile it in a clone of the repository",
        )
    return Result(name=name, status="ok", detail=package.version.partition("-")[0])


def check_retries(package: Package) -> Result | None:
    """What the profile's retries cover; None where it has none."""
    tasks = package.documents[0]["root"]["dag"]["tasks"]
    counts = {
        name.replace("-", "_"): task["retryPolicy"]["maxRetryCount"]
        for name, task in tasks.items()
        if task.get("retryPolicy", {}).get("maxRetryCount")
    }
    if not counts:
        return None
    return Result(
        name="retries",
        status="ok",
        detail=", ".join(f"{step} {count}" for step, count in counts.items())
        + ": after a lost pod (deleted, evicted, its node gone); by the server's default not after "
        "an error of the step, which itself tries again what passes",
    )


def images_of(package: Package) -> list[str]:
    executors: dict[str, Any] = package.documents[0]["deploymentSpec"]["executors"]
    return sorted({executor["container"]["image"] for executor in executors.values()})


def _installs(executor: dict[str, Any]) -> bool:
    container = executor.get("container", {})
    words = [*container.get("command", []), *container.get("args", [])]
    return any("pip install" in word for word in words)
