"""A real ngircd on a free port of this machine, and people who talk to it by hand."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from headway.demo.site import free_ports

DEADLINE = 20.0

CONFIG = """
[Global]
Name = irc.headway.test
Info = a test
Ports = {port}
Listen = 127.0.0.1
MotdPhrase = hello
{password}
[Limits]
MaxConnectionsIP = 0
MaxNickLength = 32
PingTimeout = 120
[Options]
PAM = no
Ident = no
DNS = no
SyslogFacility = local1
[Channel]
Name = #push
Modes = +n
[Channel]
Name = #locked
Modes = +tn
"""


class IrcServer:
    """One ngircd; it can be killed and started again on the same port."""

    def __init__(self, program: str, room: Path, password: str = "") -> None:
        self.program, self.room = program, room
        [self.port] = free_ports(1)
        self.config = room / "ngircd.conf"
        told = f"Password = {password}" if password else ""
        self.config.write_text(CONFIG.format(port=self.port, password=told))
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        with (self.room / "ngircd.log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.program, "--nodaemon", "--config", str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + DEADLINE
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            assert self.process.poll() is None, (self.room / "ngircd.log").read_text()
            assert time.monotonic() < deadline, "ngircd does not listen"
            time.sleep(0.02)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(DEADLINE)
            self.process = None


@contextlib.contextmanager
def ngircd(program: Callable[[str], str], room: Path, password: str = "") -> Iterator[IrcServer]:
    room.mkdir(exist_ok=True)
    server = IrcServer(program("ngircd"), room, password)
    try:
        server.start()
        yield server
    finally:
        server.kill()


class Person:
    """Somebody with a plain client: sends lines, and keeps what comes."""

    def __init__(self, server: IrcServer, nick: str, channel: str = "#push", oper: bool = False):
        self.nick, self.channel = nick, channel
        self.lines: list[str] = []
        self._socket = socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE)
        self._buffer = b""
        self.send(f"NICK {nick}")
        self.send(f"USER {nick} 0 * :{nick}")
        self.wait(lambda line: " 001 " in line)
        self.send(f"JOIN {channel}")
        self.wait(lambda line: " 366 " in line)

    def send(self, line: str) -> None:
        self._socket.sendall(line.encode() + b"\r\n")

    def say(self, text: str) -> None:
        self.send(f"PRIVMSG {self.channel} :{text}")

    def whisper(self, to: str, text: str) -> None:
        self.send(f"PRIVMSG {to} :{text}")

    def heard(self, part: str, seconds: float = DEADLINE) -> str:
        """Wait for a line that was not waited for before and holds ``part``."""
        return self.wait(lambda line: part in line and " PRIVMSG " in line, seconds)

    def topic(self, text: str, seconds: float = DEADLINE) -> None:
        """Wait until this is the topic."""
        self.wait(lambda line: " TOPIC " in line and line.endswith(f" :{text}"), seconds)

    def wait(self, found: Callable[[str], bool], seconds: float = DEADLINE) -> str:
        deadline = time.monotonic() + seconds
        seen = 0
        while True:
            for line in self.lines[seen:]:
                seen += 1
                if found(line):
                    return line
            left = deadline - time.monotonic()
            assert left > 0, f"{self.nick} waited in vain; heard {self.lines[-12:]}"
            self.read(left)

    def read(self, seconds: float = 0.2) -> None:
        """Take in what comes within this time, or at least one piece of it."""
        self._socket.settimeout(max(0.01, seconds))
        try:
            piece = self._socket.recv(65536)
        except (TimeoutError, BlockingIOError):
            return
        assert piece, f"{self.nick} was cut off"
        self._buffer += piece
        *lines, self._buffer = self._buffer.split(b"\r\n")
        for line in lines:
            text = line.decode()
            if text.startswith("PING"):
                self.send(text.replace("PING", "PONG", 1))
            self.lines.append(text)

    def said(self) -> list[str]:
        """What others have said in the channel so far."""
        self.read(0.3)
        mark = f" PRIVMSG {self.channel} :"
        return [line.partition(mark)[2] for line in self.lines if mark in line]

    def close(self) -> None:
        self._socket.close()
