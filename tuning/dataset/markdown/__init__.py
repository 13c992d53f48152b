"""Convert a post's HTML to Markdown and check that nothing was lost."""
