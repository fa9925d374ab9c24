"""Kafka: where the brokers are and how to connect to them.

>>> import wrackline as wl
>>> wl.Kafka("broker1:9093,broker2:9093", security_protocol="SASL_SSL", sasl_username="ann", sasl_password="s3cret")
Kafka('broker1:9093,broker2:9093', security_protocol='SASL_SSL', sasl_username='ann', sasl_password=***)
"""

from __future__ import annotations

from wrackline import _core
from wrackline.durations import Duration, to_millis
from wrackline.errors import InvalidArgumentError

__all__ = ["Kafka"]

_SCHEME = "kafka://"
# Parts of names whose values are never shown.
_SECRET = ("password", "secret", "key_pem", "token", "oauthbearer_config", "keystore")


class Kafka:
    """Brokers to connect to; takes the place of an address in `wl.Job(log=)` and `wl.Log()`.

    `servers`: ``"host:9092"``, several with commas. `connect_timeout`: how long to try before it is an error. Any
    option of librdkafka goes by its name with underscores for dots (``security_protocol="SASL_SSL"``,
    ``ssl_ca_location="/etc/ca.pem"``); names and values are checked now, nothing is connected. Options that the
    exactly-once protocol rests on cannot be set; the error says which and why. Passwords appear in no log line,
    error or repr.

    Raises `InvalidArgumentError` for an unknown option, naming the nearest.

    >>> import wrackline as wl
    >>> wl.Kafka("localhost:9092", sasl_usrname="ann")
    Traceback (most recent call last):
    wrackline.errors.InvalidArgumentError: Kafka has no option 'sasl.usrname'; did you mean 'sasl.username'?
    """

    def __init__(self, servers: str, *, connect_timeout: Duration = "10s", **options: str | int | float | bool) -> None:
        if not isinstance(servers, str) or not servers:
            raise InvalidArgumentError(f'Kafka: servers is "host:port", several with commas, not {servers!r}')
        self._servers = servers.removeprefix(_SCHEME)
        self._options = options
        self._settings = {name.replace("_", "."): _text(name, value) for name, value in options.items()}
        self._settings["connect.timeout.ms"] = str(to_millis(connect_timeout, "Kafka: connect_timeout"))
        _core.check_log(self.uri, self._settings)

    @property
    def servers(self) -> str:
        """``host:port``, several with commas.

        >>> import wrackline as wl
        >>> wl.Kafka("localhost:9092").servers
        'localhost:9092'
        """
        return self._servers

    @property
    def uri(self) -> str:
        """``kafka://host:port``, without options.

        >>> import wrackline as wl
        >>> wl.Kafka("localhost:9092", client_rack="a").uri
        'kafka://localhost:9092'
        """
        return _SCHEME + self._servers

    def __repr__(self) -> str:
        shown = [repr(self._servers)]
        for name, value in self._options.items():
            hidden = any(part in name.replace(".", "_") for part in _SECRET)
            shown.append(f"{name}={'***' if hidden else repr(value)}")
        return f"Kafka({', '.join(shown)})"


def _text(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    raise InvalidArgumentError(f"Kafka: {name} is a str, a number or a bool, not {type(value).__name__}")
