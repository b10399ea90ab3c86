"""One world and its tasks for all tests of the room."""

from __future__ import annotations

import pytest

from precept.bundled import Tasks, World, build_tasks, build_world


@pytest.fixture(scope="session")
def world() -> World:
    return build_world(0)


@pytest.fixture(scope="session")
def tasks(world: World) -> Tasks:
    return build_tasks(world, seed=0)
