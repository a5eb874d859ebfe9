"""Connections to one Redis server or to the nodes of a Redis Cluster.

All keys of a partition stand in one slot, so what is done to a partition is done on one node, through a plain
connection to it: transactions, WATCH and blocking reads are the same with and without a cluster. After a `MOVED`, or
when a node does not answer, `Servers.refresh` reads the cluster's layout again.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final, cast
from urllib.parse import urlsplit

import hiredis
import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException, RedisError
from redis.retry import Retry

from features.errors import InvalidInput, StoreUnavailable

CLUSTER_SCHEME: Final = "redis+cluster"
SCHEMES: Final = ("redis", "rediss", "unix", CLUSTER_SCHEME)
CONNECT_TIMEOUT_S: Final = 2.0
ANSWER_TIMEOUT_S: Final = 5.0
#: A batch is up to 320 kB: small reads would spend the consumer's core on system calls.
READ_BYTES: Final = 1 << 18
REFRESH_S: Final = 0.2

#: What is tried again after a pause: servers that are away, full, loading, read-only or moved elsewhere.
TRANSIENT: Final = (RedisError, OSError)

Command = tuple[Any, ...]
_MORE: Final = object()


class Link:
    """One connection whose commands and replies are handled apart: many commands are sent as one write.

    redis-py connects (address, TLS, password, database); from then on bytes go straight between the socket and
    hiredis, since a partition's owner handles some 50,000 replies a second. Error replies are returned, not raised;
    a broken connection raises `redis.ConnectionError` or `TimeoutError`.
    """

    def __init__(self, connection: Any) -> None:  # of redis-py; its methods have no types
        self._connection = connection
        connection.connect()
        self._socket: socket.socket = connection._sock
        self._buffer = bytearray(READ_BYTES)
        self._reader = hiredis.Reader(
            protocolError=redis.InvalidResponse, replyError=connection._parser.parse_error, notEnoughData=_MORE
        )

    def send(self, commands: Sequence[Command]) -> None:
        """Write `commands`; as many replies must be read."""
        try:
            self._socket.sendall(b"".join([hiredis.pack_command(command) for command in commands]))
        except TimeoutError as error:
            raise redis.TimeoutError("the server takes nothing") from error
        except OSError as error:
            raise redis.ConnectionError(f"cannot write: {error}") from error

    def read(self) -> Any:
        """The next reply, waiting for it as long as the server may take."""
        while (reply := self._reader.gets()) is _MORE:
            self._receive()
        return reply

    def arrived(self) -> list[Any]:
        """The replies that are there, after one read of a socket that a selector found readable."""
        more = True
        while more:
            self._receive()
            # TLS may have decrypted more than was asked for: a selector does not see that.
            more = bool(getattr(self._socket, "pending", int)())
        replies = []
        while (reply := self._reader.gets()) is not _MORE:
            replies.append(reply)
        return replies

    def call(self, *commands: Command) -> list[Any]:
        """Replies of `commands`, in order."""
        self.send(commands)
        return [self.read() for _ in commands]

    def ask(self, *command: Any) -> Any:
        """The reply of one command; an error reply is raised."""
        reply = self.call(command)[0]
        if isinstance(reply, Exception):
            raise reply
        return reply

    def buffered(self) -> bool:
        """True when bytes were read beyond the last reply: a selector does not see those."""
        return bool(self._reader.has_data())

    def fileno(self) -> int:
        """For selectors."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(*TRANSIENT):
            self._connection.disconnect()

    def _receive(self) -> None:
        try:
            n = self._socket.recv_into(self._buffer)
        except TimeoutError as error:
            raise redis.TimeoutError("no answer from the server") from error
        except OSError as error:
            raise redis.ConnectionError(f"cannot read: {error}") from error
        if not n:
            raise redis.ConnectionError("the server closed the connection")
        self._reader.feed(cast("bytes", self._buffer), 0, n)


class Servers:
    """Where the keys of a URL live: `redis://`, `rediss://`, `unix://`, or `redis+cluster://host:port`.

    For threads: each uses links of its own; `refresh` may be called by any.
    """

    def __init__(
        self, url: str, *, connect_timeout_s: float = CONNECT_TIMEOUT_S, answer_timeout_s: float = ANSWER_TIMEOUT_S
    ) -> None:
        self.url = url
        self._timeouts: dict[str, Any] = {
            "socket_timeout": answer_timeout_s,
            "socket_connect_timeout": connect_timeout_s,
        }
        self._cluster: redis.RedisCluster | None = None
        self._plain: redis.Redis | None = None
        self._pools: dict[str, redis.ConnectionPool] = {}
        self._refreshed = 0.0
        if urlsplit(url).scheme not in SCHEMES:
            raise InvalidInput(
                f"Redis URL {url!r}: begin it with one of {', '.join(SCHEMES)}, as redis://host:port/0"
            )

    @property
    def clustered(self) -> bool:
        """True for a cluster URL."""
        return urlsplit(self.url).scheme == CLUSTER_SCHEME

    def client(self) -> redis.Redis:
        """A client of all keys; for a cluster a `RedisCluster`, which has the same methods."""
        if self.clustered:
            return cast("redis.Redis", self._layout())
        if self._plain is None:
            self._plain = redis.Redis(connection_pool=self._pool(self.url))
        return self._plain

    def client_of(self, key: str) -> redis.Redis:
        """A client of the one server that holds `key`."""
        return redis.Redis(connection_pool=self._pool(self.url_of(key)))

    def link(self, key: str) -> Link:
        """A new connection to the server that holds `key`."""
        return Link(self._pool(self.url_of(key)).make_connection())

    def url_of(self, key: str) -> str:
        """URL of the server that holds `key`."""
        if not self.clustered:
            return self.url
        try:
            layout: Any = self._layout()
            node = layout.get_node_from_key(key)
        except RedisClusterException as error:  # a layout without the slot is no ConnectionError in redis-py
            raise redis.ConnectionError(f"cluster {self.url}: {error}") from error
        if node is None:
            raise redis.ConnectionError(f"cluster {self.url} has no node for {key}")
        return self._node_url(node)

    def refresh(self) -> None:
        """Read the cluster's layout again, at most every `REFRESH_S`; nothing for a single server."""
        if self._cluster is not None and time.monotonic() - self._refreshed > REFRESH_S:
            self._refreshed = time.monotonic()
            with contextlib.suppress(RedisClusterException, *TRANSIENT):
                self._cluster.nodes_manager.initialize()

    def close(self) -> None:
        """Close what this object opened; links close themselves."""
        if self._cluster is not None:
            self._cluster.close()
        for pool in self._pools.values():
            pool.disconnect()

    def _layout(self) -> redis.RedisCluster:
        if self._cluster is None:
            parts = urlsplit(self.url)
            try:
                self._cluster = redis.RedisCluster(
                    startup_nodes=[
                        cast("Any", redis.cluster.ClusterNode)(parts.hostname or "127.0.0.1", parts.port or 6379)
                    ],
                    username=parts.username,
                    password=parts.password,
                    protocol=2,
                    **self._timeouts,
                )
            except RedisClusterException as error:
                raise redis.ConnectionError(f"cluster {self.url}: {error}") from error
        return self._cluster

    def _node_url(self, node: Any) -> str:
        secret = urlsplit(self.url).netloc.rpartition("@")[0]
        return f"redis://{secret + '@' if secret else ''}{node.host}:{node.port}/0"

    def _pool(self, url: str) -> redis.ConnectionPool:
        if url not in self._pools:
            self._pools[url] = redis.ConnectionPool.from_url(
                url,
                protocol=2,  # replies of stream commands differ in RESP3
                **self._timeouts,
                # A pool counts every connection it ever made, and links are closed without telling it: with a bound
                # (100 by default) a consumer that opens one every second is refused all after a minute.
                max_connections=2**31,
                socket_keepalive=True,
                socket_read_size=READ_BYTES,
                retry=Retry(NoBackoff(), 0),  # whoever uses it decides what to do again
            )
        return self._pools[url]


def must(reply: Any) -> Any:
    """`reply`, raised when it is an error."""
    if isinstance(reply, Exception):
        raise reply
    return reply


@contextlib.contextmanager
def answering() -> Iterator[None]:
    """What fails inside is told as `StoreUnavailable`."""
    try:
        yield
    except redis.RedisError as error:
        raise StoreUnavailable(
            f"the state Redis does not answer ({type(error).__name__}: {error}); start it, or set FANTASY_REDIS_URL"
        ) from error
