#!/usr/bin/env python3
"""Runs every command of a document and compares what it prints.

usage: readme_test.py REPOSITORY BIN [DOCUMENT]     (README.md where none is given)

In a ```console block a line "$ COMMAND" is run and must print the lines below
it; "..." there stands for anything. A ```sh block holds commands that print
nothing worth showing; a `script/server` among them must come to serve. Programs
run from BIN, on ports of this test's own, and /path/to/folder is a small model.
"""
import contextlib
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

REPOSITORY = pathlib.Path(sys.argv[1]).resolve()
BIN = pathlib.Path(sys.argv[2]).resolve()
DOCUMENT = REPOSITORY / (sys.argv[3] if len(sys.argv) > 3 else "README.md")
MODEL = REPOSITORY / "tests/model/goldens/single-label-gelu"
SECONDS_TO_SERVE = 120


def free_port():
    """Below those that the kernel hands out, which another test may get first."""
    while True:
        port = random.randrange(20000, 32768)
        with contextlib.suppress(OSError), socket.socket() as s:
            s.bind(("127.0.0.1", port))
            return port


def blocks(language):
    """The lines of each fenced block in this language."""
    text = DOCUMENT.read_text()
    found = re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [block.splitlines() for block in found]


def console_commands():
    """(command, expected output) of every console block."""
    for block in blocks("console"):
        command, expected = None, []
        for line in block + ["$ "]:
            if not line.startswith("$ "):
                expected.append(line)
                continue
            if command:
                yield command, "\n".join(expected)
            command, expected = line[2:], []


class Server:
    """script/server, as the document starts it."""

    def __init__(self, flags=()):
        self.address = f"127.0.0.1:{free_port()}"
        self.metrics = f"127.0.0.1:{free_port()}"
        self.http = f"127.0.0.1:{free_port()}"
        self.process = subprocess.Popen(
            ["script/server", f"--listen={self.address}", f"--metrics_listen={self.metrics}",
             f"--http_listen={self.http}", "--lame_duck=0s", *flags],
            cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True)
        self.log = ""
        for line in self.process.stdout:  # ends with the server
            self.log += line
            if line.startswith("Serving on"):
                return
        raise AssertionError(f"script/server {' '.join(flags)} did not serve:\n{self.log}")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate()
        return self.process.returncode


class DocumentTest(unittest.TestCase):
    def setUp(self):
        signal.alarm(SECONDS_TO_SERVE)  # a server that never serves ends the test

    def run_command(self, command, server=None):
        command = command.replace("build/release/bin", str(BIN))
        command = command.replace("/path/to/folder", str(MODEL))
        environment = dict(os.environ)
        if server is not None:
            command = command.replace("127.0.0.1:9464", server.metrics)
            command = command.replace("127.0.0.1:8080", server.http)
            environment["TERN_SERVER"] = server.address
        return subprocess.run(["bash", "-c", "set -o pipefail; cd \"$0\"; " + command, REPOSITORY],
                              capture_output=True, text=True, env=environment, check=False)

    def test_console_blocks_print_what_they_show(self):
        server = Server()
        try:
            commands = list(console_commands())
            self.assertGreater(len(commands), 3)
            for command, expected in commands:
                with self.subTest(command=command):
                    result = self.run_command(command, server)
                    self.assertEqual(result.returncode, 0, result.stderr)
                    pattern = re.escape(expected).replace(re.escape("..."), ".*")
                    self.assertRegex(result.stdout.rstrip("\n"), re.compile(f"^{pattern}$"))
        finally:
            self.assertEqual(server.stop(), 0)

    def test_shell_blocks_run(self):
        with tempfile.TemporaryDirectory() as folder:
            for line in [line for block in blocks("sh") for line in block]:
                command = line.split("#")[0].strip()
                with self.subTest(command=command):
                    if command.startswith("script/test"):
                        continue  # which runs this
                    if command.startswith("script/server"):
                        flags = command.replace("/path/to/folder", str(MODEL)).split()[1:]
                        self.assertEqual(Server(flags).stop(), 0)
                        continue
                    result = self.run_command(re.sub(r" out$", f" {folder}/out", command))
                    self.assertEqual(result.returncode, 0, result.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
