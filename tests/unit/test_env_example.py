"""`.env.example` lists every setting, with its default and nothing that is none."""

import re
from pathlib import Path

from gridsvc.settings import Settings

ENV_EXAMPLE = Path(__file__).resolve().parents[2] / ".env.example"


def test_env_example_lists_every_setting_with_its_default() -> None:
    listed = dict(re.findall(r"^# GRIDSVC_(\w+)=(.*)$", ENV_EXAMPLE.read_text(), re.MULTILINE))
    fields = Settings.model_fields
    assert {name.lower() for name in listed} == set(fields)
    for name, value in listed.items():
        default = fields[name.lower()].default
        if default is not None:
            assert value.lower() == str(default).lower()
