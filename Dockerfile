# Callweave without compiler or root, and without anything that it writes outside of /tmp: `docker run --read-only --tmpfs /tmp`.
FROM python:3.11-slim AS build
RUN python -m venv /build
RUN /build/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
RUN /build/bin/uv venv --quiet /environment
COPY requirements-run.lock /callweave/requirements-run.lock
RUN /build/bin/uv pip install --quiet --python /environment --require-hashes --requirements /callweave/requirements-run.lock
COPY . /callweave
RUN /build/bin/uv pip install --quiet --python /environment --no-deps --editable /callweave

FROM python:3.11-slim
COPY --from=build /environment /environment
COPY --from=build /callweave /callweave
ENV PATH=/environment/bin:/usr/local/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1
ENV HOME=/tmp CALLWEAVE_HOME=/tmp/callweave PREFECT_HOME=/tmp/prefect
WORKDIR /callweave
USER 10001:10001
ENTRYPOINT ["callweave"]
CMD ["--help"]
