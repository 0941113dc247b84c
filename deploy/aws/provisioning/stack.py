"""The stack: a bucket for inbox and lake, streams with an archive, the catalogue, roles, and Cartograph's settings."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kinesisfirehose as firehose
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct

from provisioning.access import (
    ARCHIVE,
    ARCHIVE_ERRORS,
    INBOX,
    LAKE,
    delivery_policy,
    extract_policy,
    principal,
    produce_policy,
)
from provisioning.catalogue import PARQUET_INPUT, PARQUET_OUTPUT, PARQUET_SERDE, LakeTable, lake_tables
from provisioning.options import Options
from resources.shops import Shop

UNDO_DAYS = 30
"""So long can a file that was overwritten or deleted be brought back."""
COLD_AFTER_DAYS = 90
"""After so long the archive is in cheaper storage."""


class CartographStack(cdk.Stack):
    """All that Cartograph needs on AWS for some shops; nothing has to be looked up to describe it."""

    def __init__(self, scope: Construct, options: Options, shops: dict[str, Shop]) -> None:
        """
        Args:
            shops: their streams are made, and their raw tables stand in the catalogue.

        Raises:
            DeclarationError: a table of a shop is not declared, or cannot be loaded.
        """
        # There are no assets, so the template is all: the account need not be bootstrapped, and CloudFormation takes
        # it without the CDK too.
        super().__init__(
            scope,
            "Cartograph",
            stack_name=options.name,
            description="Cartograph: inbox and lake, streams and their archive, catalogue, roles",
            synthesizer=cdk.LegacyStackSynthesizer(),
            # CloudFormation takes 51,200 bytes as they are, and no more.
            suppress_template_indentation=True,
        )
        self.options = options
        self.keep = cdk.RemovalPolicy.DESTROY if options.ephemeral else cdk.RemovalPolicy.RETAIN
        bucket = self._bucket()
        tables = [table for shop in shops.values() for table in shop.tables.values()]
        streams = {name: self._stream(name) for name in dict.fromkeys(table.stream for table in tables) if name}
        arns = [stream.stream_arn for stream in streams.values()]
        if streams:
            self._archive(bucket, streams)
        self._catalogue(bucket, lake_tables(shops))
        may_extract, may_produce = extract_policy(bucket.bucket_arn, arns), produce_policy(bucket.bucket_arn, arns)
        roles = [
            self._role("extract", principal(options.extract_by), may_extract),
            self._role("produce", principal(options.produce_by), may_produce),
        ]
        self._outputs(bucket, roles, has_streams=bool(streams))

    def _bucket(self) -> s3.Bucket:
        """One bucket for all: its parts are told apart by prefix, in lifecycles and in what roles may do."""
        # A bucket with versions in it takes more than one command to empty, which a trial is to be spared.
        has_versions = not self.options.ephemeral
        rules = [
            # A writer that was killed leaves the parts of its upload behind: paid for, and in no listing.
            s3.LifecycleRule(
                id="abort-unfinished-uploads", abort_incomplete_multipart_upload_after=cdk.Duration.days(1)
            ),
            s3.LifecycleRule(
                id="archive-to-cheaper-storage",
                prefix=f"{ARCHIVE}/",
                transitions=[
                    s3.Transition(
                        storage_class=s3.StorageClass.GLACIER_INSTANT_RETRIEVAL,
                        transition_after=cdk.Duration.days(COLD_AFTER_DAYS),
                    )
                ],
            ),
        ]
        if has_versions:
            # Files of the lake never change and can be made anew; one that is deleted was meant to go.
            for prefix, days in ((INBOX, UNDO_DAYS), (LAKE, 1), (ARCHIVE, UNDO_DAYS), (ARCHIVE_ERRORS, UNDO_DAYS)):
                rules.append(
                    s3.LifecycleRule(
                        id=f"forget-old-versions-in-{prefix}",
                        prefix=f"{prefix}/",
                        noncurrent_version_expiration=cdk.Duration.days(days),
                        expired_object_delete_marker=True,
                    )
                )
        bucket = s3.Bucket(
            self,
            "Bucket",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            # The inbox may hold the only copy of what a shop sent, and a corrected file overwrites it.
            versioned=has_versions,
            lifecycle_rules=rules,
            removal_policy=self.keep,
        )
        if bucket.policy is not None:  # a bucket that stays keeps its demand for TLS
            bucket.policy.apply_removal_policy(self.keep)
        return bucket

    def _stream(self, name: str) -> kinesis.Stream:
        is_provisioned = self.options.shards is not None
        return kinesis.Stream(
            self,
            f"Stream-{name}",
            stream_name=name,
            stream_mode=kinesis.StreamMode.PROVISIONED if is_provisioned else kinesis.StreamMode.ON_DEMAND,
            shard_count=self.options.shards,
            retention_period=cdk.Duration.days(self.options.retention_days),
            # The key that AWS holds for Kinesis: who may use the stream may use it, so no role needs a right to a key.
            encryption=kinesis.StreamEncryption.MANAGED,
            removal_policy=self.keep,
        )

    def _archive(self, bucket: s3.Bucket, streams: dict[str, kinesis.Stream]) -> None:
        """Deliver each stream's records, one a line, into the bucket, where they outlive the stream's retention."""
        log = logs.LogGroup(
            self, "DeliveryLog", retention=logs.RetentionDays.ONE_MONTH, removal_policy=cdk.RemovalPolicy.DESTROY
        )
        # In scopes of their own, or names that differ by a hyphen would be one resource.
        scopes = {name: Construct(self, f"Archive-{name}") for name in streams}
        log_streams = {
            name: logs.CfnLogStream(scope, "Log", log_group_name=log.log_group_name, log_stream_name=name)
            for name, scope in scopes.items()
        }
        log_arns = [
            self.format_arn(
                service="logs",
                resource="log-group",
                resource_name=f"{log.log_group_name}:log-stream:{name}",
                arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
            )
            for name in streams
        ]
        # The condition keeps out a Firehose that acts for another account.
        by_firehose = iam.ServicePrincipal(
            "firehose.amazonaws.com", conditions={"StringEquals": {"sts:ExternalId": cdk.Aws.ACCOUNT_ID}}
        )
        arns = [stream.stream_arn for stream in streams.values()]
        role = self._role("delivery", by_firehose, delivery_policy(bucket.bucket_arn, arns, log_arns))
        to = firehose.CfnDeliveryStream
        newline = to.ProcessorParameterProperty(parameter_name="Delimiter", parameter_value="\\n")
        for name, stream in streams.items():
            to(
                scopes[name],
                "Delivery",
                delivery_stream_name=f"{name}-archive",
                delivery_stream_type="KinesisStreamAsSource",
                kinesis_stream_source_configuration=to.KinesisStreamSourceConfigurationProperty(
                    kinesis_stream_arn=stream.stream_arn, role_arn=role.role_arn
                ),
                extended_s3_destination_configuration=to.ExtendedS3DestinationConfigurationProperty(
                    bucket_arn=bucket.bucket_arn,
                    role_arn=role.role_arn,
                    prefix=f"{ARCHIVE}/{name}/!{{timestamp:yyyy/MM/dd}}/",
                    error_output_prefix=f"{ARCHIVE_ERRORS}/{name}/!{{firehose:error-output-type}}/"
                    "!{timestamp:yyyy/MM/dd}/",
                    compression_format="GZIP",
                    # Few and large objects: an archive is read seldom, and each object has its price.
                    buffering_hints=to.BufferingHintsProperty(interval_in_seconds=900, size_in_m_bs=64),
                    processing_configuration=to.ProcessingConfigurationProperty(
                        enabled=True,
                        # Without it records stand one behind the other with nothing between.
                        processors=[to.ProcessorProperty(type="AppendDelimiterToRecord", parameters=[newline])],
                    ),
                    cloud_watch_logging_options=to.CloudWatchLoggingOptionsProperty(
                        enabled=True, log_group_name=log.log_group_name, log_stream_name=log_streams[name].ref
                    ),
                ),
            )

    def _catalogue(self, bucket: s3.Bucket, tables: list[LakeTable]) -> None:
        """The lake for Athena. It holds no data, so it always goes with the stack."""
        database = glue.CfnDatabase(
            self,
            "Catalogue",
            catalog_id=cdk.Aws.ACCOUNT_ID,
            database_input=glue.CfnDatabase.DatabaseInputProperty(
                name=f"{self.options.name.replace('-', '_')}_lake",
                description="Cartograph's lake: all extracts of all raw tables, without personal columns.",
            ),
        )
        to, scope = glue.CfnTable, Construct(self, "Lake")
        for table in tables:
            to(
                scope,
                table.name,
                catalog_id=cdk.Aws.ACCOUNT_ID,
                database_name=database.ref,
                table_input=to.TableInputProperty(
                    name=table.name,
                    description=table.description,
                    table_type="EXTERNAL_TABLE",
                    parameters={"classification": "parquet", "EXTERNAL": "TRUE"},
                    storage_descriptor=to.StorageDescriptorProperty(
                        location=f"s3://{bucket.bucket_name}/{LAKE}/{table.folder}",
                        input_format=PARQUET_INPUT,
                        output_format=PARQUET_OUTPUT,
                        serde_info=to.SerdeInfoProperty(serialization_library=PARQUET_SERDE),
                        columns=[to.ColumnProperty(name=column, type=kind) for column, kind in table.columns],
                    ),
                ),
            )

    def _role(self, name: str, assumed_by: iam.IPrincipal, policy: iam.PolicyDocument) -> iam.Role:
        return iam.Role(
            self,
            f"Role-{name}",
            role_name=f"{self.options.name}-{name}",
            assumed_by=assumed_by,
            inline_policies={name: policy},
        )

    def _outputs(self, bucket: s3.Bucket, roles: list[iam.Role], has_streams: bool) -> None:
        """The settings of Cartograph, each described by the variable's name, and the roles to run it under."""
        settings = {
            "INBOX_URL": f"s3://{bucket.bucket_name}/{INBOX}",
            "LAKE_URL": f"s3://{bucket.bucket_name}/{LAKE}",
            "AWS_REGION": cdk.Aws.REGION,
        }
        if has_streams:
            settings["CARTOGRAPH_STREAMS"] = "kinesis"
        for variable, value in settings.items():
            name = variable.title().replace("_", "")
            cdk.CfnOutput(self, f"Setting{name}", description=variable, value=value)
        for role in roles:
            cdk.CfnOutput(self, f"{role.node.id.removeprefix('Role-').title()}Role", value=role.role_arn)
