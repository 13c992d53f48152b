"""Turn Stack Overflow questions and answers in BigQuery into a tuned, evaluated and released language model."""
