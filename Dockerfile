FROM python:3.13-slim-bookworm

RUN useradd --uid 10001 --create-home gridsvc
WORKDIR /srv/gridsvc
COPY requirements.lock ./
RUN pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY gridsvc ./gridsvc
COPY data/schemes ./data/schemes
COPY data/categories ./data/categories
RUN pip install --no-cache-dir --no-deps .

USER 10001
EXPOSE 8000
CMD ["sh", "-c", "gridsvc up && exec gridsvc serve --host 0.0.0.0 --port 8000"]
