"""What kind of artifact a folder holds, and what it promises its clients. Pure, and runs nothing of it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from registry.manifest import Manifest

# The one file of code an artifact may hold; allowed by its hash, for MLflow's own doors.
LOADER = Path(__file__).with_name("greenroom_pyfunc.py")
LOADER_SHA256 = hashlib.sha256(LOADER.read_bytes()).hexdigest()

# What may go on stage, or be loaded, where the settings say so; the first is all that they say by default.
FORMATS = ("xgboost", "pyfunc")

# All that an artifact without code of its own consists of, beside its booster.
_DATA_FILES = {
    "MLmodel",
    "conda.yaml",
    "python_env.yaml",
    "requirements.txt",
    "input_example.json",
    "serving_input_example.json",
    "metadata.yaml",
}


def format_of(folder: Path, manifest: Manifest) -> str:
    """Return `xgboost` (data alone, and our loader), `pyfunc` (may bring code), or `unknown`."""
    mlmodel = read_mlmodel(folder)
    flavors = mlmodel.get("flavors", {})
    xgboost, pyfunc = flavors.get("xgboost"), flavors.get("python_function")
    if not isinstance(pyfunc, dict):
        return "unknown"
    if not isinstance(xgboost, dict) or pyfunc.get("loader_module") != LOADER.stem:
        return "pyfunc"
    allowed = {*_DATA_FILES, str(xgboost.get("data"))}
    code = {f.path: f.sha256 for f in manifest.files if f.path not in allowed}
    return "xgboost" if code == {f"code/{LOADER.name}": LOADER_SHA256} else "pyfunc"


def signature_of(folder: Path) -> dict[str, Any] | None:
    """Return the signature as plain values: `inputs` and `outputs`, lists of columns."""
    signature = read_mlmodel(folder).get("signature")
    if not isinstance(signature, dict):
        return None
    return {side: json.loads(signature.get(side) or "[]") for side in ("inputs", "outputs")}


def read_mlmodel(folder: Path) -> dict[str, Any]:
    """Read the file `MLmodel`; empty where there is none that can be read."""
    try:
        plain = yaml.safe_load((folder / "MLmodel").read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return plain if isinstance(plain, dict) else {}
