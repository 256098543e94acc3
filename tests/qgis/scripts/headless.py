"""QGIS without a screen, for scripts that `run_qgis` runs: JSON in, work, one JSON line out."""

import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from qgis.core import NULL, QgsApplication, QgsAuthMethodConfig
from qgis.PyQt.QtCore import QDate, QDateTime, Qt


def run(work: Callable[[Any], dict[str, Any]], *, gui: bool = True) -> NoReturn:
    """Start QGIS, do the work, answer, and leave at once.

    Leaving runs no destructors: QGIS's Python objects are known to crash in theirs, after all is
    done. What the work prints goes to standard error.

    Args:
        work: Takes what stood on standard input, gives what is to be answered.
        gui: Whether forms and widgets are wanted; they are drawn nowhere.
    """
    given = json.load(sys.stdin)
    # Qt and the libraries below it print to the descriptor; only the answer may go there.
    answer_to = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    status = 1
    try:
        QgsApplication.setPrefixPath("/usr", True)
        application = QgsApplication([], gui)
        application.initQgis()
        # The log panel's lines, which are nowhere to be seen else.
        application.messageLog().messageReceived[str, str, "Qgis::MessageLevel"].connect(
            lambda message, tag, _level: print(f"{tag}: {message}", file=sys.stderr)
        )
        print(json.dumps(work(given), ensure_ascii=False), file=answer_to)
        status = 0
    except BaseException:  # noqa: BLE001  told, and the process ends with it
        traceback.print_exc()
    answer_to.flush()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def plain(value: object) -> object:
    """Give an attribute's value as JSON has it."""
    if value is None or value == NULL:
        return None
    if isinstance(value, QDate | QDateTime):
        return value.toString(Qt.ISODateWithMs)
    return value


def keep_basic_password(password: str) -> str:
    """Keep a password for HTTP Basic in QGIS's own store; gives the id for `authcfg`."""
    manager = QgsApplication.authManager()
    manager.setMasterPassword("of this run only", True)
    config = QgsAuthMethodConfig("Basic")
    config.setName("viewer")
    config.setConfig("username", "viewer")
    config.setConfig("password", password)
    manager.storeAuthenticationConfig(config)
    return str(config.id())
