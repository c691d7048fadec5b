"""An Airflow DAG that catches up one job. Copy it to the DAGs folder; nothing of Greenroom is imported here.

Airflow is the clock. What is to be scored says `python -m batch_jobs`, from what lies on S3, so there is no
`catchup`: one run after a break scores all days that were missed. The command runs where the worker has a
checkout with its `.venv`, and the settings of docs/settings.md in its environment.
"""

from __future__ import annotations

import datetime as dt

import pendulum
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

CHECKOUT = "/opt/greenroom"
JOB = "flight_delay"

with DAG(
    dag_id=f"greenroom_{JOB}",
    schedule="15 6 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="America/New_York"),
    catchup=False,
    max_active_runs=1,
    tags=["greenroom"],
) as dag:
    BashOperator(
        task_id="catch_up",
        bash_command=f"exec .venv/bin/python -m batch_jobs schedule {JOB} --once",
        cwd=CHECKOUT,
        # Exit code 75 is a server that did not answer. For the others a retry is soon over: what was
        # published is nothing to do, and an unfit day is not scored again.
        retries=3,
        retry_delay=dt.timedelta(minutes=10),
        retry_exponential_backoff=True,
        execution_timeout=dt.timedelta(hours=6),
    )
