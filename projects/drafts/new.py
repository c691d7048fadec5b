"""New projects: read what was delivered, draft a project, and write all of its files or none."""

from __future__ import annotations

import keyword
from contextlib import suppress
from typing import TYPE_CHECKING

from expectations import draft_files, infer_suites, read_facts
from projects.declaration import parse_text
from projects.drafts.drafting import draft_project
from projects.drafts.spelling import spell_job, spell_package, spell_project
from projects.errors import DeclarationError, ProjectError
from storage import data_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from projects.drafts.drafting import Draft
    from storage import Store


def new_project(  # noqa: PLR0913  # what a user said, each by its name
    name: str,
    data: str,
    *,
    label: str,
    key: str | None,
    time: str | None,
    root: Path,
    store: Store,
    environment: Mapping[str, str],
    progress: Callable[[int, int], None] = lambda *_: None,
) -> tuple[Draft, tuple[Path, ...]]:
    """Write a project, its suites and its batch job below `root`; return the draft and the files.

    Raises `DeclarationError` where the name is taken or the data allows no project, `InferenceError` where
    it has no rows; then nothing is written.
    """
    _refuse_name(name, root)
    uri = data_uri(data, environment)
    own = data_uri(name, environment)
    if f"{own}/".startswith(f"{uri}/"):
        raise DeclarationError(
            f"The data lies in {uri}, where the project would put what it makes ({own}); expected a folder of"
            f" its own. Move it to {own}/rows, or choose another name"
        )
    facts = read_facts(uri, store, label=label, progress=progress)
    draft = draft_project(name, _location(uri, environment), facts, label=label, key=key, time=time)
    suites = infer_suites(name, facts, key=draft.key, label=label, ignore=draft.ignored)
    files = {
        root / "projects" / name / "__init__.py": spell_package(draft),
        root / "projects" / name / "project.yaml": spell_project(draft),
        **draft_files(name, suites, root / "expectations"),
        root / "batch_jobs" / f"{name}.yaml": spell_job(draft),
    }
    # What would be refused at the first training is refused now.
    parse_text(name, spell_project(draft).encode())
    _write(files)
    return draft, tuple(path.relative_to(root) for path in files)


def _refuse_name(name: str, root: Path) -> None:
    if not (name.isascii() and name.isidentifier()) or keyword.iskeyword(name) or name.startswith("_"):
        raise DeclarationError(
            f"The name {name[:80]!r} is no project's; expected letters, digits and '_', as flight_delay"
        )
    folders = [f"{room}/{name}{end}" for room in ("projects", "expectations") for end in ("", ".py")]
    for taken in (*folders, f"batch_jobs/{name}.yaml"):
        if (root / taken).exists():
            raise DeclarationError(
                f"The name {name!r} is taken: {taken} is there already; choose another name"
            )


def _location(uri: str, environment: Mapping[str, str]) -> str:
    """Return a location as a project says it, so that it moves with GREENROOM_DATA where it can."""
    above = f"{environment.get('GREENROOM_DATA', '').rstrip('/')}/"
    return uri.removeprefix(above) if above != "/" else uri


def _write(files: Mapping[Path, str]) -> None:
    written = []
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            written.append(path)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        for path in reversed(written):
            path.unlink(missing_ok=True)
            # The folder of the job has others' files in it, and stays.
            with suppress(OSError):
                path.parent.rmdir()
        raise ProjectError(
            f"The project could not be written, and nothing of it is left: {error}; expected a clone of this"
            " repository that may be written to"
        ) from error
