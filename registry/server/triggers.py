"""A trigger, written once in SQL that SQLite and PostgreSQL read alike."""

from __future__ import annotations

from dataclasses import dataclass

# Where a refusal begins in what a database driver says; the app cuts the sentence out for the client.
MARK = "Greenroom refuses: "


@dataclass(frozen=True)
class Guard:
    """Refuses `event` on `table` where `condition` holds of the rows OLD and NEW."""

    name: str
    event: str
    table: str
    condition: str
    message: str
    # PostgreSQL sees other transactions only once they are over; it must wait for a decision under way.
    waits: bool = False
    # PostgreSQL can empty a table without deleting a row of it.
    truncate: bool = False

    @property
    def body(self) -> str:
        """What the function behind it does on PostgreSQL."""
        row = "OLD" if self.event == "DELETE" else "NEW"
        wait = "PERFORM 1 FROM greenroom_lock FOR UPDATE; " if self.waits else ""
        refuse = f"RAISE EXCEPTION '{MARK}{self.message}';"
        emptied = f"IF TG_OP = 'TRUNCATE' THEN {refuse} END IF; " if self.truncate else ""
        return f" BEGIN {emptied}{wait}IF {self.condition} THEN {refuse} END IF; RETURN {row}; END "

    def sqlite(self) -> str:
        """Return the statement that makes it on SQLite."""
        refuse = f"SELECT RAISE(ABORT, '{MARK}{self.message}');"
        return (
            f"CREATE TRIGGER {self.name} BEFORE {self.event} ON {self.table} FOR EACH ROW"
            f" WHEN {self.condition} BEGIN {refuse} END"
        )

    def postgresql(self) -> dict[str, str]:
        """Return the statements that make it on PostgreSQL, but for its function, by trigger."""
        run = f"EXECUTE FUNCTION {self.name}()"
        made = {self.name: f"BEFORE {self.event} ON {self.table} FOR EACH ROW {run}"}
        if self.truncate:
            made[f"{self.name}_all"] = f"BEFORE TRUNCATE ON {self.table} FOR EACH STATEMENT {run}"
        return {name: f"CREATE TRIGGER {name} {rest}" for name, rest in made.items()}


@dataclass(frozen=True)
class Keeper:
    """Keeps the alias `production` equal to the stage, in the statement that changes the stage."""

    name: str = "greenroom_alias_follows_stage"
    table: str = "model_versions"

    @property
    def body(self) -> str:
        """What the function behind it does on PostgreSQL."""
        return f" BEGIN IF {_TOUCHES_PRODUCTION} THEN {_FOLLOW} END IF; RETURN NULL; END "

    def sqlite(self) -> str:
        """Return the statement that makes it on SQLite."""
        return (
            f"CREATE TRIGGER {self.name} AFTER UPDATE OF current_stage ON {self.table} FOR EACH ROW"
            f" WHEN {_TOUCHES_PRODUCTION} BEGIN {_FOLLOW} END"
        )

    def postgresql(self) -> dict[str, str]:
        """Return the statement that makes it on PostgreSQL, but for its function."""
        when = f"AFTER UPDATE OF current_stage ON {self.table} FOR EACH ROW"
        return {self.name: f"CREATE TRIGGER {self.name} {when} EXECUTE FUNCTION {self.name}()"}


_TOUCHES_PRODUCTION = (
    "NEW.current_stage IS DISTINCT FROM OLD.current_stage"
    " AND 'Production' IN (NEW.current_stage, OLD.current_stage)"
)
_FOLLOW = (
    "DELETE FROM registered_model_aliases WHERE workspace = NEW.workspace AND name = NEW.name"
    " AND alias = 'production'; "
    "INSERT INTO registered_model_aliases (workspace, name, alias, version)"
    " SELECT workspace, name, 'production', version FROM model_versions"
    " WHERE workspace = NEW.workspace AND name = NEW.name AND current_stage = 'Production';"
)
