"""Prints what a ModelSerializer of Django REST framework says of each column of table matrix. See README.md."""
import re
import sys
import warnings
from urllib.parse import urlparse

import django
from django.conf import settings

warnings.simplefilter("ignore")
url = urlparse(sys.argv[1])
settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.postgres", "rest_framework"],
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": url.path[1:], "USER": url.username,
                           "PASSWORD": url.password or "", "HOST": url.hostname, "PORT": url.port}},
    USE_TZ=True, TIME_ZONE="UTC", DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)
django.setup()

from django.contrib.postgres import fields as pg  # noqa: E402
from django.db import connection, models  # noqa: E402
from rest_framework import VERSION, renderers, serializers  # noqa: E402

print(f"django {django.__version__}, djangorestframework {VERSION}", file=sys.stderr)

# What inspectdb makes of a type, and django.contrib.postgres has fields for. A type that neither knows has none.
SIMPLE = {
    "int2": models.SmallIntegerField, "int4": models.IntegerField, "int8": models.BigIntegerField, "percent": models.IntegerField,
    "float4": models.FloatField, "float8": models.FloatField, "bool": models.BooleanField, "text": models.TextField,
    "citext": pg.CITextField, "bytea": models.BinaryField, "date": models.DateField, "time": models.TimeField,
    "timestamp": models.DateTimeField, "timestamptz": models.DateTimeField, "interval": models.DurationField,
    "uuid": models.UUIDField, "json": models.JSONField, "jsonb": models.JSONField, "mood": models.TextField,
    "name": models.TextField, "xml": models.TextField, "ltree": models.TextField, "inet": models.GenericIPAddressField,
    "int4range": pg.IntegerRangeField, "int8range": pg.BigIntegerRangeField, "numrange": pg.DecimalRangeField,
    "daterange": pg.DateRangeField, "tstzrange": pg.DateTimeRangeField, "hstore": pg.HStoreField, "oid": models.BigIntegerField,
}
PARAMETERS = {"varchar": lambda n="255": models.CharField(max_length=int(n), null=True), "char": lambda n: models.CharField(max_length=int(n)),
              "numeric": lambda p, s: models.DecimalField(max_digits=int(p), decimal_places=int(s))}


def field(type_name):
    if type_name.endswith("[]"):
        inner = field(type_name[:-2])
        return inner and pg.ArrayField(inner, null=True)
    if type_name == "cents":
        return models.DecimalField(max_digits=10, decimal_places=2)
    if type_name == "tags":
        return pg.ArrayField(models.TextField())
    if type_name in SIMPLE:
        return SIMPLE[type_name](null=True)
    m = re.fullmatch(r"(\w+)(?:\((.*)\))?", type_name)
    if m and m[1] in PARAMETERS and (m[2] or m[1] == "varchar") and "-" not in (m[2] or ""):
        return PARAMETERS[m[1]](*(m[2].split(",") if m[2] else []))
    return None


with connection.cursor() as cursor:
    cursor.execute("select name, type from cases order by n")
    cases = cursor.fetchall()
for number, (name, type_name) in enumerate(cases):
    made = field(type_name)
    if made is None:
        print(f"{name}\t! no field")
        continue
    try:
        with connection.cursor() as cursor:
            if type_name.endswith("[]"):
                cursor.execute(f"select array_ndims({name}) from matrix")
                for _ in range((cursor.fetchone()[0] or 1) - 1):
                    made = pg.ArrayField(made)
        model = type(f"Matrix{number}", (models.Model,), {
            "__module__": __name__, name: made,
            "Meta": type("Meta", (), {"app_label": "matrix", "db_table": "matrix", "managed": False})})
        serializer = type("S", (serializers.ModelSerializer,), {"Meta": type("Meta", (), {"model": model, "fields": [name]})})
        body = renderers.JSONRenderer().render(serializer(model.objects.get(pk=1)).data).decode()
        print(f"{name}\t{body[len(name) + 4:-1]}")
    except Exception as error:  # noqa: BLE001
        connection.close()
        print(f"{name}\t! {type(error).__name__}")
