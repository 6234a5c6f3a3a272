"""What is recorded of the machine."""

import json
import re

from transfer_sweep.sweep import environment


def test_recorded_commands_name_no_folder_of_this_machine() -> None:
    typed = ["run", "/home/me/mine.yaml", "--data-root", "/data", "--results=/out", "--only", "method=tca"]
    assert environment.command(typed) == "python -m sweep run mine.yaml --only method=tca"


def test_the_record_says_what_a_reader_needs_to_repeat_the_numbers() -> None:
    record = json.loads(json.dumps(environment.record()))
    assert set(record) == {"command", "commit", "versions", "hardware"}
    assert {"python", "ray", "torch", "numpy"} <= set(record["versions"])
    assert record["hardware"]["cores"] >= 1
    assert record["commit"] is None or re.fullmatch(r"[0-9a-f]{12}(-dirty)?", record["commit"])
