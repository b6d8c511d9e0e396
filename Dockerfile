# Muster in a container: one image for `up`, `serve` and `worker`.
#   docker build -t muster .
#   docker run --init -p 8420:8420 -v muster-state:/var/lib/muster muster

FROM python:3.12-slim-bookworm AS build
WORKDIR /opt/muster
COPY requirements.lock ./
RUN python -m venv /opt/venv \
 && /opt/venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --no-deps -r requirements.lock
COPY config config
COPY agents agents
COPY jobs jobs
COPY bot bot
COPY demo demo
COPY LICENSE ./
RUN /opt/venv/bin/python -m compileall -q config agents jobs bot demo

FROM python:3.12-slim-bookworm
# git: deploys are read from repositories, and rollbacks may use it.
RUN apt-get update \
 && apt-get install -y --no-install-recommends git \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --user-group --home-dir /var/lib/muster --shell /usr/sbin/nologin muster \
 && install -d -o muster -g muster -m 0700 /var/lib/muster
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/muster /opt/muster
WORKDIR /opt/muster
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MUSTER_HOST=0.0.0.0 \
    MUSTER_PORT=8420 \
    MUSTER_STATE_DIR=/var/lib/muster \
    MUSTER_LOG_JSON=true
USER 10001:10001
VOLUME /var/lib/muster
EXPOSE 8420
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['MUSTER_PORT'] + '/healthz', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "-m", "bot"]
CMD ["up"]
