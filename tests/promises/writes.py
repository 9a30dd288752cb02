"""Trace a prediction's system calls: none opens a file for writing, makes, renames, or removes one.

    python -m tests.promises.writes --count 16

Each example, in turn, by the installed command under strace, with no HOME, in a folder and on file systems that cannot be
written: a mount namespace in which every one of them is read-only (where the kernel lets us make it, else without). Only
/dev/null is opened for writing: the library's chatter is sent there. Python's bytecode was made before, as pip makes it.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

from tests.promises.asking import COMMAND, Tally, ask, environment, examples, flags

# Every call that changes a file system by its nature; an open does if it may write or make the file.
CHANGES = "creat,mkdir,mkdirat,mknod,mknodat,rename,renameat,renameat2,unlink,unlinkat,rmdir,link,linkat,symlink,symlinkat"
CHANGES += ",truncate,ftruncate,fallocate,chmod,fchmod,fchmodat,chown,fchown,lchown,fchownat,utimensat,setxattr,fsetxattr,mount"
OPENS = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND|O_TMPFILE")
READ_ONLY = "mount --make-rprivate / && for m in $(awk '{print $2}' /proc/mounts); do mount -o remount,ro,bind $m; done 2>&-; "
READ_ONLY += '! touch "$0" 2>&- && exec "$@"'


def main() -> int:
    given = flags("writes", __doc__, count=16, seed=None).parse_args()
    if not shutil.which("strace"):
        print("strace is not installed: apt-get install strace", file=sys.stderr)
        return 69
    tally, pictures = Tally(), list(examples())
    n_calls = 0
    with tempfile.TemporaryDirectory() as scratch:
        surroundings = environment(scratch)
        ask([COMMAND, *(path for path, _ in pictures)], surroundings)  # the bytecode is made
        mount = shutil.which("unshare")
        inside = [mount, "--mount", "sh", "-c", READ_ONLY, os.path.join(scratch, "probe")] if mount else []
        read_only = bool(inside) and subprocess.run([*inside, "true"], capture_output=True, check=False).returncode == 0
        for number in range(given.count):
            path, wanted = pictures[number % len(pictures)]
            # The trace goes to a descriptor that is open already: it could not be made in there.
            with tempfile.TemporaryFile() as trace:
                os.set_inheritable(trace.fileno(), True)
                strace = [shutil.which("strace"), "-f", "-qq", "-e", f"trace=open,openat,openat2,{CHANGES}", "-o"]
                argv = [*(inside if read_only else []), *strace, f"/proc/self/fd/{trace.fileno()}", COMMAND, path]
                ended = ask([shutil.which(argv[0]), *argv[1:]], surroundings)
                trace.seek(0)
                calls = trace.read().decode().splitlines()
            tally.add(ended, "traced")
            n_calls += len(calls)
            if ended.code or not ended.out.startswith(f"{path}: {wanted} (") or len(calls) < 20:
                tally.broken.append(f"{path}: {ended}, {len(calls)} calls traced")
            tally.broken += [f"{path}: {call}" for call in calls if _changes(call)]
    where = "every file system read-only" if read_only else "on file systems as they are: no mount namespace here"
    return tally.tell(f"{given.count} predictions, {n_calls:,} calls that open or change, looked at one by one; {where}")


def _changes(call: str) -> bool:
    name = re.sub(r"^\d+ +", "", call).partition("(")[0]
    return name in CHANGES.split(",") or (name.startswith("open") and bool(OPENS.search(call)) and '"/dev/null"' not in call)


if __name__ == "__main__":
    sys.exit(main())
