# The image of the pipeline's steps, on Vertex AI Pipelines or a KFP cluster. Locally no image is needed.
#
#   docker build --tag python-qa-tuning:0.1.0 .
#
# Push it to a registry of yours and set TUNING_IMAGE to its name there: `invoke compile` writes that into the pipeline.
# Without a GPU a smaller image serves: --build-arg PIP_EXTRA_INDEX_URL=… names PyTorch's index of CPU builds.
FROM python:3.11.14-slim-bookworm AS built

ARG PIP_EXTRA_INDEX_URL=""
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
RUN python -m venv /opt/tuning
ENV PATH=/opt/tuning/bin:$PATH
# First what changes seldom: every library at the version of the lock. torch itself asks for the GPU libraries it needs.
COPY pyproject.toml requirements.lock README.md LICENSE ./
RUN mkdir tuning && touch tuning/__init__.py \
    && pip install --constraint requirements.lock ".[local]"
COPY tuning ./tuning
RUN pip install --no-deps --force-reinstall .

FROM python:3.11.14-slim-bookworm

COPY --from=built /opt/tuning /opt/tuning
RUN useradd --create-home --uid 10001 tuning
USER tuning
WORKDIR /home/tuning
ENV PATH=/opt/tuning/bin:$PATH \
    TUNING_HOME=/home/tuning/var \
    PYTHONUNBUFFERED=1
# A step's command comes from the pipeline; alone, the image shows that its parts load.
CMD ["python3", "-c", "import tuning.pipelines.components"]
