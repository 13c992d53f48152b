"""Find every copy of a post, and put posts on the deny list."""
