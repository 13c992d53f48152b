# The image of the pipeline's steps, on Vertex AI Pipelines or a KFP cluster. Locally no image is needed.
#
#   docker build --tag python-qa-tuning:VERSION .
#
# VERSION is the version in pyproject.toml. Push the image to your registry and set TUNING_IMAGE to its name there, with its digest.
# `invoke compile` writes that name into the pipeline.
# Without a GPU, a smaller image is enough: pass PyTorch's index of CPU builds as --build-arg PIP_EXTRA_INDEX_URL=….
FROM python:3.11.14-slim-bookworm AS built

ARG PIP_EXTRA_INDEX_URL=""
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
RUN python -m venv /opt/tuning
ENV PATH=/opt/tuning/bin:$PATH
# First install what rarely changes: every library at its version in the lock. torch itself requires its GPU libraries.
COPY pyproject.toml requirements.lock README.md LICENSE ./
RUN mkdir tuning dbt_project && touch tuning/__init__.py tasks.py \
    && pip install --constraint requirements.lock ".[local,gpu]"
COPY tuning ./tuning
COPY dbt_project ./dbt_project
COPY tasks.py ./
RUN pip install --no-deps --force-reinstall .

FROM python:3.11.14-slim-bookworm

COPY --from=built /opt/tuning /opt/tuning
RUN useradd --create-home --uid 10001 tuning
USER tuning
WORKDIR /home/tuning
ENV PATH=/opt/tuning/bin:$PATH \
    TUNING_HOME=/home/tuning/var \
    PYTHONUNBUFFERED=1
# Each step's command comes from the pipeline. Started alone, the image checks that its parts load.
CMD ["python3", "-c", "import tuning.pipelines.components"]
