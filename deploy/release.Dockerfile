# The image of a release: the binary that is in the archives too. The Dockerfile of the sources makes the same from a checkout.
FROM gcr.io/distroless/static-debian12:nonroot
ARG TARGETPLATFORM
COPY ${TARGETPLATFORM}/rowhook /rowhook
USER 65532:65532
EXPOSE 8477
ENTRYPOINT ["/rowhook"]
CMD ["run", "--config", "/etc/rowhook/config.yaml"]
