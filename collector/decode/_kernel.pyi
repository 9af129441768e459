from collections.abc import Sequence

import pyarrow as pa

from collector.model.envelope import Envelope

def decode(envelopes: Sequence[Envelope]) -> pa.RecordBatch: ...
def check_columns(schema: pa.Schema) -> None: ...
