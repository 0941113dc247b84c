"""What deploy/aws describes: the template that the CDK makes of the shops, as CloudFormation would take it."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from assets.extracts.declared import declared_table
from assets.extracts.extract import lake_file
from assets.extracts.formats import read_object
from assets.extracts.rows import match_headers
from resources.shops import Shop, load_shops
from tests.conftest import ALL_SHOPS
from tests.deploy.calls import listening
from tests.deploy.conftest import AWS
from tests.deploy.policies import ACCOUNT, REGION, may, resolve, role_named, statements

if TYPE_CHECKING:
    from aws_cdk.assertions import Template

STREAM = "online-retail-invoice-lines"
STREAM_ARN = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{STREAM}"


@pytest.fixture(scope="module")
def shops() -> dict[str, Shop]:
    return load_shops(ALL_SHOPS)


Synthesise = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def synthesise(shops: dict[str, Shop], tmp_path_factory: pytest.TempPathFactory) -> Synthesise:
    """Makes the template for options as they are given to `cdk -c`; all in one Node.js process."""

    def make(**context: object) -> dict[str, Any]:
        import aws_cdk as cdk
        from provisioning.options import read_options
        from provisioning.stack import CartographStack

        app = cdk.App(outdir=str(tmp_path_factory.mktemp("cdk")), analytics_reporting=False)
        stack = CartographStack(app, read_options(context), shops)
        return app.synth().get_stack_by_name(stack.stack_name).template

    return make


@pytest.fixture(scope="module")
def template(synthesise: Synthesise) -> dict[str, Any]:
    """What is made without options."""
    return synthesise()


@pytest.fixture(scope="module")
def checked(template: dict[str, Any]) -> Template:
    from aws_cdk.assertions import Template

    return Template.from_json(template)


def of_type(template: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    return {name: item for name, item in template["Resources"].items() if item["Type"] == kind}


def properties(template: dict[str, Any], kind: str) -> dict[str, Any]:
    """The properties of the one resource of a type."""
    found = list(of_type(template, kind).values())
    assert len(found) == 1, found
    return found[0]["Properties"]


# ---- The bucket ------------------------------------------------------------------------------------------------------


def test_bucket_is_closed_encrypted_and_keeps_what_was_overwritten(checked: Template) -> None:
    checked.has_resource(
        "AWS::S3::Bucket",
        {
            "DeletionPolicy": "Retain",
            "UpdateReplacePolicy": "Retain",
            "Properties": {
                "PublicAccessBlockConfiguration": dict.fromkeys(
                    ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True
                ),
                "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
                "VersioningConfiguration": {"Status": "Enabled"},
                "BucketEncryption": {
                    "ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
                },
            },
        },
    )


def test_bucket_refuses_whoever_does_not_speak_tls(template: dict[str, Any]) -> None:
    (policy,) = of_type(template, "AWS::S3::BucketPolicy").values()
    (statement,) = policy["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Effect"] == "Deny" and statement["Principal"] == {"AWS": "*"} and statement["Action"] == "s3:*"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    bucket = resolve(template, {"Fn::GetAtt": [next(iter(of_type(template, "AWS::S3::Bucket"))), "Arn"]})
    assert [resolve(template, item) for item in statement["Resource"]] == [bucket, f"{bucket}/*"]
    assert policy["DeletionPolicy"] == "Retain", "a bucket that stays must not lose its policy"


def test_lifecycle_aborts_unfinished_uploads_and_cools_the_archive_alone(template: dict[str, Any]) -> None:
    rules = properties(template, "AWS::S3::Bucket")["LifecycleConfiguration"]["Rules"]
    by_id = {rule["Id"]: rule for rule in rules}
    unfinished = by_id["abort-unfinished-uploads"]
    assert unfinished["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1} and "Prefix" not in unfinished
    assert [(rule["Prefix"], rule["Transitions"]) for rule in rules if "Transitions" in rule] == [
        ("stream-archive/", [{"StorageClass": "GLACIER_IR", "TransitionInDays": 90}])
    ]
    kept = {
        rule["Prefix"]: rule["NoncurrentVersionExpiration"] for rule in rules if "NoncurrentVersionExpiration" in rule
    }
    assert kept == {
        "inbox/": {"NoncurrentDays": 30},
        "lake/": {"NoncurrentDays": 1},
        "stream-archive/": {"NoncurrentDays": 30},
        "stream-archive-errors/": {"NoncurrentDays": 30},
    }
    assert not any("ExpirationInDays" in rule or "ExpirationDate" in rule for rule in rules), "nothing current expires"
    assert {rule["Status"] for rule in rules} == {"Enabled"}


# ---- The streams and their archive -----------------------------------------------------------------------------------


def test_a_stream_for_each_that_the_shops_name(template: dict[str, Any], shops: dict[str, Shop]) -> None:
    wanted = {table.stream for shop in shops.values() for table in shop.tables.values() if table.stream}
    streams = {item["Properties"]["Name"]: item for item in of_type(template, "AWS::Kinesis::Stream").values()}
    assert set(streams) == wanted and STREAM in wanted
    for stream in streams.values():
        assert stream["DeletionPolicy"] == "Retain"
        assert stream["Properties"]["RetentionPeriodHours"] == 7 * 24
        assert stream["Properties"]["StreamModeDetails"] == {"StreamMode": "ON_DEMAND"}
        assert "ShardCount" not in stream["Properties"]
        assert stream["Properties"]["StreamEncryption"] == {"EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"}


def test_records_go_to_the_archive_one_a_line(template: dict[str, Any]) -> None:
    deliveries = {
        resolve(template, item["Properties"]["KinesisStreamSourceConfiguration"]["KinesisStreamARN"]): item[
            "Properties"
        ]
        for item in of_type(template, "AWS::KinesisFirehose::DeliveryStream").values()
    }
    streams = {item["Properties"]["Name"] for item in of_type(template, "AWS::Kinesis::Stream").values()}
    assert set(deliveries) == {STREAM_ARN.replace(STREAM, name) for name in streams}
    delivery = deliveries[STREAM_ARN]
    assert delivery["DeliveryStreamType"] == "KinesisStreamAsSource"
    to = delivery["ExtendedS3DestinationConfiguration"]
    assert to["Prefix"] == f"stream-archive/{STREAM}/!{{timestamp:yyyy/MM/dd}}/"
    assert to["ErrorOutputPrefix"].startswith(f"stream-archive-errors/{STREAM}/!{{firehose:error-output-type}}/")
    assert to["CompressionFormat"] == "GZIP"
    assert to["BufferingHints"] == {"IntervalInSeconds": 900, "SizeInMBs": 64}, "the most that Firehose gathers by time"
    (processor,) = to["ProcessingConfiguration"]["Processors"]
    assert to["ProcessingConfiguration"]["Enabled"] is True and processor["Type"] == "AppendDelimiterToRecord"
    # Two characters: Firehose reads the escape.
    assert processor["Parameters"] == [{"ParameterName": "Delimiter", "ParameterValue": "\\n"}]
    log = to["CloudWatchLoggingOptions"]
    assert log["Enabled"] is True and resolve(template, log["LogStreamName"]) == STREAM
    assert properties(template, "AWS::Logs::LogGroup")["RetentionInDays"] == 30


def test_an_archived_day_is_taken_as_a_file(tmp_path: Path, shops: dict[str, Shop]) -> None:
    line = {
        "InvoiceNo": "536365", "StockCode": "85123A", "Description": 'WHITE "HANGING", HEART', "Quantity": 6,
        "InvoiceDate": "2010-12-01T08:26:00", "UnitPrice": 2.50, "CustomerID": None, "Country": "Україна",
    }  # fmt: skip
    sent = [json.dumps({**line, "record_id": "a-1"}), json.dumps({**line, "record_id": "a-2"})]
    written_out = sent[0].replace("2.5,", "2.5000,")
    other = json.dumps({"StockCode": "22752", **{key: line[key] for key in line if key != "StockCode"}})
    # Firehose delivers a record at least once, and a producer may send it twice; one may hold several objects.
    files = {"one.gz": [written_out, sent[1]], "two.gz": [sent[0], f"{other}\n{other}", "not json", "[1]"]}
    for name, records in files.items():
        (tmp_path / name).write_bytes(gzip.compress("".join(f"{record}\n" for record in records).encode()))
    done = subprocess.run(
        [sys.executable, str(AWS / "archive_to_csv.py"), *(str(tmp_path / name) for name in files)],
        capture_output=True, encoding="utf-8", check=False, timeout=180, env={**os.environ, "PYTHONUTF8": "1"},
    )  # fmt: skip
    assert done.returncode == 1 and "2 lines of the archive are no records" in done.stderr
    assert f"{tmp_path / 'two.gz'}:4: this is not JSON" in done.stderr
    assert f"{tmp_path / 'two.gz'}:5: this is no JSON object" in done.stderr
    declared = declared_table("online_retail", "invoice_lines")
    reading = read_object(io.BytesIO(done.stdout.encode()), "day.csv", shops["online_retail"].tables["invoice_lines"])
    mapping = match_headers(reading, declared, {})
    assert not mapping.new, "record_id is the stream's own"
    rows = pa.concat_tables([pa.table(chunk.columns) for chunk in reading.chunks]).to_pylist()
    expected = {**line, "Quantity": "6", "UnitPrice": "2.5"}
    without_id = {**expected, "StockCode": "22752"}
    assert rows == [{**expected, "UnitPrice": "2.5000"}, expected, without_id, without_id]


# ---- The catalogue ---------------------------------------------------------------------------------------------------


def athena(kind: pa.DataType) -> str:
    """The type in which Athena reads an Arrow type that was written to Parquet."""
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if pa.types.is_timestamp(kind):
        return "timestamp"
    names = {"string": "string", "int32": "int", "int64": "bigint", "double": "double", "bool": "boolean"}
    return {**names, "date32[day]": "date"}[str(kind)]


def test_catalogue_has_each_raw_table_as_it_is_declared(template: dict[str, Any], shops: dict[str, Shop]) -> None:
    (database,) = of_type(template, "AWS::Glue::Database")
    bucket = next(iter(of_type(template, "AWS::S3::Bucket")))
    tables = {}
    for item in of_type(template, "AWS::Glue::Table").values():
        assert item["Properties"]["DatabaseName"] == {"Ref": database}
        tables[item["Properties"]["TableInput"]["Name"]] = item["Properties"]["TableInput"]
    assert set(tables) == {f"{shop.name}__{table}" for shop in shops.values() for table in shop.tables}
    for shop in shops.values():
        for name in shop.tables:
            table, declared = tables[f"{shop.name}__{name}"], declared_table(shop.name, name)
            at = resolve(template, table["StorageDescriptor"]["Location"])
            a_file = f"s3://{bucket.lower()}/lake/{lake_file(shop.name, name, 'part', '0' * 64)}"
            assert at.endswith("/") and a_file.startswith(at)
            columns = {column["Name"]: column["Type"] for column in table["StorageDescriptor"]["Columns"]}
            own = {column.name: athena(column.arrow_type) for column in declared.columns if not column.is_personal}
            load = {"_line": "bigint", **({"_day": "date"} if shop.source.kind == "bigquery" else {})}
            assert columns == own | load, f"{shop.name}.{name}"


def test_every_type_that_can_be_declared_has_one_in_athena() -> None:
    from provisioning.catalogue import hive_type

    from assets.extracts.declared import arrow_type

    for declared in (
        "text", "integer", "bigint", "numeric(18,4)", "double precision", "boolean", "date", "timestamp", "timestamptz",
    ):  # fmt: skip
        assert hive_type(declared) == athena(arrow_type(declared))


def test_no_personal_column_is_in_the_catalogue(template: dict[str, Any], shops: dict[str, Shop]) -> None:
    personal = {
        (f"{shop.name}__{table}", column.name)
        for shop in shops.values()
        for table in shop.tables
        for column in declared_table(shop.name, table).columns
        if column.is_personal
    }
    assert ("thelook__users", "email") in personal
    for item in of_type(template, "AWS::Glue::Table").values():
        table = item["Properties"]["TableInput"]
        shown = {(table["Name"], column["Name"]) for column in table["StorageDescriptor"]["Columns"]}
        assert not shown & personal


# ---- Who may do what -------------------------------------------------------------------------------------------------


WHOLE_BUCKET = {
    ("FindBucket", "s3:GetBucketLocation"): "Firehose asks it of the bucket, before it knows a key",
    ("FindBucket", "s3:ListBucket"): "the same",
    ("FindBucket", "s3:ListBucketMultipartUploads"): "the same",
}
"""What may be done to the whole bucket, and why there is nothing narrower."""


def test_every_statement_names_its_actions_and_what_of_the_stack_they_are_for(template: dict[str, Any]) -> None:
    bucket = resolve(template, {"Fn::GetAtt": [next(iter(of_type(template, "AWS::S3::Bucket"))), "Arn"]})
    streams = [
        f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{item['Properties']['Name']}"
        for item in of_type(template, "AWS::Kinesis::Stream").values()
    ]
    group = next(iter(of_type(template, "AWS::Logs::LogGroup"))).lower()
    logs = [
        f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}:log-stream:{name.rsplit('/', 1)[1]}" for name in streams
    ]
    prefixes = [f"{bucket}/{name}/*" for name in ("inbox", "lake", "stream-archive", "stream-archive-errors")]
    allowed = [item for item in statements(template) if item.effect == "Allow"]
    assert len(allowed) == 13, [(item.owner, item.sid) for item in allowed]
    for item in allowed:
        assert item.actions and not any("*" in action or "?" in action for action in item.actions), item
        if not item.resources:  # who may take a role
            assert item.actions == ("sts:AssumeRole",), item
            continue
        assert item.sid, item
        for resource in item.resources:
            if resource == bucket and item.sid == "ListInboxAndLake":
                assert item.conditions == {"StringLikeIfExists": {"s3:prefix": ["inbox/*", "lake/*"]}}
            elif resource == bucket:
                assert {(item.sid, action) for action in item.actions} <= set(WHOLE_BUCKET), item
            else:
                assert resource in [*prefixes, *streams, *logs], item
    denied = [item for item in statements(template) if item.effect == "Deny"]
    assert [item.actions for item in denied] == [("s3:*",)], "the demand for TLS"


def test_no_policy_stands_elsewhere(template: dict[str, Any]) -> None:
    """A managed policy, or one attached from outside, would not be seen by the other tests."""
    kinds = {item["Type"] for item in template["Resources"].values()}
    assert not kinds & {"AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::User", "AWS::Lambda::Function"}
    for role in of_type(template, "AWS::IAM::Role").values():
        assert "ManagedPolicyArns" not in role["Properties"]


NEEDS = {
    "cartograph-extract": {
        "s3:ListBucket on inbox/, lake/": "list the inbox; tell an object that is gone from one that is locked",
        "s3:GetObject on inbox/, lake/": "read files, and the lake's into Postgres",
        "s3:PutObject on lake/": "write a file of the lake, in parts",
        "s3:AbortMultipartUpload on lake/": "leave no parts behind where that fails",
        "kinesis:DescribeStreamSummary": "the stream's retention and when it was made",
        "kinesis:ListShards": "its shards and their parents",
        "kinesis:GetShardIterator": "where to go on",
        "kinesis:GetRecords": "the records",
    },
    "cartograph-produce": {
        "s3:PutObject on inbox/": "upload a file, in parts",
        "s3:AbortMultipartUpload on inbox/": "leave no parts behind where that fails",
        "kinesis:DescribeStreamSummary": "say at once that the stream does not exist",
        "kinesis:PutRecords": "send lines",
    },
}
"""What Cartograph's code does on AWS, and for what. Whoever adds a call adds it here and in provisioning/access.py."""


@pytest.mark.parametrize("role", NEEDS)
def test_a_role_may_do_what_the_code_does_and_nothing_else(template: dict[str, Any], role: str) -> None:
    owner = role_named(template, role)
    granted = set()
    for item in statements(template):
        if item.owner != owner or not item.resources:
            continue
        keys = [resource.split(":::")[1].partition("/")[2] for resource in item.resources if ":s3:" in resource]
        if not any(keys):
            keys = item.conditions.get("StringLikeIfExists", {}).get("s3:prefix", [])
        places = ", ".join(key.removesuffix("*") for key in keys)
        granted |= {f"{action} on {places}" if places else action for action in item.actions}
    assert granted == set(NEEDS[role])


def test_roles_do_not_reach_into_each_others_places(template: dict[str, Any]) -> None:
    bucket = resolve(template, {"Fn::GetAtt": [next(iter(of_type(template, "AWS::S3::Bucket"))), "Arn"]})
    extract, produce = "cartograph-extract", "cartograph-produce"
    assert may(template, extract, "s3:GetObject", f"{bucket}/inbox/olist/orders.csv")
    assert may(template, extract, "s3:PutObject", f"{bucket}/lake/raw/olist/orders/a/b.parquet")
    assert may(template, extract, "s3:ListBucket", bucket, s3_prefix="inbox/olist/")
    assert may(template, extract, "kinesis:GetRecords", STREAM_ARN)
    assert may(template, produce, "s3:PutObject", f"{bucket}/inbox/olist/orders.csv")
    assert may(template, produce, "kinesis:PutRecords", STREAM_ARN)
    for role, action, resource in (
        (extract, "s3:PutObject", f"{bucket}/inbox/olist/orders.csv"),
        (extract, "s3:DeleteObject", f"{bucket}/inbox/olist/orders.csv"),
        (extract, "s3:GetObject", f"{bucket}/stream-archive/{STREAM}/2026/01/01/a.gz"),
        (extract, "s3:GetObject", f"{bucket}/inboxes/olist/orders.csv"),
        (extract, "s3:GetObject", f"{bucket}-other/inbox/olist/orders.csv"),
        (extract, "kinesis:PutRecords", STREAM_ARN),
        (extract, "kinesis:GetRecords", f"{STREAM_ARN}-other"),
        (produce, "s3:GetObject", f"{bucket}/inbox/olist/orders.csv"),
        (produce, "s3:PutObject", f"{bucket}/lake/raw/olist/orders/a/b.parquet"),
        (produce, "s3:ListBucket", bucket),
        (produce, "kinesis:GetRecords", STREAM_ARN),
        ("cartograph-delivery", "s3:PutObject", f"{bucket}/inbox/olist/orders.csv"),
    ):
        assert not may(template, role, action, resource), (role, action, resource)
    assert not may(template, extract, "s3:ListBucket", bucket, s3_prefix="stream-archive/")


def test_what_the_clients_ask_is_what_the_roles_allow(
    template: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The clients' own requests, heard on the wire: neither may one be refused, nor a right be left that none needs."""
    import boto3

    from resources.lake import Lake
    from resources.objects import ObjectStore
    from resources.settings import load_settings
    from resources.streams import KinesisStream

    bucket = next(iter(of_type(template, "AWS::S3::Bucket"))).lower()
    inbox, lake_url = f"s3://{bucket}/inbox/olist", f"s3://{bucket}/lake"
    with listening(STREAM) as (endpoint, heard):
        for name, value in {
            "AWS_ENDPOINT_URL": endpoint, "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_EC2_METADATA_DISABLED": "true",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        heard.skip = True
        # moto's servers of one process share what they hold, so other tests' streams are there as well.
        with suppress(boto3.client("kinesis").exceptions.ResourceNotFoundException):
            boto3.client("kinesis").delete_stream(StreamName=STREAM)
        boto3.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        boto3.client("kinesis").create_stream(StreamName=STREAM, ShardCount=2)
        heard.skip = False
        stream = KinesisStream(load_settings(), STREAM)

        # Random bytes, which do not get smaller: the large ones are sent in parts.
        large, small = tmp_path / "large.csv", tmp_path / "small.csv"
        large.write_bytes(os.urandom(9 << 20))
        small.write_text("a\n1\n", encoding="utf-8")
        store = ObjectStore(inbox)
        for file in (large, small):
            store.put(file, file.name)
        stream.describe()
        stream.put([("a", b"{}"), ("b", b"{}")])
        produced, heard.calls = heard.calls, set()

        for item in store.list():
            with store.open(item) as opened:
                opened.read()
            assert store.is_as_listed(item)
        lake, schema = Lake(lake_url), pa.schema([("a", pa.binary())])
        for name, size in (("raw/olist/orders/a/small.parquet", 10), ("raw/olist/orders/a/large.parquet", 9 << 20)):
            with lake.create(name, schema) as writer:
                writer.write_table(pa.table({"a": [os.urandom(size)]}, schema))
            lake.open(name).read()
        with suppress(KeyboardInterrupt), lake.create("raw/olist/orders/a/cut.parquet", schema) as writer:
            writer.write_table(pa.table({"a": [os.urandom(9 << 20)]}, schema))
            raise KeyboardInterrupt
        stream.describe()
        for shard in stream.shards():
            stream.read(shard.id, None)
        extracted = heard.calls
    for role, calls in (("cartograph-produce", produced), ("cartograph-extract", extracted)):
        for call in calls:
            context = {} if call.prefix is None else {"s3_prefix": call.prefix}
            assert may(template, role, call.action, call.resource, **context), f"{role} may not: {call}"
    # Putting a file whole or giving it up is one code for inbox and lake.
    asked = {call.action for call in produced} | {"s3:AbortMultipartUpload"}
    assert asked == {need.split(" on ")[0] for need in NEEDS["cartograph-produce"]}
    assert {call.action for call in extracted} == {need.split(" on ")[0] for need in NEEDS["cartograph-extract"]}
    # S3 tells whether an object is gone only to those who may list; that question names no prefix.
    assert may(template, "cartograph-extract", "s3:ListBucket", f"arn:aws:s3:::{bucket}")


def trust(template: dict[str, Any], role: str) -> dict[str, Any]:
    policy = template["Resources"][role_named(template, role)]["Properties"]["AssumeRolePolicyDocument"]
    (statement,) = policy["Statement"]
    return statement


def test_roles_are_for_this_account_unless_another_is_named(template: dict[str, Any], synthesise: Synthesise) -> None:
    for role in ("cartograph-extract", "cartograph-produce"):
        statement = trust(template, role)
        assert resolve(template, statement["Principal"]["AWS"]) == f"arn:aws:iam::{ACCOUNT}:root"
    firehose = trust(template, "cartograph-delivery")
    assert firehose["Principal"] == {"Service": "firehose.amazonaws.com"}
    assert firehose["Condition"] == {"StringEquals": {"sts:ExternalId": {"Ref": "AWS::AccountId"}}}
    issuer = "oidc.eks.eu-west-1.amazonaws.com/id/ABCDEF"
    other = synthesise(extract_by=f"oidc:{issuer}#data:cartograph", produce_by="account:222222222222")
    pod = trust(other, "cartograph-extract")
    assert pod["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert resolve(other, pod["Principal"]["Federated"]) == f"arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}"
    assert pod["Condition"] == {
        "StringEquals": {
            f"{issuer}:sub": "system:serviceaccount:data:cartograph",
            f"{issuer}:aud": "sts.amazonaws.com",
        }
    }
    assert resolve(other, trust(other, "cartograph-produce")["Principal"]["AWS"]) == "arn:aws:iam::222222222222:root"
    task = synthesise(extract_by="service:ecs-tasks.amazonaws.com", produce_by="service:pods.eks.amazonaws.com")
    assert trust(task, "cartograph-extract")["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
    assert trust(task, "cartograph-extract")["Action"] == "sts:AssumeRole"
    assert trust(task, "cartograph-produce")["Action"] == ["sts:AssumeRole", "sts:TagSession"]


# ---- Options, outputs, ids -------------------------------------------------------------------------------------------


def test_a_trial_leaves_nothing_behind(synthesise: Synthesise) -> None:
    trial = synthesise(ephemeral="true", name="trial-2", shards="3", retention_days="1")
    assert {item.get("DeletionPolicy", "Delete") for item in trial["Resources"].values()} == {"Delete"}
    assert {item.get("UpdateReplacePolicy", "Delete") for item in trial["Resources"].values()} == {"Delete"}
    bucket = properties(trial, "AWS::S3::Bucket")
    assert "VersioningConfiguration" not in bucket
    assert not any("NoncurrentVersionExpiration" in rule for rule in bucket["LifecycleConfiguration"]["Rules"])
    for stream in of_type(trial, "AWS::Kinesis::Stream").values():
        assert stream["Properties"]["StreamModeDetails"] == {"StreamMode": "PROVISIONED"}
        assert stream["Properties"]["ShardCount"] == 3 and stream["Properties"]["RetentionPeriodHours"] == 24
    assert properties(trial, "AWS::Glue::Database")["DatabaseInput"]["Name"] == "trial_2_lake"
    role_named(trial, "trial-2-extract")


def test_the_data_outlives_the_stack_unless_it_is_a_trial(template: dict[str, Any]) -> None:
    kept = {item["Type"] for item in template["Resources"].values() if item.get("DeletionPolicy") == "Retain"}
    assert kept == {"AWS::S3::Bucket", "AWS::S3::BucketPolicy", "AWS::Kinesis::Stream"}


@pytest.mark.parametrize(
    ("context", "words"),
    [
        ({"retention_days": "0"}, ["-c retention_days=0", "from 1 to 365"]),
        ({"retention_days": "week"}, ["-c retention_days=week", "from 1 to 365"]),
        ({"retention_days": ""}, ["-c retention_days=", "from 1 to 365"]),
        ({"shards": "-1"}, ["-c shards=-1", "from 1 to 1000"]),
        ({"ephemeral": "yes"}, ["-c ephemeral=yes", "true or false"]),
        ({"name": "Cartograph"}, ["-c name=Cartograph", "small letters"]),
        ({"extract_by": "*"}, ["-c extract_by=*", "service:ecs-tasks.amazonaws.com"]),
        ({"produce_by": "account:12"}, ["-c produce_by=account:12", "account:123456789012"]),
        ({"retention-day": "3"}, ["-c retention-day=3", "did you mean retention_days?"]),
    ],
)
def test_an_option_that_cannot_be_used_is_refused(context: dict[str, object], words: list[str]) -> None:
    from provisioning.options import OptionError, read_options

    with pytest.raises(OptionError) as refused:
        read_options(context)
    assert all(word in str(refused.value) for word in words) and "\n" not in str(refused.value)


def test_outputs_are_the_settings_of_cartograph(template: dict[str, Any]) -> None:
    import jmespath

    # The query of the README, on what describe-stacks answers.
    outputs = [
        {"OutputKey": key, "OutputValue": resolve(template, item["Value"]), "Description": item.get("Description")}
        for key, item in template["Outputs"].items()
    ]
    query = "Stacks[0].Outputs[?starts_with(OutputKey, 'Setting')].[Description, OutputValue]"
    assert query in (AWS / "README.md").read_text(encoding="utf-8")
    bucket = next(iter(of_type(template, "AWS::S3::Bucket"))).lower()
    assert dict(jmespath.search(query, {"Stacks": [{"Outputs": outputs}]})) == {
        "INBOX_URL": f"s3://{bucket}/inbox",
        "LAKE_URL": f"s3://{bucket}/lake",
        "CARTOGRAPH_STREAMS": "kinesis",
        "AWS_REGION": REGION,
    }
    from resources.settings import Settings

    known = {str(field.validation_alias) for field in Settings.model_fields.values()}
    assert {item["Description"] for item in outputs if item["Description"]} <= known
    assert {"ExtractRole", "ProduceRole"} <= set(template["Outputs"])


def test_ids_are_stable(template: dict[str, Any]) -> None:
    """A resource whose id changes is made anew: an empty bucket and an empty stream, beside those with the data."""
    ids = {name for name, item in template["Resources"].items() if item["Type"] != "AWS::Glue::Table"}
    assert ids == {
        "Bucket83908E77",
        "BucketPolicyE9A3008A",
        "StreamonlineretailinvoicelinesB2048A05",
        "DeliveryLogA9A9CBD3",
        "ArchiveonlineretailinvoicelinesLog5A69F266",
        "ArchiveonlineretailinvoicelinesDelivery5333DF3B",
        "RoledeliveryD70B47D8",
        "Catalogue",
        "Roleextract14D083D9",
        "RoleproduceE1AD33B2",
    }
    assert "Lakeonlineretailinvoicelines9C7E3CCE" in of_type(template, "AWS::Glue::Table")


def test_the_app_runs_as_cdk_runs_it(synthesise: Synthesise, tmp_path: Path) -> None:
    """`cdk` starts the command of cdk.json in its folder, with the context and the place of the output in variables."""
    command = json.loads((AWS / "cdk.json").read_text(encoding="utf-8"))["app"].split()
    assert command == ["../../.venv/bin/python", "app.py"], "the Makefile makes .venv in the project's folder"
    out = tmp_path / "out"

    def run(shops_file: Path, context: dict[str, object]) -> subprocess.CompletedProcess[str]:
        environ = {name: value for name, value in os.environ.items() if name != "JSII_NODE"}
        environ["PATH"] = str(tmp_path)  # neither Node.js nor anything else of the machine is needed
        # cdk adds to the context what is its own.
        told = json.dumps({"aws:cdk:enable-path-metadata": False, **context})
        environ |= {"CDK_OUTDIR": str(out), "CDK_CONTEXT_JSON": told, "CARTOGRAPH_SHOPS_FILE": str(shops_file)}
        return subprocess.run(
            [sys.executable, *command[1:]], cwd=AWS, env=environ, capture_output=True, encoding="utf-8",
            check=False, timeout=300,
        )  # fmt: skip

    missing = tmp_path / "none.yaml"
    refused = run(missing, {})
    assert refused.returncode == 1 and not out.exists()
    assert refused.stderr.startswith(f"{missing}: no such file.") and refused.stderr.count("\n") == 1
    done = run(ALL_SHOPS, {"name": "shop-data", "shards": 2})
    assert done.returncode == 0, done.stderr
    made = out / "Cartograph.template.json"
    assert json.loads(made.read_text(encoding="utf-8")) == synthesise(name="shop-data", shards=2)
    assert made.stat().st_size < 51_200, "CloudFormation takes no more without a bucket to put it into"
    artifacts = json.loads((out / "manifest.json").read_text(encoding="utf-8"))["artifacts"]
    stack = artifacts["Cartograph"]
    assert stack["properties"]["stackName"] == "shop-data" and "assumeRoleArn" not in stack["properties"]
    assert not [item for item in artifacts.values() if item["type"] == "cdk:asset-manifest"], "nothing else to upload"
