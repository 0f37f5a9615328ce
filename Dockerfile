# syntax=docker/dockerfile:1
# parlance in a small image: `docker build -t parlance .`. Serves on port 8080 as an ordinary user; all state is in /data.

FROM rust:1-trixie AS build
WORKDIR /src
COPY . .
# The caches stay with the builder; only the binary goes on.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --profile dist -p parlance --bin parlance && \
    install -D target/dist/parlance /out/parlance

FROM debian:trixie-slim
# The certificates of public authorities: for TLS to Postgres, NATS and S3.
RUN apt-get update && \
    apt-get install -y --no-install-recommends ca-certificates && \
    rm -rf /var/lib/apt/lists/* && \
    useradd --system --uid 10001 --home-dir /data --no-create-home parlance && \
    install -d -o parlance -g parlance -m 700 /data
COPY --from=build /out/parlance /usr/local/bin/parlance
USER parlance
WORKDIR /data
VOLUME /data
ENV PARLANCE_DATA_DIR=/data PARLANCE_LISTEN=0.0.0.0:8080
EXPOSE 8080
# Whether it is ready, by PARLANCE_LISTEN.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["parlance", "healthcheck"]
ENTRYPOINT ["parlance"]
