"""MLflow's model registry, with Greenroom's rules behind every write. Named by `greenroom+…` URIs.

Whatever changes a stage, the alias `production`, a tag of ours, or deletes a version comes through
here: MLflow's pages, REST, its Python client, and our own command. Prompts, which MLflow keeps as
registered models, are left alone.
"""

from __future__ import annotations

import os
import re
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from mlflow import MlflowClient
from mlflow.entities.model_registry.model_version_stages import get_canonical_stage
from mlflow.exceptions import MlflowException
from mlflow.prompt.constants import IS_PROMPT_TAG_KEY
from mlflow.protos.databricks_pb2 import INVALID_STATE
from mlflow.store.artifact.utils.models import _parse_model_uri
from mlflow.store.db.utils import _verify_schema
from mlflow.store.model_registry.dbmodels.models import SqlModelVersion, SqlModelVersionTag
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.validation import _validate_model_version

from registry.manifest import MANIFEST_TAG
from registry.policy import Act
from registry.rules import rules_of
from registry.server import artifacts, clock, decisions, identity, install, records, tables, versions
from registry.server.decisions import Asked, Refused
from registry.server.plain import PLAIN, act_of, refuse_our_tags
from registry.server.sessions import Sessions
from registry.stages import ALIAS, Stage

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersionTag

    from registry.ledger import Line
    from registry.validation import Validation

SCHEME = "greenroom+"
# What would put an artifact before clients, or ask for it.
_LOOKED_AT = (Act.REQUEST, Act.APPROVE, Act.ROLLBACK, Act.REQUEST_EXPOSURE, Act.APPROVE_EXPOSURE)
_VERSION_URI = re.compile(r"models:/[^/@]+/[0-9]+")
# Its alias `production` was set by anybody.
_STAYS_A_PROMPT = "A prompt stays a prompt. Register a model under another name."


class GreenroomStore(SqlAlchemyStore):  # type: ignore[misc]  # mlflow has no types
    """MLflow's store for SQLite and PostgreSQL, in which only what the rules allow can happen."""

    def __init__(self, store_uri: str) -> None:
        super().__init__(store_uri.removeprefix(SCHEME))
        _verify_schema(self.engine)
        self.rules = rules_of(os.environ)
        if install.is_untouched(self.engine):
            install.install(self.engine, clock.stamp(clock.now()))
        problems = install.find_problems(self.engine)
        if problems:
            raise MlflowException(
                f"Greenroom is not whole in this database: {' '.join(problems)} Run: python -m registry init"
                f" {self.engine.url.render_as_string(hide_password=True)}",
                INVALID_STATE,
            )
        self.sessions = Sessions(self.ManagedSessionMaker)
        self.ManagedSessionMaker: Any = self.sessions

    # Decisions

    def decide(self, asked: Asked) -> list[Line]:
        """Do what the caller asks, or raise `Refused`. The answer to the same attempt is the same."""
        actor = identity.actor(self.rules.reviewer_role)
        if asked.act in _LOOKED_AT:
            asked = self._looked_at(asked)
        with self.sessions.deciding() as session:
            written = decisions.decide(session, asked, actor, self.rules)
            if asked.act is Act.DELETE:
                super().delete_model_version(asked.model, str(asked.version))
        return written

    def roll_back(self, model: str, version: int | None, reason: str, attempt: str) -> list[Line]:
        """Put a version back in Production; without a number the one before."""
        with self.sessions() as session:
            done = tables.of_attempt(session, attempt)
            number = version or (done[-1].version if done else versions.version_before(session, model))
        return self.decide(Asked(Act.ROLLBACK, model, number, reason, attempt))

    def validate(self, model: str, version: int, verdict: Validation, attempt: str) -> list[Line]:
        """Write a verdict down under the caller's login; the newest one counts.

        A version that was registered before its artifact was there gets its digest now.
        """
        by = identity.login()
        with self.sessions() as session:
            found = versions.read_version(session, model, version)
            since = records.first_registered(session, verdict.digest)
        late = None if found.standing.digest else artifacts.fix(found.location)
        weakness = records.weakness(verdict, since)
        with self.sessions.deciding() as session:
            return records.judged(session, found, verdict, by, attempt, late=late, weakness=weakness)

    # MLflow's own interface

    def create_model_version(  # noqa: PLR0913, PLR0917  # MLflow's
        self,
        name: str,
        source: str,
        run_id: str | None = None,
        tags: list[ModelVersionTag] | None = None,
        run_link: str | None = None,
        description: str | None = None,
        local_model_path: str | None = None,
        model_id: str | None = None,
    ) -> Any:
        """Register a version: its author is the login, its manifest what the server reads."""
        if _VERSION_URI.fullmatch(source):
            # MLflow's client copies a version with its tags; the manifest is read anew.
            tags = [tag for tag in tags or () if tag.key != MANIFEST_TAG]
        refuse_our_tags(f"The registration of {name}", (tag.key for tag in tags or ()))
        author = identity.login()
        given = (name, source, run_id, tags, run_link, description, local_model_path, model_id)
        is_prompt_version = any(tag.key == IS_PROMPT_TAG_KEY for tag in tags or ())
        if self._is_prompt(name) or is_prompt_version:
            if not (self._is_prompt(name) and is_prompt_version):
                raise Refused(
                    f"The registration of {name}", ("A prompt holds no models, a model no prompts.",)
                )
            return super().create_model_version(*given)
        # Read before the lock is taken: an artifact may be large.
        artifact = artifacts.fix(self._location(source))
        with self.sessions.deciding() as session:
            created = super().create_model_version(*given)
            session.flush()
            number = int(created.version)
            records.registered(session, name, number, author, artifact)
            return super().get_model_version(name, str(number))

    def transition_model_version_stage(
        self,
        name: str,
        version: str,
        stage: str,
        archive_existing_versions: bool,  # noqa: FBT001  # MLflow's
    ) -> Any:
        """Change a stage as MLflow's client asks for it: each change is one of Greenroom's acts."""
        to, number = Stage(get_canonical_stage(stage)), _validate_model_version(version)
        action = f"The move of {name} version {number} to {to}"
        with self.sessions() as session:
            decisions.refuse_prompt(session, name, action)
            found = versions.read_version(session, name, number)
            staged = [
                row.version
                for row in session.execute(
                    sa.select(SqlModelVersion.version).where(
                        SqlModelVersion.name == name, SqlModelVersion.current_stage == Stage.STAGING
                    )
                )
                if row.version != number
            ]
        if found.stage is not to:
            if to is Stage.STAGING and archive_existing_versions and staged:
                raise Refused(
                    action,
                    ("It would archive what waits for a review; ask without archive_existing_versions.",),
                )
            act = act_of(action, found, to, self.rules)
            self.decide(Asked(act, name, number, PLAIN, str(uuid.uuid4())))
        return self.get_model_version(name, version)

    def delete_model_version(self, name: str, version: str) -> None:
        """Delete a version that is not on stage; the ledger keeps what happened to it."""
        if self._is_prompt(name):
            super().delete_model_version(name, version)
        else:
            number = _validate_model_version(version)
            self.decide(Asked(Act.DELETE, name, number, PLAIN, str(uuid.uuid4())))

    def delete_registered_model(self, name: str) -> None:
        """Delete a model, none of whose versions is on stage."""
        actor = identity.actor(self.rules.reviewer_role)
        with self.sessions.deciding() as session:
            if self._is_prompt(name):
                # Its versions first: a guard keeps the tag of a prompt for as long as it has any.
                for table in (SqlModelVersionTag, SqlModelVersion):
                    gone = sa.delete(table).where(table.name == name)
                    session.execute(gone.execution_options(synchronize_session=False))
            else:
                for number in versions.numbers_of(session, name):
                    asked = Asked(Act.DELETE, name, number, PLAIN, f"{uuid.uuid4()}")
                    decisions.decide(session, asked, actor, self.rules)
            super().delete_registered_model(name)

    def rename_registered_model(self, name: str, new_name: str) -> Any:
        """Rename a model that has no versions yet: its history stands under its name."""
        with self.sessions.deciding() as session:
            if not self._is_prompt(name) and versions.numbers_of(session, name):
                raise Refused(
                    f"The renaming of {name}",
                    ("Its history stands under its name. Register under a new one.",),
                )
            return super().rename_registered_model(name, new_name)

    def create_registered_model(
        self, name: str, tags: Any = None, description: Any = None, deployment_job_id: Any = None
    ) -> Any:
        """Create a model, as MLflow does."""
        refuse_our_tags(f"The creation of {name}", (tag.key for tag in tags or ()))
        return super().create_registered_model(name, tags, description, deployment_job_id)

    def set_registered_model_tag(self, name: str, tag: Any) -> None:
        """Set a tag, but none that would take the model out of review."""
        refuse_our_tags(f"The tag {tag.key} of {name}", [tag.key])
        if tag.key == IS_PROMPT_TAG_KEY and not self._is_prompt(name):
            raise Refused(f"The tag {tag.key} of {name}", ("A model is made a prompt when it is created.",))
        if tag.key == IS_PROMPT_TAG_KEY and str(tag.value).lower() != "true":
            raise Refused(f"The tag {tag.key} of {name}", (_STAYS_A_PROMPT,))
        super().set_registered_model_tag(name, tag)

    def delete_registered_model_tag(self, name: str, key: str) -> None:
        """Delete a tag that is not Greenroom's."""
        refuse_our_tags(f"The tag {key} of {name}", [key])
        if key == IS_PROMPT_TAG_KEY and self._is_prompt(name):
            raise Refused(f"The tag {key} of {name}", (_STAYS_A_PROMPT,))
        super().delete_registered_model_tag(name, key)

    def set_model_version_tag(self, name: str, version: str, tag: Any) -> None:
        """Set a tag that is not Greenroom's."""
        refuse_our_tags(f"The tag {tag.key} of {name} version {version}", [tag.key])
        super().set_model_version_tag(name, version, tag)

    def delete_model_version_tag(self, name: str, version: str, key: str) -> None:
        """Delete a tag that is not Greenroom's."""
        refuse_our_tags(f"The tag {key} of {name} version {version}", [key])
        super().delete_model_version_tag(name, version, key)

    def set_registered_model_alias(self, name: str, alias: str, version: str) -> None:
        """Set an alias other than `production`."""
        self._refuse_alias(name, alias)
        super().set_registered_model_alias(name, alias, version)

    def delete_registered_model_alias(self, name: str, alias: str) -> None:
        """Delete an alias other than `production`."""
        self._refuse_alias(name, alias)
        super().delete_registered_model_alias(name, alias)

    # What they share

    def _location(self, source: str) -> str:
        # Where MLflow will say that the artifact lies.
        if not source.startswith("models:/"):
            return source
        named = _parse_model_uri(source)
        if named.model_id is not None:
            return str(MlflowClient().get_logged_model(named.model_id).artifact_location)
        return str(self.get_model_version_download_uri(named.name, named.version))

    def _looked_at(self, asked: Asked) -> Asked:
        with self.sessions() as session:
            found = versions.read_version(session, asked.model, asked.version)
        artifact = found.standing.artifact
        if not artifact:
            return asked
        return replace(asked, obstacle=artifacts.obstacle(found.location, artifact["manifest"]))

    def _is_prompt(self, name: str) -> bool:
        with self.sessions() as session:
            return versions.is_prompt(session, name)

    def _refuse_alias(self, name: str, alias: str) -> None:
        if alias.lower() == ALIAS and not self._is_prompt(name):
            raise Refused(
                f"The alias {alias} of {name}",
                ("It follows the stage Production and is never set by itself.",),
            )
