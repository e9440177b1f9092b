"""Sending messages to SQS, against a stub in another process that answers after 10 ms."""

import asyncio
import contextlib
import json
import multiprocessing
import os
import resource
import time
from collections.abc import Iterator

from botocore.config import Config

from benchmarks.measurement import Measurement, interleaved_seconds
from local.clients import session
from payments.aws.queue import CALLS_IN_FLIGHT, MessageQueue

LATENCY_SECONDS = 0.010
RUNS = 5
MESSAGES = 5_000
MESSAGES_ONE_BY_ONE = 500
_MESSAGE = json.dumps({"payment_id": "pay_000000000001", "amount_minor": 125, "currency": "USD"})


def _serve(ports: "multiprocessing.Queue[int]") -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line.partition(b":")[2])
                    for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length:")
                )
                entries = json.loads(await reader.readexactly(length))["Entries"]
                await asyncio.sleep(LATENCY_SECONDS)
                sent = [{"Id": e["Id"], "MessageId": "m", "MD5OfMessageBody": ""} for e in entries]
                body = json.dumps({"Successful": sent, "Failed": []}).encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\n"
                    b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def main() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        ports.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(main())


def measure() -> list[Measurement]:
    """Measure many calls in flight beside one call after the other.

    Sender and stub have a core each, where the machine lets a process choose its cores.
    """
    with _stub() as url:
        sender = _Sender(url)
        sender.send(MESSAGES_ONE_BY_ONE, calls_in_flight=CALLS_IN_FLIGHT)
        many = [0.0, 0.0]

        def send_many() -> None:
            cpu, started = _cpu_seconds(), time.perf_counter()
            sender.send(MESSAGES, calls_in_flight=CALLS_IN_FLIGHT)
            many[0] += _cpu_seconds() - cpu
            many[1] += time.perf_counter() - started

        taken, one_by_one = interleaved_seconds(
            send_many,
            lambda: sender.send(MESSAGES_ONE_BY_ONE, calls_in_flight=1),
            runs=RUNS,
        )
    return [
        Measurement(
            what="messages sent to a queue that answers after 10 ms",
            unit="messages/s",
            value=MESSAGES / taken,
            beside="one call after the other",
            beside_value=MESSAGES_ONE_BY_ONE / one_by_one,
            at_least=10,
            notes=f"{CALLS_IN_FLIGHT} calls in flight, CPU {many[0] / many[1]:.0%} of one core",
        )
    ]


def messages_per_second(messages: int) -> float:
    """Return how fast so many messages are sent."""
    with _stub() as url:
        sender = _Sender(url)
        sender.send(MESSAGES_ONE_BY_ONE, calls_in_flight=CALLS_IN_FLIGHT)
        started = time.perf_counter()
        sender.send(messages, calls_in_flight=CALLS_IN_FLIGHT)
        return messages / (time.perf_counter() - started)


@contextlib.contextmanager
def _stub() -> Iterator[str]:
    """Serve as SQS from another process and another core; give the URL, and this process a core."""
    context = multiprocessing.get_context("spawn")
    ports = context.Queue()
    stub = context.Process(target=_serve, args=(ports,), daemon=True)
    stub.start()
    cores = os.sched_getaffinity(0)
    try:
        port = ports.get(timeout=60)
        if len(cores) > 1:
            first, second, *_ = sorted(cores)
            os.sched_setaffinity(0, {first})
            os.sched_setaffinity(stub.pid or 0, {second})
        yield f"http://127.0.0.1:{port}"
    finally:
        os.sched_setaffinity(0, cores)
        stub.terminate()
        stub.join()


class _Sender:
    def __init__(self, url: str) -> None:
        client = session(region="us-east-1").client(
            "sqs",
            endpoint_url=url,
            config=Config(max_pool_connections=CALLS_IN_FLIGHT, proxies={}),
        )
        self._queue = MessageQueue(client, f"{url}/queue")

    def send(self, messages: int, *, calls_in_flight: int) -> None:
        self._queue.send_all([_MESSAGE] * messages, calls_in_flight=calls_in_flight)


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
