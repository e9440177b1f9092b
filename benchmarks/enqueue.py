"""Sending messages to SQS, against a stub in another process that answers after 10 ms."""

import asyncio
import json
import multiprocessing
import resource
import time

import boto3
from botocore.config import Config

from benchmarks.measurement import Measurement
from payments.batch import CALLS_IN_FLIGHT
from payments.events import PaymentQueue

LATENCY_SECONDS = 0.010
MESSAGES = 20_000
MESSAGES_ONE_BY_ONE = 1_000
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
    """Measure many calls in flight beside one call after the other."""
    context = multiprocessing.get_context("spawn")
    ports = context.Queue()
    stub = context.Process(target=_serve, args=(ports,), daemon=True)
    stub.start()
    try:
        url = f"http://127.0.0.1:{ports.get(timeout=30)}"
        client = boto3.client(
            "sqs",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="bench",
            aws_secret_access_key="bench",  # noqa: S106 - for a stub
            config=Config(max_pool_connections=CALLS_IN_FLIGHT, proxies={}),
        )
        queue = PaymentQueue(client, f"{url}/queue")
        queue.send_all([_MESSAGE] * 1000, calls_in_flight=CALLS_IN_FLIGHT)
        started, cpu = time.perf_counter(), _cpu_seconds()
        queue.send_all([_MESSAGE] * MESSAGES, calls_in_flight=CALLS_IN_FLIGHT)
        taken, busy = time.perf_counter() - started, _cpu_seconds() - cpu
        started = time.perf_counter()
        queue.send_all([_MESSAGE] * MESSAGES_ONE_BY_ONE, calls_in_flight=1)
        one_by_one = time.perf_counter() - started
    finally:
        stub.terminate()
        stub.join()
    return [
        Measurement(
            what="messages sent to a queue that answers after 10 ms",
            unit="messages/s",
            value=MESSAGES / taken,
            beside="one call after the other",
            beside_value=MESSAGES_ONE_BY_ONE / one_by_one,
            notes=f"{CALLS_IN_FLIGHT} calls in flight, CPU {busy / taken:.0%} of one core",
        )
    ]


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
