"""Runs modules of tools/ with the system's Python, which has QGIS, on a database of ours."""

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

from sqlalchemy import make_url

PYTHON = "/usr/bin/python3"
ROOT = Path(__file__).resolve().parents[1]

SERVICE = """\
[gridsvc]
host={host}
port={port}
dbname={dbname}
user={user}
"""


def run_module(module: str, *args: str, url: str) -> None:
    """Run `python3 -m module` where the service `gridsvc` is the database at `url`.

    The password goes by a file that only its owner reads: others see command lines.
    """
    parsed = make_url(url)
    with tempfile.TemporaryDirectory(prefix="gridsvc-qgis-") as folder:
        service, passwords = Path(folder, "pg_service.conf"), Path(folder, "pgpass")
        service.write_text(
            SERVICE.format(
                host=parsed.host,
                port=parsed.port,
                dbname=parsed.database,
                user=parsed.username,
            ),
            encoding="utf-8",
        )
        passwords.touch(mode=stat.S_IRUSR | stat.S_IWUSR)
        passwords.write_text(f"*:*:*:*:{parsed.password}\n", encoding="utf-8")
        environment = {
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
            "HOME": folder,
            "XDG_RUNTIME_DIR": folder,
            "QT_QPA_PLATFORM": "offscreen",
            # QGIS writes attributes in the order of hashes: with a seed of its own, each time anew.
            "QT_HASH_SEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PGSERVICEFILE": str(service),
            "PGPASSFILE": str(passwords),
        }
        ran = subprocess.run([PYTHON, "-m", module, *args], cwd=ROOT, env=environment, check=False)
    if ran.returncode:
        sys.exit(f"{module} ended with {ran.returncode}; it needs QGIS (apt: python3-qgis)")
