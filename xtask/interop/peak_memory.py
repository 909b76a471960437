"""Runs a command and prints the most memory that it ever held, in KiB, on the last line of standard output.

Usage: peak_memory.py COMMAND [ARGUMENT...]
"""

import resource
import subprocess
import sys

status = subprocess.run(sys.argv[1:], check=False).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(status)
