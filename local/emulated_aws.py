"""The emulator's process: ministack on one port of the loopback interface, and no other.

Started by `local.emulator` as a script, with everything it needs to know in its environment.
ministack's own command line would also take port 443 where it may. What ministack 1.5.33 does
otherwise than AWS, and we rely on, is put right here, so that no other code has to know.
"""

import asyncio
import functools
import html
import json
import os
import re
import threading
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote_plus

from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack.app import app
from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import set_request_account_id, set_request_region
from ministack.services import apigateway_v1, cloudwatch, lambda_svc, s3, sns, waf

# The batch calls of SQS and SNS have no actions of their own on AWS: the permission for one message
# covers them. ministack asks for actions that do not exist.
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsqs.html
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsns.html
BATCH_ACTIONS = {
    "sns:PublishBatch": "sns:Publish",
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
}

type HttpAnswer = tuple[int, dict[str, str], Any]


def check_the_actions_of_aws() -> None:
    """Make ministack ask IAM for the actions that AWS asks for."""
    as_shipped = iam_actions.extract_iam_action

    @functools.wraps(as_shipped)
    def extract_iam_action(*args: Any, **kwargs: Any) -> str | None:
        action: str | None = as_shipped(*args, **kwargs)
        return BATCH_ACTIONS.get(action, action) if action else action

    iam_actions.extract_iam_action = extract_iam_action


def take_requests_at_any_rate() -> None:
    """Let the tests send as fast as they can.

    The stage of a disposable environment takes ten requests a second. The value is tested in the
    synthesised stack; the end-to-end tests and their fuzzer would only meet refusals.
    """
    apigateway_v1._check_throttle = lambda *_args, **_kwargs: None


def check_the_aliases_of_functions() -> None:
    """Make ministack ask IAM for the alias or version that is invoked, as AWS does.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-aliases.html
    """
    as_shipped = iam_actions.extract_resource_arn

    @functools.wraps(as_shipped)
    def extract_resource_arn(
        service: str,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        query: Mapping[str, Any],
        *args: Any,
        **kwargs: Any,
    ) -> str:
        arn: str = as_shipped(service, method, path, headers, body, query, *args, **kwargs)
        wanted = (query or {}).get("Qualifier")
        if service != "lambda" or not path.endswith("/invocations") or not wanted:
            return arn
        return f"{arn}:{wanted[0] if isinstance(wanted, list) else wanted}"

    iam_actions.extract_resource_arn = extract_resource_arn


def read_ranges_of_versions() -> None:
    """Make GetObject obey Range together with versionId; ministack sends the whole version.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
    """
    as_shipped = s3._get_object

    @functools.wraps(as_shipped)
    def get_object(
        bucket: str, key: str, headers: Mapping[str, str], query: Mapping[str, Any] | None = None
    ) -> HttpAnswer:
        answer: HttpAnswer = as_shipped(bucket, key, headers, query)
        status, about, body = answer
        wanted = headers.get("range", "")
        if not (wanted and (query or {}).get("versionId") and status == HTTPStatus.OK):
            return answer
        size = len(body)
        # A checksum of the whole does not fit a part.
        kept = {name: text for name, text in about.items() if "checksum" not in name.lower()}
        bounds: tuple[int, int] | None = s3._parse_range(wanted, size)
        if bounds is None:
            unsatisfiable = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
            return unsatisfiable, {"Content-Range": f"bytes */{size}"}, b""
        first, last = bounds
        part = body[first : last + 1]
        length = {"Content-Length": str(len(part)), "Content-Range": f"bytes {first}-{last}/{size}"}
        return HTTPStatus.PARTIAL_CONTENT, kept | length, part

    s3._get_object = get_object


def name_errors_of_functions() -> None:
    """Make a failed function tell the class of its exception, which state machines retry by.

    https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html
    """
    as_shipped = lambda_svc._execute_function_warm

    @functools.wraps(as_shipped)
    def execute(func: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
        result: dict[str, Any] = as_shipped(func, event, request_id)
        body = result.get("body")
        if result.get("error") and isinstance(body, dict):
            last_line = (result.get("log") or "").rstrip().rpartition("\n")[2]
            raised = re.match(r"(?:\w+\.)*([A-Za-z_]\w*)(?::|$)", last_line)
            if raised and body.get("errorType") == "Runtime.HandlerError":
                body["errorType"] = raised[1]
        return result

    lambda_svc._execute_function_warm = execute


def list_versions_url_encoded() -> None:
    """Make ListObjectVersions obey encoding-type=url; ministack sends keys as they are.

    Terraform empties buckets with it, and would take a plus sign in a key for a space.
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
    """
    as_shipped = s3._list_object_versions

    def encoded(element: re.Match[bytes]) -> bytes:
        tag, text = element[1], html.unescape(element[2].decode())
        return b"<%s>%s</%s>" % (tag, quote_plus(text, safe="/").encode(), tag)

    @functools.wraps(as_shipped)
    def list_object_versions(bucket: str, query: Mapping[str, Any]) -> HttpAnswer:
        answer: HttpAnswer = as_shipped(bucket, query)
        status, about, body = answer
        if "encoding-type" not in query or status != HTTPStatus.OK:
            return answer
        names = rb"<(Key|Prefix|Delimiter|KeyMarker|NextKeyMarker)>([^<]*)</\1>"
        body = re.sub(names, encoded, body)
        note = b"<EncodingType>url</EncodingType></ListVersionsResult>"
        return status, about, body.replace(b"</ListVersionsResult>", note)

    s3._list_object_versions = list_object_versions


def name_uploaders() -> None:
    """Make events of S3 name who put the object there; ministack names nobody.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
    """
    as_shipped = s3._fire_s3_event

    @functools.wraps(as_shipped)
    def fire(*args: Any, record_extra: dict[str, Any] | None = None, **kwargs: Any) -> None:
        who = iam_evaluator.resolve_caller_identity(iam_evaluator._verified_key.get())
        named = {"userIdentity": {"principalId": f"AWS:{who['userId']}"}} if who else {}
        as_shipped(*args, record_extra={**named, **(record_extra or {})}, **kwargs)

    s3._fire_s3_event = fire


def keep_logging_of_web_acls() -> None:
    """Let a web ACL be told where to log; ministack has none of these calls, and never logs.

    https://docs.aws.amazon.com/waf/latest/APIReference/API_PutLoggingConfiguration.html
    """
    as_shipped = waf.handle_request
    kept: dict[str, Any] = {}

    def put(wanted: dict[str, Any]) -> HttpAnswer:
        kept[wanted["LoggingConfiguration"]["ResourceArn"]] = wanted["LoggingConfiguration"]
        return get(wanted["LoggingConfiguration"])

    def get(wanted: dict[str, Any]) -> HttpAnswer:
        if wanted["ResourceArn"] not in kept:
            absent = {"__type": "WAFNonexistentItemException", "message": "It logs nowhere."}
            return HTTPStatus.BAD_REQUEST, {}, json.dumps(absent).encode()
        return (
            HTTPStatus.OK,
            {},
            json.dumps({"LoggingConfiguration": kept[wanted["ResourceArn"]]}).encode(),
        )

    def delete(wanted: dict[str, Any]) -> HttpAnswer:
        kept.pop(wanted["ResourceArn"], None)
        return HTTPStatus.OK, {}, b"{}"

    calls = {"Put": put, "Get": get, "Delete": delete}

    @functools.wraps(as_shipped)
    async def handle_request(
        method: str, path: str, headers: Mapping[str, str], body: bytes, query: Mapping[str, Any]
    ) -> HttpAnswer:
        action = headers.get("x-amz-target", "").rpartition(".")[2]
        call = calls.get(action.removesuffix("LoggingConfiguration"))
        if call and action.endswith("LoggingConfiguration"):
            return call(json.loads(body))
        answer: HttpAnswer = await as_shipped(method, path, headers, body, query)
        return answer

    waf.handle_request = handle_request


def publish_attributes_of_workflows() -> None:
    """Make workflows publish their message attributes; ministack drops them, and filters by none.

    https://docs.aws.amazon.com/step-functions/latest/dg/connect-sns.html
    """
    as_shipped = sns._parse_message_attributes

    @functools.wraps(as_shipped)
    def parse(params: Mapping[str, Any]) -> dict[str, Any]:
        given = params.get("MessageAttributes")
        parsed: dict[str, Any] = given if isinstance(given, dict) else as_shipped(params)
        return parsed

    sns._parse_message_attributes = parse


def let_versions_heed_their_function() -> None:
    """Make versions obey concurrency and failure destination; ministack's copies know neither.

    Concurrency is reserved for all versions of a function together, and an alias has its own
    settings for asynchronous events.
    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-configuring.html
    """
    reserved, asynchronously = lambda_svc._reserved_concurrency, lambda_svc.invoke_async_with_retry

    def function_of(version: dict[str, Any]) -> dict[str, Any]:
        account, region = lambda_svc._account_region_from_function_config(version)
        found = lambda_svc._functions.get_scoped(account, region, version["FunctionName"])
        return found or {}

    @functools.wraps(reserved)
    def reserved_concurrency(func: dict[str, Any], config: dict[str, Any]) -> int | None:
        limit: int | None = reserved(function_of(config) or func, config)
        return limit

    @functools.wraps(asynchronously)
    def invoke(func: dict[str, Any], event: dict[str, Any]) -> None:
        version = func.get("config") or func
        function = function_of(version)
        settings = [
            function["event_invoke_configs"][alias["Name"]]
            for alias in function.get("aliases", {}).values()
            if alias["FunctionVersion"] == version.get("Version")
            and alias["Name"] in function["event_invoke_configs"]
        ]
        asynchronously({**func, "event_invoke_config": settings[0]} if settings else func, event)

    lambda_svc._reserved_concurrency = reserved_concurrency
    lambda_svc.invoke_async_with_retry = invoke


def count_every_invocation() -> None:
    """Make metrics of every invocation of a function; ministack makes them of direct ones only."""
    as_shipped, log = lambda_svc._emit_lambda_metrics, lambda_svc._emit_lambda_logs

    @functools.wraps(as_shipped)
    def emit_throttles(name: str, duration_ms: float, error: object, throttle: object) -> None:
        if throttle:
            as_shipped(name, duration_ms, error, throttle)

    @functools.wraps(log)
    def emit(
        func: Any, request_id: str, log_text: str, error: Any, duration_ms: int, **kwargs: Any
    ) -> None:
        log(func, request_id, log_text, error, duration_ms, **kwargs)
        name = (func.get("config") or func)["FunctionName"]
        as_shipped(name, duration_ms, error, throttle=False)

    lambda_svc._emit_lambda_metrics = emit_throttles
    lambda_svc._emit_lambda_logs = emit


def count_embedded_metrics() -> None:
    """Make metrics of what functions log in the embedded metric format; ministack only logs it.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    as_shipped = lambda_svc._emit_lambda_logs

    @functools.wraps(as_shipped)
    def emit(func: Any, request_id: str, log_text: str, *args: Any, **kwargs: Any) -> None:
        as_shipped(func, request_id, log_text, *args, **kwargs)
        for line in (log_text or "").splitlines():
            if line.startswith('{"_aws"'):
                _record_embedded(json.loads(line))

    lambda_svc._emit_lambda_logs = emit


def _record_embedded(told: Mapping[str, Any]) -> None:
    for directive in told["_aws"]["CloudWatchMetrics"]:
        for names in directive["Dimensions"]:
            dimensions = {name: told[name] for name in names}
            for metric in directive["Metrics"]:
                values = told[metric["Name"]]
                for value in values if isinstance(values, list) else [values]:
                    cloudwatch.record_metric(
                        directive["Namespace"], metric["Name"], value, metric["Unit"], dimensions
                    )


def evaluate_alarms() -> None:
    """Make alarms obey their dimensions and missing data, and be looked at every second.

    ministack looks at them only when somebody puts metric data. ``ALARM_PERIOD_SCALE`` makes
    their periods pass faster, as ``SFN_WAIT_SCALE`` does for workflows.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
    """
    scale = float(os.environ.get("ALARM_PERIOD_SCALE", "1"))

    def evaluate(alarm: dict[str, Any]) -> None:
        dimensions = cloudwatch._dims_from_list(alarm["Dimensions"])
        key = (alarm["Namespace"], alarm["MetricName"], cloudwatch._dims_key(dimensions))
        since = time.time() - alarm["Period"] * alarm["EvaluationPeriods"] * scale
        points = [each for each in cloudwatch._metrics.get(key) or [] if each["Timestamp"] >= since]
        statistic = alarm.get("ExtendedStatistic") or alarm["Statistic"]
        if points:
            value = cloudwatch._stat_value(cloudwatch._calc_stats(points), statistic, points)
            state = "ALARM" if value >= alarm["Threshold"] else "OK"
            reason = f"{statistic} of {alarm['MetricName']} is {value}"
        else:
            state, reason = "OK", f"No data of {alarm['MetricName']}, which is not breaching"
        before = alarm["StateValue"]
        if state == before:
            return
        alarm.update(StateValue=state, StateReason=reason, StateUpdatedTimestamp=int(time.time()))
        cloudwatch._record_history(alarm["AlarmName"], before, state, reason)
        cloudwatch._dispatch_alarm_actions(alarm, before, state, reason)

    def watch() -> None:
        while True:
            time.sleep(1)
            for (account, region, _), alarm in list(cloudwatch._alarms._data.items()):
                set_request_account_id(account)
                set_request_region(region)
                evaluate(alarm)

    cloudwatch._evaluate_alarm = evaluate
    threading.Thread(target=watch, daemon=True, name="alarms").start()


def main() -> None:
    """Serve until SIGTERM."""
    check_the_actions_of_aws()
    check_the_aliases_of_functions()
    take_requests_at_any_rate()
    read_ranges_of_versions()
    list_versions_url_encoded()
    name_uploaders()
    name_errors_of_functions()
    keep_logging_of_web_acls()
    publish_attributes_of_workflows()
    let_versions_heed_their_function()
    count_every_invocation()
    count_embedded_metrics()
    evaluate_alarms()
    config = Config()
    config.bind = [f"{os.environ['BIND_HOST']}:{os.environ['GATEWAY_PORT']}"]
    config.certfile = os.environ["MINISTACK_SSL_CERT"]
    config.keyfile = os.environ["MINISTACK_SSL_KEY"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1
    asyncio.run(serve(app, config))


if __name__ == "__main__":
    main()
