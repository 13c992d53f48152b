"""Stack Overflow questions and answers, from BigQuery to a tuned, evaluated and released language model."""
