"""What goes out when: due waves, runs, windows of articles, each reader's selection."""
