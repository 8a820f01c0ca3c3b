# syntax=docker/dockerfile:1
# The program alone on a small Debian: built in one stage, run in another, not as root.
FROM rust:1.95-bookworm AS build
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/source/target \
    cargo build --release --locked -p daybook && cp target/release/daybook /usr/local/bin/daybook

FROM debian:bookworm-slim
RUN useradd --system --uid 10001 --create-home daybook && mkdir /data && chown daybook /data
COPY --from=build /usr/local/bin/daybook /usr/local/bin/daybook
USER daybook
VOLUME /data
EXPOSE 8080
ENTRYPOINT ["daybook"]
CMD ["serve", "--data", "/data", "--listen", "0.0.0.0:8080"]
