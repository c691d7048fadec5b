"""Spelling: a draft as the files that a person goes on from, with what to review beside each choice. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import yaml

from projects.drafts.drafting import HELD_OUT
from projects.rows.sources import PARTITION

if TYPE_CHECKING:
    from expectations import ColumnFacts
    from projects.drafts.drafting import Draft

_LISTED = 6
_METRICS = {
    "binary:logistic": "[auc, log_loss, brier, calibration_error]",
    "reg:squarederror": "[rmse, mae, bias, r2]",
}

_SEARCHED = {"binary:logistic": "log_loss", "reg:squarederror": "rmse"}


def spell_package(draft: Draft) -> str:
    """Return the project's `__init__.py`."""
    return f'"""{draft.name}: {_sentence(draft)}"""\n'


def spell_project(draft: Draft) -> str:
    """Return the project's `project.yaml`."""
    left_out = "".join(f"  # {_word(c)} is left out: it {why}\n" for c, why in draft.left_out.items())
    features = "".join(
        f"  {_word(name)}: {kind}  # {_seen(draft.facts.columns[name])}\n"
        for name, kind in draft.features.items()
    )
    return f"""\
# What is trained, on what, and when it is good enough. Read by `projects/declaration.py`.
# Drafted from {draft.facts.rows:,} rows; what says "Review" is for someone who knows them to decide.
model: {draft.model}
description: {_word(_sentence(draft))}

limits:  # Review: what the model was never shown, and must not be asked. It stands on the model card.
  - Drafted from the data alone; nobody has said yet what this model must not be used for.

# Relative to GREENROOM_DATA, unless it begins with s3://. The label lies with the features.
sources:
  features: {_word(draft.location)}
row_key: {_word(draft.key)}
label: {_word(draft.label)}

# Raw columns, as the client sends them.
# Review: is each one known when the model is asked? What is known only afterwards gives the label away.
features:
{features}{left_out}
{_split(draft)}
objective: {draft.objective}
rounds: 100
seed: 1
parameters:  # Review: modest ones, to begin with
  max_depth: 4
  learning_rate: 0.1
  min_child_weight: 5
  subsample: 0.8
  colsample_bytree: 0.8

# What `-e tune` tries, on rows of training that are held back for it.
search:
  metric: {_SEARCHED[draft.objective]}
  trials: 30
  rounds: 400  # at most; a trial ends `patience` rounds after its best one
  patience: 20
  space:
    max_depth: {{from: 3, to: 9}}
    learning_rate: {{from: 0.03, to: 0.3, scale: log}}
    min_child_weight: {{from: 1, to: 100, scale: log}}
    subsample: {{from: 0.5, to: 1.0}}
    colsample_bytree: {{from: 0.4, to: 1.0}}

metrics: {_METRICS[draft.objective]}
slices: [{", ".join(_slices(draft))}]  # Review: for whom may the model not be worse?
{_gates(draft)}"""


def spell_job(draft: Draft) -> str:
    """Return the file of the project's batch job."""
    parted = any("/date=" in batch.name for batch in draft.facts.batches)
    without = "" if parted else "  # Review: no such folders are there yet; deliver a day's rows in one"
    return f"""\
# Scores one day of {draft.name}. Read by `batch_jobs/job.py`; locations are relative to GREENROOM_DATA.
model: models:/{draft.model}/Production
input: {_word(draft.location + "/date={date}")}{without}
output: {draft.name}/predictions
row_key: [{_word(draft.key)}]
suites:
  input: {draft.name}/input
  predictions: {draft.name}/predictions
limits:
  quarantined_share: 0.2  # Review: more bad rows than this, and nothing of the day is published
"""


def _sentence(draft: Draft) -> str:
    # Behind a docstring's quotes: a name cannot end it.
    label = " ".join(draft.label.replace('"', "'").replace("\\", "/").split())
    if draft.objective == "binary:logistic":
        return f"Probability that {label} is 1."
    return f"The number {label}."


def _split(draft: Draft) -> str:
    if draft.window is None:
        return (
            f"held_out: {HELD_OUT}  # rows know no time: this share of the row keys is kept for validation\n"
            "# Review: if they know one, `time`, `window` and `validation_days` judge more honestly.\n"
        )
    what = "the partition" if draft.time == PARTITION else "a column of the rows"
    return (
        f"time: {_word(draft.time or '')}  # {what}\n"
        f"window:\n  since: {draft.window.since}\n  until: {draft.window.until}\n"
        f"validation_days: {draft.validation_days}  # from the day after the window: all days that are left\n"
    )


def _slices(draft: Draft) -> list[str]:
    columns = [draft.facts.columns[name] for name, kind in draft.features.items() if kind == "category"]
    return [_word(c.name) for c in columns if c.values is not None and len(c.values) <= _LISTED][:2]


def _gates(draft: Draft) -> str:
    lines = ["gates:  # Review: the data can only say that it is no worse; add what the use of it needs"]
    on = ""
    if draft.is_judged_on_values:
        lines.append(f"  # {draft.validation_days} days are too few for an interval: the values alone decide")
        on = ", on: value"
    if draft.objective == "binary:logistic":
        lines.append(f"  - {{metric: auc, at_least: 0.5{on}}}  # better than a coin")
        compared = ["auc", "log_loss"]
    else:
        lines.append(f"  - {{metric: r2, at_least: 0{on}}}  # better than always saying the mean")
        compared = ["r2"]
    lines += [f"  - {{metric: {metric}, worse_than_champion_by_at_most: 0.01{on}}}" for metric in compared]
    lines.append("  - {quality: leakage, at_most: 0.99}  # 1: a feature orders the rows as the label does")
    return "\n".join(lines) + "\n"


def _seen(column: ColumnFacts) -> str:
    if column.kind == "number" and column.low is not None:
        said = f"{column.low:.6g} to {column.high:.6g}"
    elif column.values is not None and len(column.values) <= _LISTED:
        said = ", ".join(sorted(repr(value)[:30] for value in column.values))
    else:
        said = f"about {column.distinct:,.0f} values" if column.distinct else "values"
    return said + (f"; null in {column.missing / column.rows:.1%} of the rows" if column.missing else "")


def _word(text: str) -> str:
    """Quote a text as YAML needs it, on one line."""
    plain = yaml.safe_dump(text, width=float("inf"), allow_unicode=True).removesuffix("\n...\n").rstrip("\n")
    # JSON is YAML, and keeps a line break within its line.
    return json.dumps(text) if "\n" in plain else plain
