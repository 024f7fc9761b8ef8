"""The API against its own document, by schemathesis: what it generates is answered as the document
says, and what the document does not allow is refused."""

import json
import os
import pathlib
import subprocess

import pytest

from support import needs
from support.console import Console
from support.process import tail
from support.redrives import fail_all

TESTS = pathlib.Path(__file__).resolve().parent.parent

# Methods that the document does not name are test_console.py's: schemathesis also tries one that is
# no method to HTTP parsers of today, and wants to be told that it is not allowed there.
CHECKS = ("not_a_server_error,status_code_conformance,content_type_conformance,"
          "response_schema_conformance,negative_data_rejection,allow_header_conformance")


@pytest.mark.slow
@pytest.mark.parametrize("changes", [False, True])
def test_the_api_keeps_to_its_document(world, tmp_path, changes):
    program = needs.schemathesis()
    fail_all(world, 5)
    console = Console(tmp_path, world.gateways[0].config, allow_changes=changes,
                      allow_edits=changes,
                      gateways=[world.gateways[0].config["admin"]["listen"]]).start()
    try:
        console.wait_jobs_known()
        console.wait_letters(5)
        path = tmp_path / "openapi.json"
        path.write_text(json.dumps(console.get("/api/openapi.json")), encoding="utf-8")
        done = subprocess.run(
            [program, "run", str(path), "--url", "http://127.0.0.1:%d" % console.port,
             "--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--max-examples", "25",
             "--exclude-path", "/api/v1/events", "--request-timeout", "30", "--seed", "1",
             "--suppress-health-check", "all", "--no-color"],
            cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(TESTS),
                               "SCHEMATHESIS_HOOKS": "support.schemathesis_lines"},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
            timeout=600)
        assert done.returncode == 0, "%s\n%s" % (done.stdout[-8000:], tail(console.log))
        assert console.ask("/livez")[0] == 200
    finally:
        console.close()
