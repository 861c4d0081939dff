# rowhook as one static binary, without a shell, as an unprivileged user.
#
#   docker build -t rowhook .
#   docker run --read-only -p 127.0.0.1:8477:8477 -v ./config.yaml:/etc/rowhook/config.yaml:ro -e DATABASE_URL -e ROWHOOK_TOKEN rowhook
#
# In a container api.listen must be :8477: its default, 127.0.0.1, is the container's own.

FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/rowhook ./cmd/rowhook

# The receiver of docker-compose.yml; not part of the product.
FROM build AS build-receiver
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o /out/receiver ./examples/receiver

FROM gcr.io/distroless/static-debian12:nonroot AS receiver
COPY --from=build-receiver /out/receiver /receiver
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/receiver"]

# It has the certificates of the public authorities, which targets are checked against.
FROM gcr.io/distroless/static-debian12:nonroot AS rowhook
COPY --from=build /out/rowhook /rowhook
USER 65532:65532
EXPOSE 8477
ENTRYPOINT ["/rowhook"]
CMD ["run", "--config", "/etc/rowhook/config.yaml"]
