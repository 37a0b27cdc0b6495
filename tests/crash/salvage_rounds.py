#!/usr/bin/python3
"""salvage_rounds - damages many stores and looks whether everything that is left comes out: test-salvage, at length.

    salvage_rounds.py BUILDDIR [ROUNDS]
"""
import os
import subprocess
import sys
import tempfile

build, rounds = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "1000"
with tempfile.TemporaryDirectory() as place:
    done = subprocess.run([os.path.join(os.path.abspath(build), "tests", "unit", "test-salvage")], cwd=place,
                          env=dict(os.environ, GH_SALVAGE_ROUNDS=rounds, CMOCKA_MESSAGE_OUTPUT="TAP"),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
lines = done.stdout.decode("utf-8", "replace").splitlines()
passed = sum(line.startswith("ok ") for line in lines)
failed = sum(line.startswith("not ok ") for line in lines) or (done.returncode != 0)
print("\n".join(line for line in lines if line.startswith(("ok", "not ok", "#"))))
print("%d passed, %d failed" % (passed, failed))
sys.exit(1 if failed or not passed else 0)
