"""What `benchmarks.loading` runs in an environment that has dlt: a Parquet file into Postgres by it, in seconds.

Arguments: the folder of the file, the URL of the database, and `defaults` (rows, as the tutorial of the file source has
it) or `fast` (Arrow tables, loaded as Parquet through ADBC, the quickest way that its documentation names).
"""

from __future__ import annotations

import sys
import tempfile
import time

import dlt
from dlt.sources.filesystem import filesystem, read_parquet


def main() -> None:
    folder, url, way = sys.argv[1:]
    fast = way == "fast"
    with tempfile.TemporaryDirectory() as work:
        pipeline = dlt.pipeline(
            "bench", destination=dlt.destinations.postgres(url), dataset_name=f"dlt_{way}", pipelines_dir=work
        )
        files = filesystem(bucket_url=f"file://{folder}", file_glob="*.parquet")
        reader = read_parquet(chunksize=100_000, use_pyarrow=True) if fast else read_parquet()
        began = time.perf_counter()
        info = pipeline.run((files | reader).with_name("rows"), loader_file_format="parquet" if fast else None)
        info.raise_on_failed_jobs()
        print(time.perf_counter() - began)


if __name__ == "__main__":
    main()
