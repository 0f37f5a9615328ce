# syntax=docker/dockerfile:1
# parlance in a small image: `docker build -t parlance .`. Serves on port 8080 as an ordinary user; all state is in /data.

FROM rust:1-bookworm AS build
WORKDIR /src
COPY . .
# The caches stay with the builder; only the binary goes on.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --profile dist -p api-actix --bin parlance && \
    install -D target/dist/parlance /out/parlance

FROM debian:bookworm-slim
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
# No curl in the image: bash speaks enough HTTP for a yes or no.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /ready HTTP/1.0\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200 '"]
ENTRYPOINT ["parlance"]
