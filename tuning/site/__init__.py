"""Make a site of static pages from the records in a home: runs, datasets, models and drift."""
