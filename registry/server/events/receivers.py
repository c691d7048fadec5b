"""Who receives: the webhooks of MLflow's registry, read when they are needed, so changes take effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.fernet import InvalidToken
from mlflow.environment_variables import MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY
from mlflow.store.model_registry.dbmodels.models import SqlWebhook
from sqlalchemy import select

from registry.sender import Receiver, UndeliveredError

if TYPE_CHECKING:
    from sqlalchemy import Engine


def find_receiver(engine: Engine, webhook_id: str) -> Receiver:
    """Read a webhook as it is now.

    Raises `UndeliveredError` where it is no longer there, or its secret cannot be decrypted.
    """
    query = select(SqlWebhook.url, SqlWebhook.secret).where(
        SqlWebhook.webhook_id == webhook_id, SqlWebhook.deleted_timestamp.is_(None)
    )
    with engine.connect() as connection:
        try:
            row = connection.execute(query).one_or_none()
        except InvalidToken as error:
            name = MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY.name
            raise UndeliveredError(
                f"The webhook's secret cannot be decrypted; expected {name} to be set, and to be the same"
                " as when the secret was entered. Set it for every process of the server, or enter the"
                " secret anew."
            ) from error
    if row is None:
        raise UndeliveredError("The webhook was deleted.")
    return Receiver(row.url, row.secret)
