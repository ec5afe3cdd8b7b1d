# Two images of one program. `stoker` has the controller, the router and the agent; `stoker-llama` has the built-in CPU
# engine and the demo model, too. Kubernetes probes them, so they have no health check of their own.
#   docker build --target stoker -t stoker.dev/stoker:0.1.0 .
#   docker build --target stoker-llama -t stoker.dev/stoker-llama:0.1.0 .
# The base needs Node 24, npm and glibc 2.34 or newer.
ARG BASE=node:24-bookworm-slim

FROM ${BASE} AS manifest
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY scripts/absent-package scripts/absent-package

FROM manifest AS build
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/copy-assets.ts scripts/
COPY src src
RUN npm run build && find dist -name '*.map' -delete

# Dead weight goes: Node (the base has it), what would compile an engine, engines for other machines, types and maps.
FROM manifest AS llama-dependencies
RUN npm ci --omit=dev \
  && arch=$(node -p process.arch) \
  && rm -rf node_modules/.bin node_modules/.package-lock.json node_modules/node-linux-* node_modules/typescript \
    node_modules/node-llama-cpp/llama/gitRelease.bundle node_modules/node-llama-cpp/templates \
  && find node_modules/@node-llama-cpp -mindepth 1 -maxdepth 1 ! -name "linux-$arch" -exec rm -rf {} + \
  && find node_modules -type f \( -name '*.map' -o -name '*.ts' -o -name '*.md' \) -delete
# What says which build of the engine there is (src/engine/llama-build.ts). The controller pins it and never loads it.
RUN mkdir /identity \
  && cp --parents node_modules/node-llama-cpp/package.json node_modules/node-llama-cpp/dist/index.js \
    node_modules/@node-llama-cpp/*/package.json node_modules/@node-llama-cpp/*/dist/index.js \
    node_modules/@node-llama-cpp/*/bins/*/_nlcBuildMetadata.json /identity

# The lockfile still says every version; only the engine and what came with it are taken out.
FROM manifest AS dependencies
RUN npm pkg delete dependencies.node-llama-cpp optionalDependencies \
  && npm install --omit=dev \
  && rm -rf node_modules/.bin node_modules/.package-lock.json \
  && find node_modules -type f \( -name '*.map' -o -name '*.ts' -o -name '*.md' \) -delete
COPY --from=llama-dependencies /identity ./

FROM ${BASE} AS base
LABEL org.opencontainers.image.title="stoker" \
  org.opencontainers.image.description="Keeps open-weight language models ready on your own GPUs, behind one OpenAI-compatible address." \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.version="0.1.0"
WORKDIR /app
# /var/lib/stoker is the one folder that is written to, by the agent alone. The rest may be mounted read-only.
ENV NODE_ENV=production STOKER_DATA_DIR=/var/lib/stoker HOME=/var/lib/stoker
# The user is listed, because the engine asks for its home folder.
RUN ln -s /app/bin/stoker.js /usr/local/bin/stoker \
  && mkdir -p /var/lib/stoker && chown 65532:65532 /var/lib/stoker \
  && echo 'stoker:x:65532:65532::/var/lib/stoker:/usr/sbin/nologin' >> /etc/passwd \
  && echo 'stoker:x:65532:' >> /etc/group
COPY LICENSE package.json ./
COPY bin bin
COPY --from=build /app/dist dist
# A number, so that runAsNonRoot can be checked without a user list.
USER 65532:65532
# Node is process 1 and stops by itself on SIGTERM.
ENTRYPOINT ["stoker"]
CMD ["--help"]

FROM base AS stoker-llama
LABEL org.opencontainers.image.title="stoker-llama"
COPY --from=llama-dependencies /app/node_modules node_modules
COPY models models
COPY manifests/demo manifests/demo

FROM base AS stoker
COPY --from=dependencies /app/node_modules node_modules
