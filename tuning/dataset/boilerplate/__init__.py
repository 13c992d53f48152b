"""Find the greetings, thanks, edit marks, banners and images in a post that say nothing about its topic."""
