"""Prints what FastAPI answers for a model of each column of table matrix, read with psycopg2. See README.md."""
import datetime
import decimal
import sys
import uuid
from typing import Any, Dict, List, Optional

import fastapi
import psycopg2
import psycopg2.extras
import pydantic
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse

print(f"fastapi {fastapi.__version__}, pydantic {pydantic.VERSION}, psycopg2 {psycopg2.__version__}", file=sys.stderr)

# The annotations that a model of such a table has.
TYPES = {
    "int2": int, "int4": int, "int8": int, "percent": int, "oid": int, "xid8": int, "numeric": decimal.Decimal, "cents": decimal.Decimal,
    "float4": float, "float8": float, "bool": bool, "bytea": bytes, "date": datetime.date, "time": datetime.time,
    "timetz": datetime.time, "timestamp": datetime.datetime, "timestamptz": datetime.datetime, "interval": datetime.timedelta,
    "uuid": uuid.UUID, "json": Any, "jsonb": Any, "hstore": Dict[str, Optional[str]], "tags": List[Optional[str]],
}


def annotation(type_name, dimensions):
    if type_name.endswith("[]"):
        inner = annotation(type_name[:-2], 1)
        for _ in range(dimensions):
            inner = List[Optional[inner]]
        return inner
    return TYPES.get(type_name.split("(")[0], str)


connection = psycopg2.connect(sys.argv[1])
connection.autocommit = True
with connection.cursor() as cursor:
    cursor.execute("set timezone to 'UTC'")
psycopg2.extras.register_hstore(connection)
psycopg2.extras.register_uuid()
with connection.cursor() as cursor:
    cursor.execute("select name, type from cases order by n")
    cases = cursor.fetchall()
for name, type_name in cases:
    try:
        with connection.cursor() as cursor:
            dimensions = 1
            if type_name.endswith("[]"):
                cursor.execute(f"select array_ndims({name}) from matrix")
                dimensions = cursor.fetchone()[0] or 1
            cursor.execute(f"select {name} from matrix")
            value = cursor.fetchone()[0]
        # A route's response model is validated, then encoded, then rendered: serialize_response and JSONResponse.
        model = pydantic.create_model("Row", **{name: (Optional[annotation(type_name, dimensions)], ...)})
        body = JSONResponse(jsonable_encoder(model(**{name: value}))).body.decode()
        print(f"{name}\t{body[len(name) + 4:-1]}")
    except Exception as error:  # noqa: BLE001
        print(f"{name}\t! {type(error).__name__}")
