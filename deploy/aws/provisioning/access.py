"""Who may do what: the statements of the roles, each naming its actions, its resources and their prefixes."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

INBOX, LAKE, ARCHIVE, ARCHIVE_ERRORS = "inbox", "lake", "stream-archive", "stream-archive-errors"
"""What the bucket holds, by the first part of its keys."""


def extract_policy(bucket_arn: str, stream_arns: list[str]) -> iam.PolicyDocument:
    """What `cartograph` does where it extracts: read the inbox and the streams, read and write the lake."""
    return iam.PolicyDocument(
        statements=[
            # Without the right to list, S3 answers 403 for an object that is gone, where 404 is the truth. That
            # question has no prefix, hence IfExists.
            _allow(
                "ListInboxAndLake",
                ["s3:ListBucket"],
                [bucket_arn],
                {"StringLikeIfExists": {"s3:prefix": [f"{INBOX}/*", f"{LAKE}/*"]}},
            ),
            _allow("ReadInboxAndLake", ["s3:GetObject"], _below(bucket_arn, INBOX, LAKE)),
            _allow("WriteLake", ["s3:AbortMultipartUpload", "s3:PutObject"], _below(bucket_arn, LAKE)),
            *_on_streams(
                "ConsumeStreams",
                [
                    "kinesis:DescribeStreamSummary",
                    "kinesis:GetRecords",
                    "kinesis:GetShardIterator",
                    "kinesis:ListShards",
                ],
                stream_arns,
            ),
        ]
    )


def produce_policy(bucket_arn: str, stream_arns: list[str]) -> iam.PolicyDocument:
    """What a producer does: upload files to the inbox and put records; it reads nothing back."""
    return iam.PolicyDocument(
        statements=[
            _allow("UploadToInbox", ["s3:AbortMultipartUpload", "s3:PutObject"], _below(bucket_arn, INBOX)),
            *_on_streams("SendRecords", ["kinesis:DescribeStreamSummary", "kinesis:PutRecords"], stream_arns),
        ]
    )


def delivery_policy(bucket_arn: str, stream_arns: list[str], log_arns: list[str]) -> iam.PolicyDocument:
    """What Firehose does: read the streams, write the archive, and log what it cannot deliver."""
    return iam.PolicyDocument(
        statements=[
            _allow(
                "ReadStreams",
                ["kinesis:DescribeStream", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards"],
                stream_arns,
            ),
            # Firehose asks these of the whole bucket, before it knows a key.
            _allow(
                "FindBucket",
                ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"],
                [bucket_arn],
            ),
            _allow(
                "WriteArchive",
                ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"],
                _below(bucket_arn, ARCHIVE, ARCHIVE_ERRORS),
            ),
            _allow("LogErrors", ["logs:PutLogEvents"], log_arns),
        ]
    )


def principal(who: str) -> iam.IPrincipal:
    """Those who may take a role, from the option that names them (`provisioning/options.py` checks its form)."""
    kind, _, value = who.partition(":")
    if kind == "account":
        return iam.AccountPrincipal(value or cdk.Aws.ACCOUNT_ID)
    if kind == "service":
        service = iam.ServicePrincipal(value)
        # EKS Pod Identity tags the sessions that it opens.
        return iam.SessionTagsPrincipal(service) if value == "pods.eks.amazonaws.com" else service
    issuer, _, account = value.partition("#")
    return iam.WebIdentityPrincipal(
        f"arn:{cdk.Aws.PARTITION}:iam::{cdk.Aws.ACCOUNT_ID}:oidc-provider/{issuer}",
        {
            "StringEquals": {
                f"{issuer}:sub": f"system:serviceaccount:{account}",
                f"{issuer}:aud": "sts.amazonaws.com",
            }
        },
    )


def _allow(
    sid: str, actions: list[str], resources: list[str], conditions: dict[str, object] | None = None
) -> iam.PolicyStatement:
    return iam.PolicyStatement(sid=sid, actions=actions, resources=resources, conditions=conditions)


def _on_streams(sid: str, actions: list[str], stream_arns: list[str]) -> list[iam.PolicyStatement]:
    # A statement without a resource is refused by IAM.
    return [_allow(sid, actions, stream_arns)] if stream_arns else []


def _below(bucket_arn: str, *prefixes: str) -> list[str]:
    return [f"{bucket_arn}/{prefix}/*" for prefix in prefixes]
