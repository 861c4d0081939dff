#!/usr/bin/env python3
"""A small CRM with a REST API, made with Django REST framework, in one file.

    DATABASE_URL=postgres://localhost/crm python3 app.py --listen 127.0.0.1:3000

It knows nothing of rowhook: config.yaml, beside it, makes the bodies that this API returns from the rows of the database.
"""

import argparse
import hashlib
import hmac
import os
import re
import secrets
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qsl, unquote, urlparse
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import django
from django.conf import settings


def database(url):
    u = urlparse(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(u.path.lstrip("/")),
        "USER": unquote(u.username or ""),
        "PASSWORD": unquote(u.password or ""),
        "HOST": unquote(u.hostname or ""),
        "PORT": str(u.port or ""),
        "CONN_MAX_AGE": 60,
        "OPTIONS": dict(parse_qsl(u.query)),
    }


settings.configure(
    DEBUG=False,
    SECRET_KEY=os.environ.get("SECRET_KEY", "only-for-the-example"),
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    DATABASES={"default": database(os.environ.get("DATABASE_URL", "postgres:///crm"))},
    INSTALLED_APPS=["rest_framework"],
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    USE_TZ=True,
    TIME_ZONE="UTC",
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "DEFAULT_PERMISSION_CLASSES": [],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
        "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.PageNumberPagination",
        "PAGE_SIZE": 25,
        "UNAUTHENTICATED_USER": None,
    },
)
django.setup()

from django.contrib.auth.hashers import check_password  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import models  # noqa: E402
from django.urls import include, path  # noqa: E402
from django.utils import timezone  # noqa: E402
from rest_framework import authentication, exceptions, permissions, routers, serializers, viewsets  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402

# The tables: schema.sql has made them.


class Table(models.Model):
    class Meta:
        abstract = True


def table(name):
    return type("Meta", (), {"app_label": "crm", "db_table": name, "managed": False})


class User(Table):
    account_id = models.BigIntegerField(null=True)
    email = models.TextField()
    role = models.TextField()
    password = models.TextField(null=True)
    is_authenticated = True
    Meta = table("users")


class Token(Table):
    sha256 = models.TextField(primary_key=True)
    user = models.ForeignKey(User, models.CASCADE)
    Meta = table("tokens")


class Company(Table):
    account_id = models.BigIntegerField()
    name = models.TextField()
    domain = models.TextField(null=True)
    employees = models.IntegerField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    Meta = table("companies")


class Contact(Table):
    STAGES = [(0, "lead"), (1, "customer"), (2, "lost")]
    account_id = models.BigIntegerField()
    company = models.ForeignKey(Company, models.SET_NULL, null=True)
    first_name = models.TextField()
    last_name = models.TextField(default="", blank=True)
    email = models.TextField(null=True)
    stage = models.SmallIntegerField(choices=STAGES, default=0)
    street = models.TextField(null=True)
    city = models.TextField(null=True)
    country = models.TextField(null=True)
    birthday = models.DateField(null=True)
    score = models.FloatField(null=True)
    custom = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True)
    Meta = table("contacts")


class Tag(Table):
    account_id = models.BigIntegerField()
    name = models.TextField()
    Meta = table("tags")


class ContactTag(Table):
    contact = models.ForeignKey(Contact, models.CASCADE, related_name="contact_tags")
    tag = models.ForeignKey(Tag, models.CASCADE, related_name="contact_tags")
    position = models.IntegerField()
    Meta = table("contact_tags")


class Deal(Table):
    id = models.UUIDField(primary_key=True)
    account_id = models.BigIntegerField()
    contact = models.ForeignKey(Contact, models.SET_NULL, null=True)
    title = models.TextField()
    amount = models.DecimalField(max_digits=12, decimal_places=2)
    probability = models.DecimalField(max_digits=5, decimal_places=4, null=True)
    closes_on = models.DateField(null=True)
    won_at = models.DateTimeField(null=True)
    Meta = table("deals")


class DealLine(Table):
    deal = models.ForeignKey(Deal, models.CASCADE, related_name="lines")
    product = models.TextField()
    quantity = models.IntegerField()
    unit_price = models.DecimalField(max_digits=12, decimal_places=2)
    Meta = table("deal_lines")


# What the API returns.


class CompanyName(serializers.ModelSerializer):
    class Meta:
        model = Company
        fields = ["id", "name"]


class ContactSerializer(serializers.ModelSerializer):
    name = serializers.SerializerMethodField()
    stage = serializers.SerializerMethodField()
    address = serializers.SerializerMethodField()
    company = CompanyName(read_only=True)
    company_id = serializers.PrimaryKeyRelatedField(source="company", queryset=Company.objects, write_only=True, required=False, allow_null=True)
    tags = serializers.SerializerMethodField()
    avatar_url = serializers.SerializerMethodField()
    links = serializers.SerializerMethodField()

    class Meta:
        model = Contact
        fields = [
            "id", "name", "first_name", "last_name", "email", "stage", "address", "company", "company_id", "tags", "birthday", "score",
            "custom", "avatar_url", "links", "created_at", "updated_at",
        ]

    def get_name(self, c):
        return f"{c.first_name} {c.last_name}".strip()

    def get_stage(self, c):
        return c.get_stage_display()

    def get_address(self, c):
        return {"street": c.street, "city": c.city, "country": c.country}

    def get_tags(self, c):
        return [t.tag.name for t in c.contact_tags.select_related("tag").order_by("position", "id")]

    def get_avatar_url(self, c):
        # Only the application has the key.
        signature = hmac.new(settings.SECRET_KEY.encode(), str(c.id).encode(), hashlib.sha256).hexdigest()
        return f"https://avatars.example.com/{c.id}.png?signature={signature[:16]}"

    def get_links(self, c):
        return {"self": f"/api/contacts/{c.id}/"}

    def validate_company_id(self, company):
        if company and company.account_id != self.context["request"].user.account_id:
            raise exceptions.ValidationError("there is no such company")
        return company


class CompanySerializer(serializers.ModelSerializer):
    contacts = serializers.SerializerMethodField()

    class Meta:
        model = Company
        fields = ["id", "name", "domain", "employees", "contacts", "created_at"]

    def get_contacts(self, c):
        return [{"id": x.id, "email": x.email} for x in c.contact_set.order_by("id")]


class TagSerializer(serializers.ModelSerializer):
    used = serializers.SerializerMethodField()

    class Meta:
        model = Tag
        fields = ["id", "name", "used"]

    def get_used(self, t):
        return t.contact_tags.count()


class LineSerializer(serializers.ModelSerializer):
    class Meta:
        model = DealLine
        fields = ["product", "quantity", "unit_price"]


class DealSerializer(serializers.ModelSerializer):
    contact = serializers.SerializerMethodField()
    lines = serializers.SerializerMethodField()
    total = serializers.SerializerMethodField()
    status = serializers.SerializerMethodField()

    class Meta:
        model = Deal
        fields = ["id", "title", "status", "amount", "probability", "total", "lines", "contact", "closes_on", "won_at"]

    def get_contact(self, d):
        c = d.contact
        return c and {"id": c.id, "name": f"{c.first_name} {c.last_name}".strip(), "company": c.company and c.company.name}

    def get_lines(self, d):
        return LineSerializer(d.lines.order_by("id"), many=True).data

    def get_total(self, d):
        return "{:.2f}".format(sum(x.quantity * x.unit_price for x in d.lines.all()))

    def get_status(self, d):
        return "won" if d.won_at else "open"


# Who may see and do what: a customer what is his, a service everything, but it changes nothing.


class TokenLogin(authentication.BaseAuthentication):
    def authenticate(self, request):
        m = re.fullmatch(r"Bearer (\S+)", request.headers.get("Authorization", ""))
        if not m:
            return None
        token = Token.objects.filter(sha256=hashlib.sha256(m[1].encode()).hexdigest()).select_related("user").first()
        if not token:
            raise exceptions.AuthenticationFailed("the token is not known")
        return token.user, None

    def authenticate_header(self, request):
        return "Bearer"


class LoggedIn(permissions.BasePermission):
    def has_permission(self, request, view):
        return bool(request.user) and (request.method in permissions.SAFE_METHODS or request.user.account_id is not None)


class Protected:
    authentication_classes = [TokenLogin]
    permission_classes = [LoggedIn]


class OwnRows(Protected, viewsets.ModelViewSet):
    def get_queryset(self):
        rows = self.queryset.all()
        account = self.request.user.account_id
        return rows if account is None else rows.filter(account_id=account)

    def perform_create(self, serializer):
        serializer.save(account_id=self.request.user.account_id)


class Contacts(OwnRows):
    queryset = Contact.objects.filter(deleted_at=None).select_related("company").order_by("id")
    serializer_class = ContactSerializer

    def perform_destroy(self, contact):
        contact.deleted_at = timezone.now()
        contact.save()


class Companies(OwnRows):
    queryset = Company.objects.order_by("id")
    serializer_class = CompanySerializer


class Tags(OwnRows):
    queryset = Tag.objects.order_by("id")
    serializer_class = TagSerializer


class Deals(OwnRows):
    queryset = Deal.objects.select_related("contact__company").order_by("id")
    serializer_class = DealSerializer
    http_method_names = ["get", "head", "options"]


class Login(APIView):
    def post(self, request):
        user = User.objects.filter(email=str(request.data.get("email"))).first()
        if not user or not check_password(str(request.data.get("password")), user.password or "!"):
            raise exceptions.PermissionDenied("email or password are wrong")
        token = secrets.token_hex(20)
        Token.objects.create(sha256=hashlib.sha256(token.encode()).hexdigest(), user=user)
        return Response({"token": token})


class Me(Protected, APIView):
    def get(self, request):
        u = request.user
        return Response({"id": u.id, "email": u.email, "role": u.role, "account": u.account_id and {"id": u.account_id}})


router = routers.SimpleRouter()
router.register("contacts", Contacts)
router.register("companies", Companies)
router.register("tags", Tags)
router.register("deals", Deals)
urlpatterns = [path("api/login", Login.as_view()), path("api/me", Me.as_view()), path("api/", include(router.urls))]

application = get_wsgi_application()


class Server(WSGIServer):
    """Serves from a few threads, each of which keeps its connection to the database."""

    pool = ThreadPoolExecutor(8)

    def process_request(self, request, client_address):
        self.pool.submit(self.serve, request, client_address)

    def serve(self, request, client_address):
        try:
            self.finish_request(request, client_address)
        except Exception:
            self.handle_error(request, client_address)
        finally:
            self.shutdown_request(request)


class Quiet(WSGIRequestHandler):
    def log_message(self, *args):
        pass


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="The example application.")
    arguments.add_argument("--listen", default="127.0.0.1:3000", help="host:port")
    host, _, port = arguments.parse_args().listen.rpartition(":")
    with make_server(host, int(port), application, Server, Quiet) as server:
        print(f"listening on http://{host}:{server.server_port}/api/", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass
