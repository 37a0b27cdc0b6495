"""own_mounts - main() of tests that mount something: as root, in a mount namespace of their own."""
import os
import subprocess
import sys

import suite


def main(run, what):
    """Plays run(build), which returns (passed, failed). `what` says for what root is needed."""
    build = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else os.path.join(suite.TOP, "build")
    passed, failed = 0, 1
    if os.geteuid() != 0:
        print("FAILED  %s needs root" % what)
    elif "GH_E2E_NAMESPACE" not in os.environ:
        os.environ["GH_E2E_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "-m", "--propagation", "private", sys.executable, sys.argv[0], build])
    else:
        try:
            passed, failed = run(build)
        except (suite.Failed, OSError, subprocess.SubprocessError) as e:
            print("FAILED  %s" % e)
    print("%d passed, %d failed" % (passed, failed))
    sys.exit(1 if failed else 0)
