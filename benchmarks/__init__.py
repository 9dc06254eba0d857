"""Every figure of docs/performance.md, repeatable. Not needed to run the project."""
